using System.Diagnostics;
using Agent.Tests.Fakes;

namespace Agent.Tests.Hosting;

/// <summary>agentd as a process.</summary>
public sealed class ProgramTests
{
    [Fact]
    public async Task What_keeps_it_from_listening_is_told_once_and_without_a_trace()
    {
        using var directory = new TemporaryDirectory();
        string socket = Path.Combine(directory.Path, "none/agentd.sock");
        directory.Write("agentd.yaml", $"data: {directory.Path}/data\nreleases: {directory.Path}/srv\nsocket: {socket}\n");
        using Process agent = Process.Start(new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "agentd.dll"), "--config", directory.Path])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["JOURNAL_STREAM"] = "", ["NOTIFY_SOCKET"] = "" },
        })!;
        Task<string> log = agent.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string told = await agent.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await agent.WaitForExitAsync(TestContext.Current.CancellationToken);
        string what = $"agentd cannot listen at {socket}: there is no directory {directory.Path}/none";
        Assert.Equal((5, $"agentd: {what}\nfix: make it; /run/agentd is made by: sudo systemd-tmpfiles --create agentd.conf\n"), (agent.ExitCode, told));
        string[] lines = [.. (await log).Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => !line.Contains(" WRN ", StringComparison.Ordinal))];
        Assert.Matches($"^[0-9:]+ FTL {what}; make it", Assert.Single(lines));
    }
}

using System.Globalization;
using Agent.TestHosts;

namespace Agent.Benchmarks;

/// <summary>A throwaway host with the published agent as it is installed on a server, a store, and the tiny sample in two versions; the second one is live.</summary>
internal sealed class AgentOnHost : IAsyncDisposable
{
    public const string Old = "v1.0.0", New = "v1.1.0", Url = "http://127.0.0.1:8080/";

    private const string Measure = "/usr/local/lib/measure.py";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);
    private readonly TestHost _host;

    private AgentOnHost(TestHost host) => _host = host;

    /// <param name="binaries">A directory with agentd and agentctl.</param>
    public static async Task<AgentOnHost> UpAsync(string repository, string binaries, CancellationToken cancellationToken)
    {
        var agent = new AgentOnHost(await TestHost.UpAsync("benchmark", TestHostOptions.Default, cancellationToken));
        try
        {
            await agent.InstallAsync(repository, binaries, cancellationToken);
            return agent;
        }
        catch
        {
            await agent.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    /// <summary>Runs a command inside.</summary>
    /// <returns>What it printed.</returns>
    /// <exception cref="TestHostException">It failed.</exception>
    public async Task<string> RunAsync(CancellationToken cancellationToken, params string[] command) =>
        (await _host.RunAsync(command, null, null, s_limit, cancellationToken)).Succeeded();

    /// <summary>Runs a command while the app is asked all the time.</summary>
    /// <returns>In ms: the longest time without an answer, and the time from the command's start to the answer after that.</returns>
    public async Task<(double Gap, double ToAnswer)> GapAsync(CancellationToken cancellationToken, params string[] command)
    {
        double[] times = Numbers(await RunAsync(cancellationToken, [Measure, "gap", Url, .. command]));
        return (times[0], times[1]);
    }

    /// <summary>Runs a command that often.</summary>
    /// <returns>The wall time of each run in ms.</returns>
    public async Task<double[]> WallAsync(int runs, CancellationToken cancellationToken, params string[] command) =>
        Numbers(await RunAsync(cancellationToken, [Measure, "wall", runs.ToString(CultureInfo.InvariantCulture), .. command]));

    /// <summary>A property of agentd.service that is a number.</summary>
    public async Task<long> PropertyAsync(string name, CancellationToken cancellationToken) =>
        long.Parse(await RunAsync(cancellationToken, "systemctl", "show", "-P", name, "agentd"), CultureInfo.InvariantCulture);

    private async Task InstallAsync(string repository, string binaries, CancellationToken cancellationToken)
    {
        await _host.CopyInAsync(Path.Combine(repository, "packaging/root"), "/", cancellationToken);
        foreach (string program in new[] { "agentd", "agentctl" })
            await _host.CopyInAsync(Path.Combine(binaries, program), $"/usr/bin/{program}", cancellationToken);
        await _host.CopyInAsync(Path.Combine(repository, "tests/samples/tiny"), "/root/shop", cancellationToken);
        await _host.CopyInAsync(Path.Combine(AppContext.BaseDirectory, "measure.py"), Measure, cancellationToken);
        await _host.WriteAsync("/etc/agentd/agentd.yaml", "store: /var/lib/store\n", cancellationToken);
        // What is measured is over before the gate is; a short one makes room for more samples.
        await _host.WriteAsync("/etc/agentd/apps.d/shop.yaml", "gate:\n  stable: 500ms\n", cancellationToken);
        await RunAsync(cancellationToken, "sh", "-euc", $"""
            export AGENTCTL_STORE=/var/lib/store AGENTCTL_KEY_FILE=/root/keys.json AGENTCTL_APP=shop
            chmod 755 {Measure}
            systemd-sysusers
            systemd-tmpfiles --create agentd.conf
            agentctl store init
            install -m 644 /root/root.json /etc/agentd/root.json
            agentctl publish /root/shop --version {Old}
            agentctl publish /root/shop --version {New}
            systemctl daemon-reload
            systemctl start agentd
            agentctl deploy {Old}
            agentctl deploy {New}
            """);
    }

    private static double[] Numbers(string text) =>
        [.. text.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
}

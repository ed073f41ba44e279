using System.Text.Json;
using Agent.Artifacts;
using Agent.Cli;
using Agent.Cli.Commands;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli.Hosts;

public sealed class FanOutTests(FakeFleet fleet) : IClassFixture<FakeFleet>
{
    [Theory]
    [InlineData("", 0)]
    [InlineData("0 0", 0)]
    [InlineData("0 1 0", 1)]
    [InlineData("3 1", 3)]
    [InlineData("5 3 1", 5)]
    [InlineData("2 5 3", 2)]
    [InlineData("4 2 5 3 1 0", 4)]
    [InlineData("0 130 4", 130)]
    [InlineData("4 77", 77)]
    public void The_worst_is_what_is_known_least(string exits, int worst) => Assert.Equal(worst, FanOut.Worst(exits.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse)));

    [Fact]
    public async Task No_more_hosts_are_asked_at_a_time_than_was_said_and_all_are_asked()
    {
        string[] names = [.. Enumerable.Range(1, 40).Select(i => $"web{i}")];
        using var home = new TemporaryDirectory();
        home.Write("hosts.yaml", "hosts:\n" + string.Concat(names.Select(name => $"  {name}: ssh://{name}\n")));
        var crowd = new Crowd(7);
        var place = new Workplace(home.Path, "/", "/") { Dial = (_, _) => crowd };
        using var text = new StringWriter { NewLine = "\n" };
        Assert.Equal(4, await AgentCtl.RunAsync(["resume", "--host", "all", "--parallel", "7"], Terminal.Plain(text, text), TimeProvider.System, TestContext.Current.CancellationToken, place));
        Assert.Equal((40, 7), (crowd.Came, crowd.Most));
        // The same of all: told once.
        Assert.Equal($"error: {string.Join(", ", names)}: nobody is at home\nfix:   agentctl status --host {string.Join(',', names)}\n", text.ToString());
    }

    [Fact]
    public async Task Ctrl_c_ends_the_asking()
    {
        Workplace place = fleet.Workplace with { Dial = (_, _) => new Silent() };
        using var ctrlC = new CancellationTokenSource();
        Task<int> run = AgentCtl.RunAsync(["status", "--host", "prod"], Terminal.Plain(TextWriter.Null, TextWriter.Null), TimeProvider.System, ctrlC.Token, place);
        await ctrlC.CancelAsync();
        Assert.Equal(AgentCtl.Interrupted, await run);
    }

    [Fact]
    public async Task Following_shows_the_lines_of_all_hosts_as_they_come_until_ctrl_c()
    {
        using var ctrlC = new CancellationTokenSource();
        var lines = new Waiting(4);
        Task<int> run = fleet.RunAsync(Terminal.Plain(lines, TextWriter.Null), ctrlC.Token, "logs", "-f", "-n", "2", "--host", "web", "--parallel", "1");
        await lines.Written.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await ctrlC.CancelAsync();
        Assert.Equal(0, await run);
        string[] all = lines.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, all.Count(line => line.StartsWith("web1  2026-", StringComparison.Ordinal)));
        Assert.Equal(2, all.Count(line => line.StartsWith("web2  2026-", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task For_programs_there_is_an_object_for_each_host_and_nothing_on_stderr()
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        Assert.Equal(4, await fleet.RunAsync(Terminal.Plain(output, error), TestContext.Current.CancellationToken, "status", "--host", "web1,web3", "-o", "json"));
        JsonElement[] hosts = [.. JsonElement.Parse(output.ToString()).GetProperty("hosts").EnumerateArray()];
        Assert.Equal(["web1", "web3"], hosts.Select(host => host.GetProperty("host").GetString()));
        Assert.Equal([3, 4], hosts.Select(host => host.GetProperty("exit").GetInt32()));
        Assert.Equal("shop", hosts[0].GetProperty("result").GetProperty("apps")[1].GetProperty("app").GetString());
        Assert.Equal(JsonValueKind.Null, hosts[0].GetProperty("error").ValueKind);
        Assert.Equal(JsonValueKind.Null, hosts[1].GetProperty("result").ValueKind);
        Assert.StartsWith("agentd does not run", hosts[1].GetProperty("error").GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Equal("", error.ToString());
    }

    [Fact]
    public async Task Colours_stay_and_control_characters_of_a_host_do_not_come_through()
    {
        using var output = new StringWriter { NewLine = "\n" };
        var terminal = new Terminal(output, TextWriter.Null, outputIsTerminal: true, errorIsTerminal: true, colour: true) { Width = () => 100 };
        await fleet.RunAsync(terminal, TestContext.Current.CancellationToken, "why", "--host", "web");
        Assert.Contains("\e[31mFAIL\e[0m", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("no cache?[2J", output.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("\e[2J", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checks_reach_each_host_and_tell_what_matters()
    {
        fleet["web2"].Clock = TimeSpan.FromHours(-1);
        (int exit, string text) = await fleet.RunAsync("hosts", "check");
        Assert.Equal(4, exit);
        Assert.Matches(
            """
            \AHOST  ADDRESS +AGENT +ROLE +CLOCK +ANSWERS IN
            web1  ssh://web1 +0\.1\.0 +deployer +right +\d+ ms
            web2  ssh://web2 +0\.1\.0 +deployer +(1 h 0 min|59 min \d+ s) behind +\d+ ms
            web3  ssh://web3 +unreachable +- +- +-
            db1   https://db1:7443 +0\.1\.0 +deployer +right +\d+ ms
            error: web3: agentd does not run: there is no .*/web3\.sock
            fix:   .*
            \z
            """, text);
    }

    [Fact]
    public async Task Checks_for_programs_tell_who_we_are_there_and_the_clock_in_seconds()
    {
        using var output = new StringWriter();
        Assert.Equal(0, await fleet.RunAsync(Terminal.Plain(output, TextWriter.Null), TestContext.Current.CancellationToken, "hosts", "check", "--host", "web1", "-o", "json"));
        JsonElement check = JsonElement.Parse(output.ToString()).GetProperty("hosts")[0].GetProperty("result");
        Assert.Equal(("0.1.0", "uid 1000 (ann)", "deployer"), (check.GetProperty("version").GetString(), check.GetProperty("by").GetString(), check.GetProperty("role").GetString()));
        Assert.InRange(check.GetProperty("clock_ahead_seconds").GetDouble(), -5, 5);
        Assert.InRange(check.GetProperty("round_trip_seconds").GetDouble(), 0, 60);
    }

    [Fact]
    public async Task What_a_project_brings_is_told_and_never_taken_unasked()
    {
        try
        {
            fleet.Write("shop/.agentctl.yaml", "host: web\napp: shop\n");
            Assert.Equal((0, $"note:  host web, by {fleet.Home}/shop/.agentctl.yaml\nweb1  shop is held: \nweb2  shop is held: \n"), await fleet.RunAsync("hold"));
            Assert.Equal((0, "web1  shop is held: \n"), await fleet.RunAsync("hold", "--host", "alone"));

            fleet.Write("shop/.agentctl.yaml", "host: evil\nhosts: {evil: ssh://evil.example.com}\n");
            (int exit, string text) = await fleet.RunAsync("status");
            Assert.Equal(5, exit);
            Assert.Equal(
                $"error: {fleet.Home}/shop/.agentctl.yaml leads to evil (ssh://evil.example.com), which your own hosts do not have\n"
                + "fix:   where you trust it, say it: --host evil; or keep it: agentctl hosts add evil ssh://evil.example.com\n", text);
            (exit, text) = await fleet.RunAsync("hosts", "check");
            Assert.StartsWith($"note:  left out, as {fleet.Home}/shop/.agentctl.yaml alone names them: evil; --host all asks them too\nHOST", text, StringComparison.Ordinal);
            Assert.DoesNotContain("evil", text.Split('\n', 2)[1], StringComparison.Ordinal);
            (exit, text) = await fleet.RunAsync("hold", "--host", "evil,web1");
            Assert.Equal(4, exit);
            Assert.StartsWith($"note:  by {fleet.Home}/shop/.agentctl.yaml: evil is ssh://evil.example.com\n", text, StringComparison.Ordinal);

            fleet.Write("shop/.agentctl.yaml", "hosts: {web1: ssh://evil.example.com}\n");
            Assert.Equal(2, (await fleet.RunAsync("hold", "--host", "web1")).Exit);
        }
        finally
        {
            File.Delete(Path.Combine(fleet.Home, "shop/.agentctl.yaml"));
        }
    }

    [Fact]
    public async Task This_machine_is_meant_where_nothing_is_said_and_the_files_are_not_looked_at()
    {
        fleet.Write("broken/hosts.yaml", "hosts: [");
        Workplace place = fleet.Workplace with { Configuration = Path.Combine(fleet.Home, "broken") };
        using var text = new StringWriter { NewLine = "\n" };
        Terminal terminal = Terminal.Plain(text, text);
        Assert.Equal(1, await AgentCtl.RunAsync(["watch", "d2", "--host", "local", "--socket", fleet.Socket], terminal, TimeProvider.System, TestContext.Current.CancellationToken, place));
        Assert.Equal(2, await AgentCtl.RunAsync(["status", "--host", "web1"], terminal, TimeProvider.System, TestContext.Current.CancellationToken, place));
    }

    /// <summary>Counts those who are there at a time; lets nobody in before as many as were expected have come.</summary>
    private sealed class Crowd(int expected) : IDialer
    {
        private readonly TaskCompletionSource full = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Lock gate = new();
        private int here;

        public int Came { get; private set; }

        public int Most { get; private set; }

        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            lock (gate)
            {
                Came++;
                Most = Math.Max(Most, ++here);
                if (here == expected) full.TrySetResult();
            }
            await full.Task.WaitAsync(cancellationToken);
            lock (gate) here--;
            throw new OperatorException(ExitCode.Unreachable, "nobody is at home", "agentctl status");
        }

        public void Dispose()
        {
        }
    }

    private sealed class Silent : IDialer
    {
        public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw new InvalidOperationException();
        }

        public void Dispose()
        {
        }
    }

    private sealed class Waiting : StringWriter
    {
        private readonly TaskCompletionSource written = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int left;

        public Waiting(int lines)
        {
            left = lines;
            NewLine = "\n";
        }

        public Task Written => written.Task;

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (--left == 0) written.TrySetResult();
        }
    }
}

using System.Text;
using System.Text.Json;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>Rollouts over six hosts, driven over sshd from a seventh, and what may happen to hosts, network and driver meanwhile.</summary>
public sealed class SixHostsTests(SixHosts fleet) : AgentTest, IClassFixture<SixHosts>
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(3);

    // A person at a terminal: Ctrl-C while the first host is at its gate, then the answer to the question.
    private const string Person = """
        import fcntl, os, pty, struct, sys, termios
        pid, terminal = pty.fork()
        if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        seen, typed = b"", []
        while True:
            try: data = os.read(terminal, 4096)
            except OSError: break
            if not data: break
            seen += data
            for what, keys in ((b"gate", b"\x03"), (b"[s]top after", b"s")):
                if what in seen and what not in typed:
                    os.write(terminal, keys)
                    typed.append(what)
        sys.stdout.buffer.write(seen)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """;

    [Fact]
    public async Task Goes_over_all_hosts_in_batches_within_its_limits()
    {
        await UpAsync();
        string version = await fleet.PublishAsync("ok", Cancel);
        CommandResult rollout = await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "2", "--canary", "1");
        Assert.True(rollout.Exit == 0, rollout.Output + rollout.Errors);
        Assert.All(await fleet.VersionsAsync(Cancel), runs => Assert.Equal(version, runs));
        Deployment[] turns = OneEach(version);
        // Nobody else while the canary is under way; then never more than two.
        Assert.All(turns[1..], turn => Assert.True(Begin(turn) >= End(turns[0]), "the canary was not alone"));
        Assert.All(turns, turn => Assert.InRange(turns.Count(other => Begin(other) <= Begin(turn) && Begin(turn) < End(other)), 1, 2));
        // Who runs it is left alone.
        CommandResult again = await SixHosts.AgentctlAsync(fleet.Desk.Host, Cancel, "deploy", version, "--host", "prod");
        Assert.True(again.Exit == 0, again.Output + again.Errors);
        OneEach(version);
    }

    [Fact]
    public async Task A_bad_release_stops_at_the_first_batch()
    {
        await UpAsync();
        string[] before = await fleet.VersionsAsync(Cancel);
        string version = await fleet.PublishAsync("exit-at-once", Cancel);
        CommandResult rollout = await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "2");
        Assert.True(rollout.Exit == 1, $"exit {rollout.Exit}: {rollout.Output}{rollout.Errors}");
        Assert.Equal(before, await fleet.VersionsAsync(Cancel));
        Assert.Equal([1, 1, 0, 0, 0, 0], fleet.Of(version).Select(turns => turns.Length));
    }

    [Fact]
    public async Task A_host_that_cannot_be_reached_is_told_before_anything_begins_and_may_be_left_out()
    {
        await UpAsync();
        string version = await fleet.PublishAsync("ok", Cancel);
        await LinkAsync(3, "down");
        try
        {
            CommandResult refused = await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "3");
            Assert.True(refused.Exit == 4, $"exit {refused.Exit}: {refused.Output}{refused.Errors}");
            Assert.Contains("web3 cannot be reached", refused.Errors, StringComparison.Ordinal);
            Assert.All(fleet.Of(version), Assert.Empty);
            CommandResult rollout = await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "3", "--skip-unreachable");
            Assert.True(rollout.Exit == 0, $"exit {rollout.Exit}: {rollout.Output}{rollout.Errors}");
            Assert.Equal([1, 1, 0, 1, 1, 1], fleet.Of(version).Select(turns => turns.Length));
        }
        finally
        {
            await LinkAsync(3, "up");
        }
    }

    [Fact]
    public async Task A_host_that_is_cut_off_in_its_turn_has_it_once()
    {
        await UpAsync();
        string version = await fleet.PublishAsync("good-with:/var/VERSION", Cancel);
        Task<CommandResult> rollout = SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "6");
        foreach (AgentHost host in fleet.Web) await AtGateAsync(host, rollout);
        await LinkAsync(3, "down");
        try
        {
            foreach (AgentHost host in fleet.Web) await host.ShellAsync($"touch /var/{version}", Cancel);
            await EventuallyAsync("the host that is cut off ends its deployment by itself", Long, async () => (await fleet.Web[2].StatusAsync("shop", Cancel)).GetProperty("version").GetString() == version);
            // Longer than a connection without a sign of life is believed in.
            await Task.Delay(TimeSpan.FromSeconds(35), Cancel);
            Assert.False(rollout.IsCompleted);
        }
        finally
        {
            await LinkAsync(3, "up");
        }
        CommandResult ended = await rollout;
        Assert.True(ended.Exit == 0, $"exit {ended.Exit}: {ended.Output}{ended.Errors}");
        OneEach(version);
    }

    [Fact]
    public async Task A_host_that_loses_power_in_its_turn_goes_back_and_stops_the_rollout()
    {
        await UpAsync();
        string[] before = await fleet.VersionsAsync(Cancel);
        string version = await fleet.PublishAsync("good-with:/var/VERSION", Cancel);
        Task<CommandResult> rollout = SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "1");
        await AtGateAsync(fleet.Web[0], rollout);
        await fleet.Web[0].Host.PowerCutAsync(Cancel);
        await fleet.Web[0].Host.BootAsync(Cancel);
        CommandResult ended = await rollout;
        Assert.True(ended.Exit == 1, $"exit {ended.Exit}: {ended.Output}{ended.Errors}");
        Assert.Equal(before, await fleet.VersionsAsync(Cancel));
        Assert.Equal([1, 0, 0, 0, 0, 0], fleet.Of(version).Select(turns => turns.Length));
        Assert.Equal(Outcome.RolledBack, fleet.Of(version)[0][0].Outcome);
    }

    [Fact]
    public async Task A_clock_that_is_an_hour_off_is_told_and_changes_nothing()
    {
        const string DropIn = "/etc/systemd/system/agentd.service.d";
        await UpAsync();
        string library = await fleet.Web[4].ShellAsync("ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null || true", Cancel);
        if (library.Length == 0) Assert.Skip("libfaketime is not installed: apt-get install faketime");
        await fleet.Web[4].Host.WriteAsync($"{DropIn}/clock.conf", $"[Service]\nEnvironment=LD_PRELOAD={library} FAKETIME=+1h FAKETIME_DONT_FAKE_MONOTONIC=1\n", Cancel);
        await fleet.Web[4].ShellAsync("systemctl daemon-reload; systemctl restart agentd", Cancel);
        try
        {
            string check = (await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "hosts", "check")).Succeeded();
            Assert.Contains("ahead", check.Split('\n').Single(line => line.StartsWith("web5", StringComparison.Ordinal)), StringComparison.Ordinal);
            string version = await fleet.PublishAsync("ok", Cancel);
            CommandResult rollout = await SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "50%");
            Assert.True(rollout.Exit == 0, $"exit {rollout.Exit}: {rollout.Output}{rollout.Errors}");
            Deployment[] turns = OneEach(version);
            Assert.True(Begin(turns[4]) - Begin(turns[3]) > TimeSpan.FromMinutes(50), "the clock was right");
        }
        finally
        {
            await fleet.Web[4].ShellAsync($"rm -r {DropIn}; systemctl daemon-reload; systemctl restart agentd", CancellationToken.None);
        }
    }

    [Fact]
    public async Task When_the_driver_dies_nothing_new_begins_and_another_machine_goes_on()
    {
        await UpAsync();
        string[] before = await fleet.VersionsAsync(Cancel);
        string version = await fleet.PublishAsync("good-with:/var/VERSION", Cancel);
        Task<CommandResult> lost = SixHosts.AgentctlAsync(fleet.Laptop, Cancel, "deploy", version, "--host", "prod", "--batch", "2");
        foreach (AgentHost host in fleet.Web.Take(2)) await AtGateAsync(host, lost);
        await fleet.Laptop.PowerCutAsync(Cancel);
        Assert.NotEqual(0, (await lost).Exit);
        foreach (AgentHost host in fleet.Web) await host.ShellAsync($"touch /var/{version}", Cancel);
        // What has begun ends by itself; nobody begins anything.
        foreach (AgentHost host in fleet.Web.Take(2))
            await EventuallyAsync("it ends without its driver", Long, async () => (await host.StatusAsync("shop", Cancel)).GetProperty("version").GetString() == version);
        await Task.Delay(TimeSpan.FromSeconds(3), Cancel);
        string[] left = [version, version, .. before[2..]];
        Assert.Equal(left, await fleet.VersionsAsync(Cancel));

        string id = await SixHosts.IdAsync(fleet.Desk.Host, version, Cancel);
        JsonElement shown = await SixHosts.ShowAsync(fleet.Desk.Host, id, Cancel);
        Assert.Contains("@laptop", shown.GetProperty("driver").GetString(), StringComparison.Ordinal);
        string[] stands = [.. shown.GetProperty("hosts").EnumerateArray().Select(host => host.GetProperty("stand").GetString()!)];
        Assert.Equal(["live", "live", "waiting", "waiting", "waiting", "waiting"], stands);
        CommandResult resumed = await SixHosts.AgentctlAsync(fleet.Desk.Host, Cancel, "rollout", "resume", id);
        Assert.True(resumed.Exit == 0, $"exit {resumed.Exit}: {resumed.Output}{resumed.Errors}");
        Assert.All(await fleet.VersionsAsync(Cancel), runs => Assert.Equal(version, runs));
        OneEach(version);
        await fleet.Laptop.BootAsync(Cancel);
    }

    [Fact]
    public async Task On_a_terminal_ctrl_c_asks_and_stops_after_the_batch()
    {
        await UpAsync();
        string[] before = await fleet.VersionsAsync(Cancel);
        string version = await fleet.PublishAsync("good-with:/var/VERSION", Cancel);
        await fleet.Laptop.WriteAsync("/root/person.py", Person, Cancel);
        Task<CommandResult> person = fleet.Laptop.RunAsync(
            ["python3", "/root/person.py", "agentctl", "deploy", version, "--host", "prod", "--batch", "1"], null, new Dictionary<string, string> { ["TERM"] = "xterm" }, TimeSpan.FromMinutes(5), Cancel);
        await AtGateAsync(fleet.Web[0], person);
        string id = await SixHosts.IdAsync(fleet.Desk.Host, version, Cancel);
        await EventuallyAsync("the answer reaches the hosts", Long, async () =>
            (await SixHosts.ShowAsync(fleet.Desk.Host, id, Cancel)).GetProperty("state").GetString() == "paused");
        await fleet.Web[0].ShellAsync($"touch /var/{version}", Cancel);
        CommandResult ended = await person;
        Assert.True(ended.Exit == 130, $"exit {ended.Exit}: {ended.Output}{ended.Errors}");
        Assert.Contains($"agentctl rollout resume {id}", ended.Output, StringComparison.Ordinal);
        string[] after = [version, .. before[1..]];
        Assert.Equal(after, await fleet.VersionsAsync(Cancel));
    }

    [Fact]
    public async Task Goes_over_TLS_as_over_ssh()
    {
        await UpAsync();
        // With hosts of its own, so that ssh and TLS do not mix.
        var home = new Dictionary<string, string> { ["XDG_CONFIG_HOME"] = "/root/tls" };
        Task<CommandResult> LaptopAsync(string input, params string[] words) =>
            fleet.Laptop.RunAsync(["agentctl", .. words], Encoding.ASCII.GetBytes(input), home, TimeSpan.FromMinutes(5), Cancel);
        foreach (AgentHost host in fleet.Web)
        {
            await host.ShellAsync("printf 'listen:\n  address: 0.0.0.0:7443\n' >>/etc/agentd/agentd.yaml; systemctl restart agentd", Cancel);
            string code = await host.ShellAsync("agentctl pair --new --name laptop --role deployer 2>/dev/null", Cancel);
            (await LaptopAsync(code + "\n", "pair", $"https://{host.Host.Name}:7443", "--name", host.Host.Name)).Succeeded();
        }
        string version = await fleet.PublishAsync("ok", Cancel);
        CommandResult rollout = await LaptopAsync("", "deploy", version, "--host", "all", "--batch", "3");
        Assert.True(rollout.Exit == 0, $"exit {rollout.Exit}: {rollout.Output}{rollout.Errors}");
        Assert.All(OneEach(version), turn => Assert.Contains("laptop (tls)", turn.By, StringComparison.Ordinal));
    }

    private static DateTimeOffset Begin(Deployment turn) => turn.Records[0].At;

    private static DateTimeOffset End(Deployment turn) => turn.Records[^1].At;

    /// <summary>Each host's deployment of a version, which is its only one.</summary>
    private Deployment[] OneEach(string version) => [.. fleet.Of(version).Select(turns => Assert.Single(turns))];

    /// <summary>Cuts a host off, in both directions; what is told from the machine goes on.</summary>
    private async Task LinkAsync(int number, string state) => await fleet.Web[number - 1].ShellAsync($"ip link set eth0 {state}", CancellationToken.None);

    private async Task UpAsync()
    {
        SkipWhereNoHostsRun();
        if (SshHost.Lacks() is { } lacks) Assert.Skip(lacks);
        await fleet.UpAsync(Cancel);
    }
}

using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Systemd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.SystemTests.Systemd;

/// <summary>What <see cref="SupervisorTests"/> runs inside of a throwaway host; never on the machine itself.</summary>
public sealed class SupervisorInside : IDisposable
{
    // Long enough to be under way when something else happens to it; what ends it earlier is part of the test.
    private const string SlowStart = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sleep 3\n";
    private const string Running = "[Service]\nExecStart=sleep infinity\n";

    private readonly CancellationToken limit = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    private readonly Supervisor supervisor = new(TimeProvider.System, NullLogger<Supervisor>.Instance);
    private readonly List<UnitName> written = [];

    public void Dispose()
    {
        supervisor.Dispose();
        foreach (UnitName unit in written)
        {
            Shell($"systemctl kill -s KILL {unit}; systemctl stop {unit}; systemctl disable {unit}; rm -f /etc/systemd/system/{unit}; systemctl reset-failed {unit}", mustSucceed: false);
        }
    }

    [Fact(Explicit = true)]
    public async Task Starts_restarts_and_stops_a_service()
    {
        UnitName unit = await WriteAsync("plain", Running);
        await supervisor.StartAsync(unit, limit);
        UnitState first = await supervisor.GetStateAsync(unit, limit);
        Assert.Equal(("loaded", "active", "running", "success"), (first.LoadState, first.ActiveState, first.SubState, first.Result));
        Assert.True(Directory.Exists($"/proc/{first.MainPid}"));
        Assert.Equal(32, first.InvocationId.Length);
        Assert.InRange(first.Since!.Value, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddSeconds(1));

        await supervisor.RestartAsync(unit, limit);
        UnitState second = await supervisor.GetStateAsync(unit, limit);
        Assert.NotEqual(first.MainPid, second.MainPid);
        Assert.NotEqual(first.InvocationId, second.InvocationId);

        await supervisor.StopAsync(unit, limit);
        await supervisor.StopAsync(unit, limit);
        UnitState stopped = await supervisor.GetStateAsync(unit, limit);
        Assert.Equal(("loaded", "inactive", 0), (stopped.LoadState, stopped.ActiveState, stopped.MainPid));

        await supervisor.RestartAsync(unit, limit);
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Fact(Explicit = true)]
    public async Task Tells_the_exit_status_of_a_service_that_fails_to_start()
    {
        UnitName unit = await WriteAsync("failing", "[Service]\nType=notify\nExecStart=sh -c 'exit 7'\n");
        OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(unit, limit));
        Assert.Equal(ExitCode.RolledBack, error.Code);
        Assert.Equal("failing.service did not start: failed (failed, result exit-code, the main process exited with status 7)", error.Message);
        UnitState state = await supervisor.GetStateAsync(unit, limit);
        Assert.Equal(("failed", "exit-code", "exited", 7), (state.ActiveState, state.Result, state.ExitKind, state.ExitCode));
    }

    [Fact(Explicit = true)]
    public async Task Tells_that_a_service_was_never_ready_in_time()
    {
        UnitName unit = await WriteAsync("unready", "[Service]\nType=notify\nTimeoutStartSec=1\nExecStart=sleep infinity\n");
        OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => supervisor.RestartAsync(unit, limit));
        Assert.StartsWith("unready.service did not restart: failed (failed, result timeout", error.Message, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Tells_each_other_end_of_a_job()
    {
        await WriteAsync("broken", "[Service]\nType=oneshot\nExecStart=false\n");
        UnitName dependent = await WriteAsync("dependent", "[Unit]\nRequires=broken.service\nAfter=broken.service\n" + Running);
        Assert.Contains(": dependency (", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(dependent, limit))).Message, StringComparison.Ordinal);

        UnitName late = await WriteAsync("late", "[Unit]\nJobRunningTimeoutSec=1\n" + SlowStart);
        Assert.Contains(": timeout (", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(late, limit))).Message, StringComparison.Ordinal);

        UnitName overtaken = await WriteAsync("overtaken", SlowStart);
        Task start = supervisor.StartAsync(overtaken, limit);
        await UntilAsync(overtaken, s => s.ActiveState == "activating");
        await supervisor.StopAsync(overtaken, limit);
        Assert.Contains(": canceled (", (await Assert.ThrowsAsync<OperatorException>(() => start)).Message, StringComparison.Ordinal);

        UnitName asserting = await WriteAsync("asserting", "[Unit]\nAssertPathExists=/nowhere\n" + Running);
        Assert.Contains(": assert (", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(asserting, limit))).Message, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Tells_why_a_unit_cannot_be_started_at_all()
    {
        var missing = new UnitName("no-such-thing.service");
        Assert.Equal(("not-found", "inactive"), (await supervisor.GetStateAsync(missing, limit)) is var s ? (s.LoadState, s.ActiveState) : default);
        OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => supervisor.RestartAsync(missing, limit));
        Assert.Equal((ExitCode.Refused, "no-such-thing.service did not restart: not-found: Unit no-such-thing.service not found"), (error.Code, error.Message));
        Assert.Contains("not-found", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.EnableAsync(missing, limit))).Message, StringComparison.Ordinal);
        await supervisor.StopAsync(missing, limit);
        await supervisor.DisableAsync(missing, limit);

        var masked = new UnitName("covered.service");
        written.Add(masked);
        Shell($"ln -s /dev/null /etc/systemd/system/{masked}");
        await supervisor.ReloadAsync(limit);
        Assert.Equal("masked", (await supervisor.GetStateAsync(masked, limit)).LoadState);
        Assert.Contains(": masked: ", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(masked, limit))).Message, StringComparison.Ordinal);

        UnitName bad = await WriteAsync("bad", "[Service]\nType=oneshot\n");
        Assert.Equal("bad-setting", (await supervisor.GetStateAsync(bad, limit)).LoadState);
        Assert.Contains(": bad-setting: ", (await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(bad, limit))).Message, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Stops_what_ignores_the_signal_and_tells_of_it()
    {
        UnitName unit = await WriteAsync("stubborn", "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStopSec=2\nExecStart=sh -c 'trap \"\" TERM; systemd-notify --ready; while :; do sleep 1; done'\n");
        await supervisor.StartAsync(unit, limit);
        await supervisor.StopAsync(unit, limit);
        UnitState state = await supervisor.GetStateAsync(unit, limit);
        Assert.Equal(("failed", "timeout", "killed", 9), (state.ActiveState, state.Result, state.ExitKind, state.ExitCode));
        await supervisor.RestartAsync(unit, limit);
        Assert.Equal(("active", "success"), (await supervisor.GetStateAsync(unit, limit)) is var s ? (s.ActiveState, s.Result) : default);
        await supervisor.RestartAsync(unit, limit);
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Fact(Explicit = true)]
    public async Task Enables_and_disables_as_the_unit_says()
    {
        UnitName unit = await WriteAsync("installed", Running + "[Install]\nWantedBy=multi-user.target\n");
        const string Link = "/etc/systemd/system/multi-user.target.wants/installed.service";
        await supervisor.EnableAsync(unit, limit);
        await supervisor.EnableAsync(unit, limit);
        Assert.True(File.Exists(Link));
        Assert.Contains("installed.service", Shell("systemctl show -P Wants multi-user.target"), StringComparison.Ordinal);   // it was reloaded
        await supervisor.DisableAsync(unit, limit);
        await supervisor.DisableAsync(unit, limit);
        Assert.False(File.Exists(Link));

        UnitName uninstallable = await WriteAsync("uninstallable", Running);
        await supervisor.EnableAsync(uninstallable, limit);
        Assert.Equal(["/etc/systemd/system/uninstallable.service"], Directory.GetFiles("/etc/systemd/system", "uninstallable*", SearchOption.AllDirectories));
    }

    [Fact(Explicit = true)]
    public async Task Counts_restarts_and_forgets_them_at_a_restart()
    {
        UnitName unit = await WriteAsync("crashing", "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=600\n[Service]\nRestart=always\nRestartSec=50ms\nExecStart=sh -c 'test -e /run/steady && exec sleep infinity; sleep 0.2; exit 3'\n");
        Shell("rm -f /run/steady");
        await supervisor.StartAsync(unit, limit);
        await UntilAsync(unit, s => s.Restarts >= 2);
        UnitState given = await UntilAsync(unit, s => s.ActiveState == "failed");
        Assert.Equal("exited", given.ExitKind);
        Assert.Equal(3, given.ExitCode);

        Shell("touch /run/steady");
        await supervisor.RestartAsync(unit, limit);     // although the start limit was hit
        UnitState steady = await supervisor.GetStateAsync(unit, limit);
        Assert.Equal(("active", 0u), (steady.ActiveState, steady.Restarts));

        Shell($"systemctl kill -s SEGV {unit}");
        Assert.Equal(1u, (await UntilAsync(unit, s => s.Restarts > 0 && s.ActiveState == "active")).Restarts);
        await supervisor.RestartAsync(unit, limit);
        Assert.Equal(0u, (await supervisor.GetStateAsync(unit, limit)).Restarts);
    }

    [Fact(Explicit = true)]
    public async Task Cancelling_stops_the_waiting_and_not_the_job()
    {
        UnitName unit = await WriteAsync("patient", SlowStart);
        using var cancel = new CancellationTokenSource();
        Task start = supervisor.StartAsync(unit, cancel.Token);
        await UntilAsync(unit, s => s.ActiveState == "activating");
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start);
        Assert.Equal("activating", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
        await UntilAsync(unit, s => s.ActiveState == "active");
    }

    [Fact(Explicit = true)]
    public async Task Goes_on_after_the_bus_was_restarted()
    {
        UnitName unit = await WriteAsync("busless", Running);
        await supervisor.StartAsync(unit, limit);
        Shell("systemctl restart dbus");
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
        Shell("systemctl restart dbus");
        await supervisor.RestartAsync(unit, limit);
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Theory(Explicit = true)]
    [InlineData("systemctl restart dbus", "sleep 3", true)]
    [InlineData("systemctl restart dbus", "sh -c 'sleep 3; exit 4'", false)]
    [InlineData("systemctl daemon-reexec", "sleep 3", true)]
    [InlineData("systemctl daemon-reexec", "sh -c 'sleep 3; exit 4'", false)]
    [InlineData("systemctl stop dbus.socket dbus; sleep 5; systemctl start dbus.socket dbus", "sleep 3", true)]
    [InlineData("systemctl daemon-reload", "sleep 3", true)]
    public async Task Learns_the_end_of_a_job_although_it_happens(string what, string command, bool succeeds)
    {
        UnitName unit = await WriteAsync("slow", $"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={command}\n");
        Task start = supervisor.StartAsync(unit, limit);
        await UntilAsync(unit, s => s.ActiveState == "activating");
        Shell(what);
        if (succeeds) await start;
        else Assert.Contains(": failed (failed, result exit-code", (await Assert.ThrowsAsync<OperatorException>(() => start)).Message, StringComparison.Ordinal);
        Assert.Equal(succeeds ? "active" : "failed", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Fact(Explicit = true)]
    public async Task Goes_on_after_systemd_was_executed_anew()
    {
        UnitName unit = await WriteAsync("anew", Running);
        await supervisor.StartAsync(unit, limit);
        for (int i = 0; i < 3; i++)
        {
            Shell("systemctl daemon-reexec");
            await supervisor.RestartAsync(unit, limit);
            await supervisor.ReloadAsync(limit);
        }
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Fact(Explicit = true)]
    public async Task Works_where_there_is_no_bus()
    {
        UnitName unit = await WriteAsync("alone", Running);
        Shell("systemctl stop dbus.socket dbus.service");
        try
        {
            await supervisor.StartAsync(unit, limit);
            Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
            await supervisor.RestartAsync(unit, limit);
            Shell("systemctl daemon-reexec");
            await supervisor.StopAsync(unit, limit);
            Assert.Equal("inactive", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
        }
        finally
        {
            Shell("systemctl start dbus.socket dbus.service");
        }
    }

    [Fact(Explicit = true)]
    public async Task Serves_twenty_callers_at_once()
    {
        UnitName[] units = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => WriteAsync($"many-{i}", Running, reload: false)));
        await supervisor.ReloadAsync(limit);
        await Task.WhenAll(units.Select(u => supervisor.StartAsync(u, limit)));
        await Task.WhenAll(units.Select(u => supervisor.RestartAsync(u, limit)).Append(supervisor.ReloadAsync(limit)));
        Assert.All(await Task.WhenAll(units.Select(u => supervisor.GetStateAsync(u, limit))), s => Assert.Equal("active", s.ActiveState));
        await Task.WhenAll(units.Select(u => supervisor.StopAsync(u, limit)));
        Assert.All(await Task.WhenAll(units.Select(u => supervisor.GetStateAsync(u, limit))), s => Assert.Equal("inactive", s.ActiveState));
    }

    [Fact(Explicit = true)]
    public async Task Believes_the_end_of_a_job_from_systemd_alone()
    {
        UnitName unit = await WriteAsync("forged", SlowStart);
        Task start = supervisor.StartAsync(unit, limit);
        await UntilAsync(unit, s => s.ActiveState == "activating");
        string job = Shell($"systemctl show -P Job {unit}").Trim();
        string us = Shell($"busctl list --no-legend | awk '$2 == {Environment.ProcessId} {{ print $1 }}'").Trim();
        Assert.StartsWith(":", us, StringComparison.Ordinal);
        Shell($"runuser -u nobody -- dbus-send --system --type=signal --dest={us} /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager.JobRemoved uint32:{job} objpath:/org/freedesktop/systemd1/job/{job} string:{unit} string:failed");
        await start;
        Assert.Equal("active", (await supervisor.GetStateAsync(unit, limit)).ActiveState);
    }

    [Fact(Explicit = true)]
    public async Task Sleeps_when_nobody_asks()
    {
        await supervisor.GetStateAsync(new UnitName("dbus.service"), limit);
        string thread = Directory.GetDirectories("/proc/self/task").Single(t => File.ReadAllText($"{t}/comm") == "sd-bus\n");
        string Switches() => File.ReadLines($"{thread}/status").Single(l => l.StartsWith("voluntary_ctxt_switches", StringComparison.Ordinal));
        await Task.Delay(300, limit);
        string before = Switches();
        await Task.Delay(2000, limit);
        Assert.Equal(before, Switches());
    }

    [Fact(Explicit = true)]
    public async Task Reads_the_last_lines_of_a_unit_and_what_systemd_says_of_it()
    {
        UnitName other = await WriteAsync("other-writer", "[Service]\nType=oneshot\nExecStart=echo not mine\n");
        UnitName unit = await WriteAsync("writer", "[Service]\nType=oneshot\nUser=nobody\nSyslogLevelPrefix=yes\nExecStart=sh -c 'for i in 1 2 3 4 5; do echo line $i; done; echo \"<3>bad\"; printf \"\\033[31mred\\001\\n\"; head -c 5000 /dev/zero | tr \"\\\\0\" x; echo'\nExecStart=false\n");
        await supervisor.StartAsync(other, limit);
        await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(unit, limit));
        IReadOnlyList<LogEntry> log = await LogAsync(unit, entries => entries.Any(e => e.Message.Contains("Failed with result", StringComparison.Ordinal)));

        Assert.All(log, e => Assert.Equal("writer.service", e.Unit));
        Assert.Equal(["line 1", "line 2", "line 3", "line 4", "line 5"], log.Where(e => e.Message.StartsWith("line", StringComparison.Ordinal)).Select(e => e.Message));
        Assert.Equal(3, log.Single(e => e.Message == "bad").Priority);
        Assert.Contains(log, e => e.Message == "[31mred");
        Assert.All(log.Where(e => e.Message.StartsWith("xx", StringComparison.Ordinal)), e => Assert.Equal(1000, e.Message.Length));
        Assert.Contains(log, e => e.Message.StartsWith("xx", StringComparison.Ordinal));
        Assert.Contains(log, e => e.Pid == 1 && e.Message.Contains("Failed with result 'exit-code'", StringComparison.Ordinal));
        Assert.All(log, e => Assert.InRange(e.At, DateTimeOffset.UtcNow.AddMinutes(-1), DateTimeOffset.UtcNow.AddSeconds(1)));
        Assert.Equal(log.Count, log.Select(e => e.Cursor).Distinct().Count());

        Assert.Equal(log.TakeLast(3), await supervisor.ReadLogAsync(unit, 3, limit));
        Assert.Empty(await supervisor.ReadLogAsync(unit, 0, limit));
        Assert.Empty(await supervisor.ReadLogAsync(new UnitName("never-was.service"), 10, limit));
    }

    [Fact(Explicit = true)]
    public async Task Follows_the_lines_of_several_units()
    {
        UnitName one = await WriteAsync("follow-one", "[Service]\nType=oneshot\nExecStart=echo from one\n");
        UnitName two = await WriteAsync("follow-two", "[Service]\nType=oneshot\nExecStart=echo from two\n");
        await supervisor.StartAsync(one, limit);
        await LogAsync(one, entries => entries.Any(e => e.Message == "from one"));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(limit);
        var seen = new List<LogEntry>();
        bool started = false;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (LogEntry entry in supervisor.FollowLogAsync([one, two], 100, stop.Token))
            {
                seen.Add(entry);
                if (entry.Message == "from one" && !started)
                {
                    started = true;
                    Shell("journalctl --rotate");
                    await supervisor.StartAsync(two, limit);
                }
                if (entry.Message == "from two") await stop.CancelAsync();
            }
        });
        Assert.False(limit.IsCancellationRequested);
        Assert.Equal("follow-two.service", seen.Single(e => e.Message == "from two").Unit);
        Assert.Equal("follow-one.service", seen.First(e => e.Message == "from one").Unit);
        Assert.Equal(seen.Count, seen.Select(e => e.Cursor).Distinct().Count());
    }

    [Fact(Explicit = true)]
    public async Task Follows_a_unit_that_has_no_lines_yet()
    {
        UnitName unit = await WriteAsync("silent", "[Service]\nType=oneshot\nExecStart=echo first words\n");
        foreach (int lines in (int[])[0, 10])
        {
            await using IAsyncEnumerator<LogEntry> log = supervisor.FollowLogAsync([unit], lines, limit).GetAsyncEnumerator(limit);
            ValueTask<bool> next = log.MoveNextAsync();
            string marker = $"words {lines}";
            await WriteAsync("silent", $"[Service]\nType=oneshot\nExecStart=echo {marker}\n");
            await supervisor.StartAsync(unit, limit);
            while (await next && log.Current.Message != marker) next = log.MoveNextAsync();
            Assert.Equal(marker, log.Current.Message);
        }
    }

    private async Task<UnitName> WriteAsync(string name, string text, bool reload = true)
    {
        var unit = new UnitName(name + ".service");
        lock (written) written.Add(unit);
        File.WriteAllText($"/etc/systemd/system/{unit}", text);
        if (reload) await supervisor.ReloadAsync(limit);
        return unit;
    }

    private async Task<UnitState> UntilAsync(UnitName unit, Func<UnitState, bool> reached)
    {
        while (true)
        {
            UnitState state = await supervisor.GetStateAsync(unit, limit);
            if (reached(state)) return state;
            await Task.Delay(20, limit);
        }
    }

    // journald writes when it gets to it.
    private async Task<IReadOnlyList<LogEntry>> LogAsync(UnitName unit, Func<IReadOnlyList<LogEntry>, bool> reached)
    {
        while (true)
        {
            IReadOnlyList<LogEntry> log = await supervisor.ReadLogAsync(unit, 100, limit);
            if (reached(log)) return log;
            await Task.Delay(20, limit);
        }
    }

    private static string Shell(string script, bool mustSucceed = true)
    {
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (mustSucceed) Assert.True(process.ExitCode == 0, $"{script}: {error.Result}");
        return output;
    }
}

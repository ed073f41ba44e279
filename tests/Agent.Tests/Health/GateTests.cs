using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Tests.Fakes;

namespace Agent.Tests.Health;

/// <summary>The gate in manual time: every second of it takes none.</summary>
public class GateTests
{
    private static readonly UnitName Unit = new("shop.service");
    private static readonly TimeSpan Start = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Stable = TimeSpan.FromSeconds(10);
    private static readonly UnitState Running = new(Unit, "loaded", "active", "running", "success", 0, 100, "", 0, "i1", null);

    private readonly ManualTime time = new();
    private readonly List<string> progress = [];
    private Func<double, UnitState> unit = _ => Running;
    private Func<double, bool> up = _ => true;
    private int probes;

    private double Now => time.GetElapsedTime(0).TotalSeconds;

    [Fact]
    public async Task Passes_what_is_good_from_the_first_moment_and_stays_so()
    {
        GateVerdict verdict = await WatchAsync(Check());
        Assert.True(verdict.Healthy, verdict.Cause);
        Assert.Equal("1 unit and 1 check good for 10 s", verdict.Cause);
        Assert.InRange(Now, 10, 11.5);
        Assert.Equal(["shop.service: active", "up: passes", "all good; watching for 10 s"], progress);
    }

    [Fact]
    public async Task The_stable_time_begins_when_the_last_check_passes()
    {
        up = now => now >= 20;
        GateVerdict verdict = await WatchAsync(Check());
        Assert.True(verdict.Healthy, verdict.Cause);
        Assert.InRange(Now, 30, 31.5);
    }

    [Fact]
    public async Task Fails_what_never_answers_when_the_start_time_is_over()
    {
        up = _ => false;
        GateVerdict verdict = await WatchAsync(Check());
        Assert.False(verdict.Healthy);
        Assert.Equal("not healthy within 60 s: up: connection refused", verdict.Cause);
        Assert.Equal(60, Now, 0.3);
        Assert.Equal(new CheckAnswer("up", false, "connection refused"), Assert.Single(verdict.Last));
    }

    [Fact]
    public async Task Fails_what_is_healthy_and_then_not_after_the_failures_in_a_row_that_the_check_allows()
    {
        up = now => now < 5;
        GateVerdict verdict = await WatchAsync(Check(unhealthy: 3));
        Assert.Equal((false, "up failed 3 times in a row after it had passed: connection refused"), (verdict.Healthy, verdict.Cause));
        Assert.Equal(7, Now, 0.1);
    }

    [Fact]
    public async Task Forgives_single_failures_within_the_threshold()
    {
        up = now => (int)now % 3 != 1;
        Assert.True((await WatchAsync(Check(unhealthy: 2))).Healthy);
    }

    [Fact]
    public async Task Waits_for_as_many_passes_as_the_check_asks_for()
    {
        GateVerdict verdict = await WatchAsync(Check(healthy: 5));
        Assert.True(verdict.Healthy);
        Assert.InRange(Now, 14, 15.5);
    }

    [Fact]
    public async Task Does_not_pass_on_a_failing_last_answer()
    {
        up = now => now < 9.5;                       // two failures of three when the stable time ends
        GateVerdict verdict = await WatchAsync(Check(unhealthy: 3));
        Assert.False(verdict.Healthy);
    }

    [Fact]
    public async Task A_check_that_is_rarer_than_the_stable_time_is_still_seen_after_it()
    {
        up = now => now < 5;
        GateVerdict verdict = await WatchAsync(Check(unhealthy: 1, interval: TimeSpan.FromMinutes(10)));
        Assert.False(verdict.Healthy);
        Assert.Equal(2, probes);
    }

    [Fact]
    public async Task Ends_also_when_a_probe_never_answers()
    {
        var silent = new Probe(async cancellationToken =>
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            throw new InvalidOperationException();
        });
        GateVerdict verdict = await WatchAsync(Definition(Check()), silent, CancellationToken.None);
        Assert.Equal((false, "not healthy within 60 s: up: no answer yet"), (verdict.Healthy, verdict.Cause));
    }

    [Fact]
    public async Task Without_checks_the_unit_alone_decides()
    {
        GateVerdict verdict = await WatchAsync();
        Assert.Equal((true, "1 unit good for 10 s"), (verdict.Healthy, verdict.Cause));
        Assert.InRange(Now, 10, 10.6);
    }

    [Fact]
    public async Task A_stable_time_of_zero_passes_at_once()
    {
        var gate = new Gate(new Probe(_ => Task.FromResult(true)), new StaticSupervisor(_ => Running), time);
        Assert.True((await RunAsync(gate.WatchAsync(Definition(Check()), Start, TimeSpan.Zero, new Reports(progress), CancellationToken.None))).Healthy);
        Assert.Equal(0, Now);
    }

    [Theory]
    [InlineData("failed", "failed", "exit-code", "exited", 3, "shop.service failed: exit status 3 (exit-code)")]
    [InlineData("failed", "failed", "oom-kill", "killed", 9, "shop.service failed: signal 9 (oom-kill)")]
    [InlineData("failed", "failed", "core-dump", "dumped", 11, "shop.service failed: signal 11, core dumped (core-dump)")]
    [InlineData("failed", "failed", "timeout", "", 0, "shop.service failed: timeout")]
    [InlineData("inactive", "dead", "success", "exited", 0, "shop.service was stopped while it was watched")]
    [InlineData("activating", "auto-restart", "exit-code", "exited", 1, "shop.service ended: exit status 1 (exit-code)")]
    public async Task A_unit_that_ends_fails_the_gate_at_once(string active, string sub, string result, string kind, int code, string cause)
    {
        unit = now => now < 4 ? Running : Running with { ActiveState = active, SubState = sub, Result = result, ExitKind = kind, ExitCode = code, MainPid = 0 };
        GateVerdict verdict = await WatchAsync(Check());
        Assert.Equal((false, cause), (verdict.Healthy, verdict.Cause));
        Assert.Equal(4, Now, 0.3);
    }

    [Fact]
    public async Task A_unit_that_ends_at_once_fails_without_the_start_time()
    {
        unit = _ => Running with { ActiveState = "failed", SubState = "failed", Result = "exit-code", ExitKind = "exited", ExitCode = 203 };
        Assert.False((await WatchAsync(Check())).Healthy);
        Assert.Equal(0, Now);
    }

    [Fact]
    public async Task A_restart_by_systemd_between_two_looks_is_seen_by_the_count()
    {
        unit = now => now < 4 ? Running : Running with { Restarts = 1, InvocationId = "i2", MainPid = 101 };
        GateVerdict verdict = await WatchAsync(Check());
        Assert.Equal(("shop.service ended and was restarted by systemd", false), (verdict.Cause, verdict.ByHand));
    }

    [Fact]
    public async Task Restarts_from_before_do_not_count()
    {
        unit = _ => Running with { Restarts = 7 };
        Assert.True((await WatchAsync(Check())).Healthy);
    }

    [Fact]
    public async Task A_restart_by_somebody_else_fails_the_gate()
    {
        unit = now => now < 4 ? Running : Running with { InvocationId = "i2", MainPid = 101 };
        GateVerdict verdict = await WatchAsync(Check());
        Assert.Equal(("shop.service was restarted while it was watched", true), (verdict.Cause, verdict.ByHand));
    }

    [Theory]
    [InlineData("masked", "active", "shop.service is masked")]
    [InlineData("loaded", "inactive", "shop.service was stopped while it was watched")]
    public async Task What_somebody_did_to_a_unit_says_nothing_of_the_release(string load, string active, string told)
    {
        unit = now => now < 4 ? Running : Running with { LoadState = load, ActiveState = active };
        GateVerdict verdict = await WatchAsync(Check());
        Assert.Equal((false, told, true), (verdict.Healthy, verdict.Cause, verdict.ByHand));
    }

    [Fact]
    public async Task A_main_process_that_changes_fails_the_gate()
    {
        unit = now => now < 4 ? Running : Running with { MainPid = 101 };
        Assert.Equal("shop.service changed its main process while it was watched", (await WatchAsync(Check())).Cause);
    }

    [Fact]
    public async Task A_unit_may_take_its_start_time_to_become_active()
    {
        unit = now => now < 30 ? Running with { ActiveState = "activating", SubState = "start", InvocationId = "i1" } : Running;
        Assert.True((await WatchAsync(Check())).Healthy);
        Assert.InRange(Now, 40, 41.5);
    }

    [Fact]
    public async Task A_unit_that_stays_activating_fails_with_its_state()
    {
        unit = _ => Running with { ActiveState = "activating", SubState = "start" };
        Assert.Equal("not healthy within 60 s: shop.service is activating (start)", (await WatchAsync(Check())).Cause);
    }

    [Fact]
    public async Task A_unit_that_hangs_in_stopping_fails_in_the_end()
    {
        unit = now => now < 4 ? Running : Running with { ActiveState = "deactivating", SubState = "stop-sigterm" };
        GateVerdict verdict = await WatchAsync(Check());
        Assert.False(verdict.Healthy);
        Assert.Contains("shop.service is deactivating (stop-sigterm)", verdict.Cause, StringComparison.Ordinal);
        Assert.InRange(Now, 10, 30);
    }

    [Fact]
    public async Task A_oneshot_unit_that_remains_is_good()
    {
        unit = _ => Running with { SubState = "exited", MainPid = 0, ExitKind = "exited" };
        Assert.True((await WatchAsync()).Healthy);
    }

    [Fact]
    public async Task A_unit_that_is_not_there_fails_at_once()
    {
        unit = _ => Running with { LoadState = "not-found", ActiveState = "inactive", SubState = "dead" };
        Assert.Equal("shop.service is not-found", (await WatchAsync(Check())).Cause);
        Assert.Equal(0, Now);
    }

    [Theory]
    [InlineData(-86400)]
    [InlineData(86400)]
    public async Task A_clock_that_is_set_changes_nothing(int seconds)
    {
        unit = now =>
        {
            if (now == 4) time.StepWallClock(TimeSpan.FromSeconds(seconds));
            return Running;
        };
        Assert.True((await WatchAsync(Check())).Healthy);
        Assert.InRange(Now, 10, 11.5);
    }

    [Theory]
    [InlineData(-86400)]
    [InlineData(86400)]
    public async Task A_clock_that_is_set_does_not_lengthen_or_shorten_the_start_time(int seconds)
    {
        up = now =>
        {
            if (now == 4) time.StepWallClock(TimeSpan.FromSeconds(seconds));
            return false;
        };
        Assert.Equal("not healthy within 60 s: up: connection refused", (await WatchAsync(Check())).Cause);
        Assert.Equal(60, Now, 0.3);
    }

    [Fact]
    public async Task A_machine_that_stood_still_gives_the_release_the_rest_of_its_start_time()
    {
        unit = _ => StallOnce(30, TimeSpan.FromHours(8));
        up = now => now >= 8 * 3600 + 50;
        GateVerdict verdict = await WatchAsync(Check());
        Assert.True(verdict.Healthy, verdict.Cause);
        Assert.InRange(Now, 8 * 3600 + 60, 8 * 3600 + 62);
    }

    [Fact]
    public async Task A_machine_that_stood_still_does_not_make_a_release_healthy_that_nobody_watched()
    {
        unit = _ => StallOnce(4, TimeSpan.FromHours(8));
        up = now => now < 8 * 3600 + 7;              // 7 s of the 10 were seen
        GateVerdict verdict = await WatchAsync(Check(unhealthy: 2));
        Assert.Equal((false, "up failed 2 times in a row after it had passed: connection refused"), (verdict.Healthy, verdict.Cause));
    }

    [Fact]
    public async Task A_check_whose_time_ran_out_while_the_machine_stood_still_is_run_again()
    {
        up = now =>
        {
            if (now != 4) return true;
            time.Stall(TimeSpan.FromHours(8));
            return false;                            // "no answer within 2 s"
        };
        GateVerdict verdict = await WatchAsync(Check(unhealthy: 1));
        Assert.True(verdict.Healthy, verdict.Cause);
    }

    [Fact]
    public async Task A_call_of_systemd_that_ran_out_of_time_while_the_machine_stood_still_is_made_again()
    {
        unit = now =>
        {
            if (now != 4) return Running;
            time.Stall(TimeSpan.FromHours(8));
            throw new OperatorException(ExitCode.NeedsOperator, "systemd did not answer within 30 s", "see systemctl status");
        };
        Assert.True((await WatchAsync(Check())).Healthy);
    }

    [Fact]
    public async Task A_restart_while_the_machine_stood_still_counts()
    {
        unit = _ => StallOnce(4, TimeSpan.FromHours(8)) with { Restarts = Now < 8 * 3600 ? 0u : 1u };
        Assert.Equal("shop.service ended and was restarted by systemd", (await WatchAsync(Check())).Cause);
    }

    [Fact]
    public async Task A_machine_that_stands_still_at_every_look_comes_to_an_end_all_the_same()
    {
        unit = _ =>
        {
            time.Stall(TimeSpan.FromSeconds(2));
            return Running;
        };
        up = _ => false;
        Assert.StartsWith("not healthy within 60 s: up: ", (await WatchAsync(Check())).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_a_timer_starts_need_not_run()
    {
        UnitName timer = new("shop-report.timer"), service = new("shop-report.service");
        AppDefinition definition = Definition(Check()) with { Units = [new UnitSource.Rendered(Unit, "bin/shop", null), new UnitSource.Shipped(timer, "a"), new UnitSource.Shipped(service, "b")] };
        var asked = new HashSet<UnitName>();
        var supervisor = new StaticSupervisor(name =>
        {
            asked.Add(name);
            return name == timer ? Running with { Unit = timer, SubState = "waiting", MainPid = 0 } : Running with { Unit = name };
        });
        var gate = new Gate(new Probe(_ => Task.FromResult(true)), supervisor, time);
        GateVerdict verdict = await RunAsync(gate.WatchAsync(definition, Start, Stable, new Reports(progress), CancellationToken.None));
        Assert.Equal("2 units and 1 check good for 10 s", verdict.Cause);
        Assert.Equal([Unit, timer], asked);
    }

    [Fact]
    public async Task A_masked_unit_fails_at_once()
    {
        unit = _ => Running with { LoadState = "masked", ActiveState = "inactive", SubState = "dead" };
        Assert.Equal("shop.service is masked", (await WatchAsync(Check())).Cause);
    }

    [Fact]
    public async Task An_answer_that_systemd_owes_is_not_a_fault_of_the_release()
    {
        var bus = new OperatorException(ExitCode.NeedsOperator, "systemd does not answer", "see systemctl status");
        unit = now => now < 4 ? Running : throw bus;
        Assert.Same(bus, await Assert.ThrowsAsync<OperatorException>(() => WatchAsync(Check())));
    }

    [Fact]
    public async Task Cancelling_ends_the_watch_and_leaves_no_timer()
    {
        using var cancel = new CancellationTokenSource();
        unit = now =>
        {
            if (now >= 4) cancel.Cancel();
            return Running;
        };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => WatchAsync(Definition(Check()), new Probe(_ => Task.FromResult(true)), cancel.Token));
        Assert.False(time.AdvanceToNext());
    }

    private bool stalled;

    private UnitState StallOnce(double at, TimeSpan by)
    {
        if (Now >= at && !stalled)
        {
            stalled = true;
            time.Stall(by);
        }
        return Running;
    }

    private static CheckOptions Check(int healthy = 1, int unhealthy = 3, TimeSpan? interval = null) =>
        new CheckOptions.Tcp("up", "localhost", 1, interval ?? TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), healthy, unhealthy);

    private static AppDefinition Definition(params CheckOptions[] checks) =>
        new(new AppName("shop"), new Dictionary<string, string>(), [new UnitSource.Rendered(Unit, "bin/shop", null)], checks, AppFile.DefaultGate);

    private Task<GateVerdict> WatchAsync(params CheckOptions[] checks)
    {
        var probe = new Probe(_ =>
        {
            probes++;
            return Task.FromResult(up(Now));
        });
        return WatchAsync(Definition(checks), probe, CancellationToken.None);
    }

    private Task<GateVerdict> WatchAsync(AppDefinition definition, Probe probe, CancellationToken cancellationToken) =>
        RunAsync(new Gate(probe, new StaticSupervisor(_ => unit(Now)), time).WatchAsync(definition, Start, Stable, new Reports(progress), cancellationToken));

    private async Task<GateVerdict> RunAsync(Task<GateVerdict> watch)
    {
        for (int timers = 0; !watch.IsCompleted && time.AdvanceToNext(); timers++) Assert.True(timers < 10_000, "the gate does not end");
        return await watch;
    }

    private sealed class Reports(List<string> to) : IProgress<string>
    {
        public void Report(string value) => to.Add(value);
    }

    private sealed class Probe(Func<CancellationToken, Task<bool>> passes) : IHealthProbe
    {
        public async Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) =>
            await passes(cancellationToken) ? new CheckAnswer(check.Name, true, "connected") : new CheckAnswer(check.Name, false, "connection refused");
    }
}

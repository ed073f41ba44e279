using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Health;

/// <summary>The watch between deployments, in manual time.</summary>
public sealed class HealthWatchTests : IAsyncLifetime
{
    private static readonly AppName Shop = new("shop"), Blog = new("blog");
    private static readonly DateTimeOffset Zero = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly ManualTime time = new();
    private readonly Lines log = new();
    private readonly List<AppName> configured = [Shop];
    private readonly Dictionary<AppName, AppState> states = new() { [Shop] = Deployed(Shop, 1), [Blog] = Deployed(Blog, 1) };
    private readonly Dictionary<string, Func<CancellationToken, Task<bool>>> probes = [];
    private readonly HealthWatch watch;
    private Func<UnitName, UnitState> unit = name => new UnitState(name, "loaded", "active", "running", "success", 0, 100, "", 0, "i1", null);
    private Func<AppName, AppDefinition> define = app => Definition(app);
    private int definitions;
    private int rounds;

    public HealthWatchTests()
    {
        var probe = new Probe(async (app, token) =>
        {
            Interlocked.Increment(ref rounds);
            return await probes.GetValueOrDefault(app.Value, _ => Task.FromResult(true))(token);
        });
        watch = new HealthWatch(
            () => [.. configured], app => states[app], app =>
            {
                definitions++;
                return define(app);
            }, new Round(new StaticSupervisor(name => unit(name)), probe), time, log);
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await watch.StopAsync(CancellationToken.None);
        watch.Dispose();
    }

    [Fact]
    public async Task Looks_at_once_and_then_every_ten_seconds()
    {
        await BeginAsync();
        WatchedHealth seen = watch.Of(Shop);
        Assert.Equal((true, null), (seen.Healthy, seen.Since));
        Assert.Equal([new("unit shop.service", true, "active (running)"), new CheckAnswer("up", true, "fine")], seen.Checks.Select(check => check.Last));
        Assert.All(seen.Checks, check => Assert.Equal((0, null), (check.Failures, check.FailingSince)));
        await PassAsync(TimeSpan.FromSeconds(10));
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((3, 1), (rounds, definitions));
        Assert.Empty(log.Told);
    }

    [Fact]
    public async Task Takes_the_interval_of_the_app()
    {
        define = app => Definition(app) with { Watch = TimeSpan.FromMinutes(1) };
        await BeginAsync();
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.Equal(1, rounds);
        await PassAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(2, rounds);
    }

    [Fact]
    public async Task Tells_once_when_an_app_becomes_unhealthy_by_its_threshold_and_once_when_it_is_healthy_again()
    {
        await BeginAsync();
        probes["shop"] = _ => Task.FromResult(false);
        for (int failures = 1; failures <= 5; failures++)
        {
            await PassAsync(TimeSpan.FromSeconds(10));
            WatchedHealth seen = watch.Of(Shop);
            Assert.Equal((failures, Zero.AddSeconds(10)), (seen.Checks[1].Failures, seen.Checks[1].FailingSince));
            Assert.Equal((failures < 3, failures < 3 ? null : Zero.AddSeconds(30)), (seen.Healthy, seen.Since));
        }
        Assert.Equal(["1800 shop is unhealthy: up: refused"], log.Told);
        probes.Clear();
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((true, 0, null), (watch.Of(Shop).Healthy, watch.Of(Shop).Checks[1].Failures, watch.Of(Shop).Checks[1].FailingSince));
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(["1800 shop is unhealthy: up: refused", "1801 shop is healthy again after 30 s"], log.Told);
    }

    [Fact]
    public async Task A_unit_that_is_not_active_makes_an_app_unhealthy_at_once()
    {
        await BeginAsync();
        unit = name => new UnitState(name, "loaded", "failed", "failed", "oom-kill", 0, 0, "killed", 9, "i1", null);
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(["1800 shop is unhealthy: unit shop.service: failed (failed), result oom-kill"], log.Told);
    }

    [Fact]
    public async Task A_systemd_that_does_not_answer_leaves_what_was_seen_before()
    {
        await BeginAsync();
        unit = _ => throw new OperatorException(ExitCode.NeedsOperator, "the bus is gone", "systemctl status dbus");
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((true, "active (running)"), (watch.Of(Shop).Healthy, watch.Of(Shop).Checks[0].Last.Detail));
        Assert.Empty(log.Told);
    }

    [Fact]
    public async Task Where_systemd_never_answered_nothing_is_held_against_the_app()
    {
        unit = _ => throw new OperatorException(ExitCode.NeedsOperator, "the bus is gone", "systemctl status dbus");
        await BeginAsync();
        Assert.Equal((true, 0, "the bus is gone"), (watch.Of(Shop).Healthy, watch.Of(Shop).Checks[0].Failures, watch.Of(Shop).Checks[0].Last.Detail));
    }

    [Fact]
    public async Task A_release_whose_definition_is_gone_is_not_watched()
    {
        define = _ => null!;
        await watch.StartAsync(CancellationToken.None);
        await time.NextTimerAsync();
        time.Advance(TimeSpan.FromSeconds(10));
        await time.NextTimerAsync();
        await watch.IdleAsync();
        Assert.Equal((0, 1), (rounds, definitions));
        Assert.Null(watch.Of(Shop).Healthy);
    }

    [Fact]
    public async Task Nothing_is_looked_at_more_often_than_every_second_and_apps_keep_their_own_pace()
    {
        define = app => Definition(app) with { Watch = app == Shop ? TimeSpan.FromMilliseconds(10) : TimeSpan.FromSeconds(5) };
        configured.Add(Blog);
        await BeginAsync();
        await Eventually.HoldsAsync(() => watch.Of(Blog).Healthy is not null);
        Assert.Equal(TimeSpan.FromSeconds(1), await time.NextTimerAsync());
        int before = rounds;
        for (int second = 0; second < 4; second++) await PassAsync(TimeSpan.FromSeconds(1));
        Assert.Equal(before + 4, rounds);
        await PassAsync(TimeSpan.FromSeconds(1));
        await watch.IdleAsync();
        Assert.Equal(before + 6, rounds);   // of both
    }

    [Fact]
    public async Task Nothing_is_known_of_an_app_without_a_release_or_that_is_not_configured()
    {
        states[Shop] = AppState.Empty(Shop);
        await watch.StartAsync(CancellationToken.None);
        await time.NextTimerAsync();
        Assert.Same(WatchedHealth.Unknown, watch.Of(Shop));
        Assert.Same(WatchedHealth.Unknown, watch.Of(Blog));
        Assert.Equal((0, 0), (rounds, definitions));
    }

    [Fact]
    public async Task While_an_app_is_deployed_nothing_is_looked_at_and_afterwards_the_watch_begins_anew()
    {
        probes["shop"] = _ => Task.FromResult(false);
        await BeginAsync();
        Assert.Equal(1, watch.Of(Shop).Checks[1].Failures);
        states[Shop] = Deploying(states[Shop]);
        Assert.Same(WatchedHealth.Unknown, watch.Of(Shop));
        time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(1, rounds);
        states[Shop] = Deployed(Shop, 2);
        Assert.Same(WatchedHealth.Unknown, watch.Of(Shop));
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((1, Zero.AddSeconds(70)), (watch.Of(Shop).Checks[1].Failures, watch.Of(Shop).Checks[1].FailingSince));
        Assert.Equal(2, definitions);
    }

    [Fact]
    public async Task A_round_that_a_deployment_overtakes_counts_for_nothing()
    {
        var answer = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        probes["shop"] = _ => answer.Task;
        await watch.StartAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => rounds == 1);
        states[Shop] = Deployed(Shop, 2);
        probes.Clear();
        answer.SetResult(false);
        await watch.IdleAsync();
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal((true, 0), (watch.Of(Shop).Healthy, watch.Of(Shop).Checks[1].Failures));
    }

    [Fact]
    public async Task A_check_that_hangs_holds_no_other_app_up_and_is_not_run_twice_at_once()
    {
        configured.Add(Blog);
        int hanging = 0;
        probes["shop"] = async token =>
        {
            hanging++;
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            return true;
        };
        await BeginAsync(Blog);
        for (int i = 0; i < 3; i++)
        {
            WatchedHealth before = watch.Of(Blog);
            await Eventually.HoldsAsync(() =>
            {
                time.Advance(TimeSpan.FromSeconds(10));
                return !ReferenceEquals(watch.Of(Blog), before);
            });
        }
        Assert.Equal((1, (bool?)null), (hanging, watch.Of(Shop).Healthy));
    }

    [Fact]
    public async Task An_error_is_told_once_and_the_next_round_is_made_as_planned()
    {
        define = _ => throw new IOException("no such file");
        await watch.StartAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => log.Told.Count > 0);
        await watch.IdleAsync();
        await time.NextTimerAsync();
        time.Advance(TimeSpan.FromSeconds(10));
        await Eventually.HoldsAsync(() => definitions == 2);
        await watch.IdleAsync();
        define = app => Definition(app);
        await PassAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(["1802 shop: its checks could not be run"], log.Told);
        Assert.True(watch.Of(Shop).Healthy);
    }

    [Fact]
    public async Task An_app_that_comes_with_a_new_configuration_is_watched_and_one_that_goes_is_forgotten()
    {
        await BeginAsync();
        configured[0] = Blog;
        time.Advance(TimeSpan.FromSeconds(10));
        await Eventually.HoldsAsync(() => watch.Of(Blog).Healthy == true);
        Assert.Same(WatchedHealth.Unknown, watch.Of(Shop));
    }

    [Fact]
    public async Task Ends_with_the_agent_also_in_the_middle_of_a_round()
    {
        bool ended = false;
        probes["shop"] = async token =>
        {
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            }
            finally
            {
                ended = true;
            }
            return true;
        };
        await watch.StartAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => rounds == 1);
        await watch.StopAsync(CancellationToken.None);
        Assert.True(ended);
        Assert.Empty(log.Told);
    }

    private async Task BeginAsync(AppName? app = null)
    {
        await watch.StartAsync(CancellationToken.None);
        await Eventually.HoldsAsync(() => watch.Of(app ?? Shop).Healthy is not null);
        if (app is null) await watch.IdleAsync();
        await time.NextTimerAsync();
    }

    /// <summary>Lets time pass until a round was made of shop.</summary>
    private async Task PassAsync(TimeSpan by)
    {
        await time.NextTimerAsync();
        WatchedHealth before = watch.Of(Shop);
        time.Advance(by);
        await Eventually.HoldsAsync(() => !ReferenceEquals(watch.Of(Shop), before));
        await watch.IdleAsync();
    }

    private static AppState Deployed(AppName app, int count)
    {
        var release = new ReleaseRef($"v1.{count}.0", new string('a', 64));
        return AppState.Empty(app) with { Proved = [new ProvedRelease(release, $"{app}-{count}", Zero)], Dropped = count };
    }

    private static AppState Deploying(AppState state) => state with
    {
        Deployments = [new Deployment($"{state.Name}-2", state.Name, null, null, state.Proved[0].Release, Trigger.Deploy, "test", Zero, null, null, null, null, null, [])],
    };

    private static AppDefinition Definition(AppName app) => new(
        app, new Dictionary<string, string>(), [new UnitSource.Rendered(new UnitName($"{app}.service"), "bin/shop", null)],
        [new CheckOptions.Tcp("up", "localhost", 1, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3)], AppFile.DefaultGate);

    private sealed class Probe(Func<AppName, CancellationToken, Task<bool>> passes) : IHealthProbe
    {
        public async Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) =>
            await passes(app.Name, cancellationToken) ? new CheckAnswer(check.Name, true, "fine") : new CheckAnswer(check.Name, false, "refused");
    }

    private sealed class Lines : ILogger<HealthWatch>
    {
        public ImmutableList<string> Told { get; private set; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Told = Told.Add($"{eventId.Id} {formatter(state, exception)}");
    }
}

using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;

namespace Agent.Tests.Api;

public class HealthRoundTests
{
    private static readonly UnitName Shop = new("shop.service"), Worker = new("shop-worker.service");

    [Fact]
    public async Task Tells_units_first_and_then_checks_in_the_order_of_the_definition()
    {
        var supervisor = new OneStateSupervisor(new UnitState(Shop, "loaded", "active", "running", "success", 0, 12, "", 0, "", null));
        IReadOnlyList<CheckAnswer> answers = await new HealthRound(supervisor, new NamedProbe()).RunAsync(Definition(), TestContext.Current.CancellationToken);
        Assert.Equal(
            [new("unit shop.service", true, "active (running)"), new("unit shop-worker.service", true, "active (running)"), new("http /up", true, "fine"), new CheckAnswer("tcp 80", false, "refused")],
            answers);
    }

    [Theory]
    [InlineData("loaded", "failed", "failed", "oom-kill", "failed (failed), result oom-kill")]
    [InlineData("loaded", "activating", "auto-restart", "exit-code", "activating (auto-restart), result exit-code")]
    [InlineData("loaded", "inactive", "dead", "success", "inactive (dead)")]
    [InlineData("not-found", "inactive", "dead", "success", "not-found")]
    public async Task A_unit_that_is_not_active_fails(string load, string active, string sub, string result, string told)
    {
        var supervisor = new OneStateSupervisor(new UnitState(Shop, load, active, sub, result, 0, 0, "exited", 1, "", null));
        CheckAnswer answer = (await new HealthRound(supervisor, new NamedProbe()).RunAsync(Definition(), TestContext.Current.CancellationToken))[0];
        Assert.Equal(new CheckAnswer("unit shop.service", false, told), answer);
    }

    [Fact]
    public async Task A_bus_that_is_gone_is_a_failed_check_and_no_error()
    {
        CheckAnswer answer = (await new HealthRound(new OneStateSupervisor(null), new NamedProbe()).RunAsync(Definition(), TestContext.Current.CancellationToken))[0];
        Assert.Equal(new CheckAnswer("unit shop.service", false, "the bus is gone"), answer);
    }

    [Fact]
    public async Task A_service_that_a_timer_starts_is_not_asked_whether_it_runs()
    {
        var supervisor = new OneStateSupervisor(new UnitState(Shop, "loaded", "active", "waiting", "success", 0, 0, "", 0, "", null));
        AppDefinition definition = Definition() with { Checks = [], Units = [new UnitSource.Shipped(new UnitName("shop.timer"), "a"), new UnitSource.Shipped(Shop, "b")] };
        Assert.Equal(
            [new CheckAnswer("unit shop.timer", true, "active (waiting)")], await new HealthRound(supervisor, new NamedProbe()).RunAsync(definition, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_check_that_systemd_owes_an_answer_for_is_a_failed_check_and_no_error()
    {
        CheckAnswer answer = (await new HealthRound(new OneStateSupervisor(null), new BusProbe()).RunAsync(Definition(), TestContext.Current.CancellationToken))[2];
        Assert.Equal(new CheckAnswer("http /up", false, "the bus is gone"), answer);
    }

    [Fact]
    public void What_fails_now_is_joined_with_since_when_the_watch_saw_it_fail()
    {
        DateTimeOffset since = new(2026, 1, 1, 3, 0, 0, TimeSpan.Zero);
        var watched = new WatchedHealth(false, since,
            [new WatchedCheck(new CheckAnswer("a", false, "503"), 7, since), new WatchedCheck(new CheckAnswer("b", false, "503"), 7, since), new WatchedCheck(new CheckAnswer("c", true, "200"), 0, null)]);
        CheckAnswer a = new("a", false, "refused"), b = new("b", true, "200"), c = new("c", false, "503"), d = new("d", false, "503");
        Assert.Equal(
            [new WatchedCheck(a, 7, since), new WatchedCheck(b, 0, null), new WatchedCheck(c, 0, null), new WatchedCheck(d, 0, null)], HealthRound.Join([a, b, c, d], watched));
        Assert.Equal([new WatchedCheck(a, 0, null)], HealthRound.Join([a], WatchedHealth.Unknown));
    }

    private static AppDefinition Definition()
    {
        TimeSpan second = TimeSpan.FromSeconds(1);
        return new AppDefinition(new AppName("shop"), new Dictionary<string, string>(), [new UnitSource.Rendered(Shop, "bin/shop", null), new UnitSource.Rendered(Worker, "bin/worker", null)],
            [new CheckOptions.Http("http /up", new Uri("http://localhost/up"), null, second, second, 1, 3), new CheckOptions.Tcp("tcp 80", "localhost", 80, second, second, 1, 3)],
            new GateOptions(second, second));
    }

    private sealed class NamedProbe : IHealthProbe
    {
        public Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) =>
            Task.FromResult(new CheckAnswer(check.Name, check is CheckOptions.Http, check is CheckOptions.Http ? "fine" : "refused"));
    }

    private sealed class BusProbe : IHealthProbe
    {
        public Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) =>
            throw new OperatorException(ExitCode.NeedsOperator, "the bus is gone", "systemctl status dbus");
    }
}

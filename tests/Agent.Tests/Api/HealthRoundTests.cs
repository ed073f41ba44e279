using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

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
}

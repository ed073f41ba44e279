using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>The sentence that a person reads first, for each way in which a deployment can end.</summary>
public class VerdictTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_first_release_that_fails_is_gone_again()
    {
        using World world = World.New();
        Deployment ended = (await world.DeployAsync("v1.1.5"))!;
        Assert.EndsWith(". It was the first release here, and is gone again", world.Engine.Verdict(ended), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_fails_touches_nothing_that_runs()
    {
        using World world = World.New();
        Deployment live = (await world.DeployAsync("v1.1.0"))!;
        Assert.Equal("shop v1.1.0 went live", world.Engine.Verdict(live));
        world.Source.Failure = new OperatorException(ExitCode.Unreachable, "the store is away", "look at it");
        Deployment ended = (await world.DeployAsync("v1.2.0"))!;
        Assert.Equal("shop v1.2.0 failed at fetch: the store is away. Nothing that runs was touched", world.Engine.Verdict(ended));
        Assert.Equal("v1.1.0", world.System.Running["shop.service"].Version);
    }

    [Fact]
    public async Task What_was_cancelled_may_be_tried_again()
    {
        using World world = World.New();
        await world.DeployAsync("v1.1.0");
        Task<string> waiting = world.StopAtAsync(Step.Gate);
        Deployment started = await world.StartAsync("v1.2.0");
        await waiting;
        Assert.Equal("shop v1.2.0 is under way, at gate", world.Engine.Verdict(world.Engine.Find(started.Id)));
        Task<Deployment> cancelling = world.Engine.CancelAsync(started.Id, "ann", Cancel);
        world.GoOn();
        await cancelling;
        await world.Engine.IdleAsync();
        Assert.EndsWith(". v1.1.0 answers again; the release was not to blame and may be tried again", world.Engine.Verdict(world.Engine.Find(started.Id)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_nothing_ran_there_is_nothing_to_pin_or_compare()
    {
        using World world = World.New();
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => world.Engine.Pin(World.Shop, null, "ann", "")).Code);
        Assert.Contains("only one release", Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, null, null)).Message, StringComparison.Ordinal);
        await world.DeployAsync("v1.1.0");
        Assert.Contains("only one release", Assert.Throws<OperatorException>(() => world.Engine.Diff(World.Shop, null, null)).Message, StringComparison.Ordinal);
        Assert.Contains("there is no deployment 'shop-7'", Assert.Throws<OperatorException>(() => world.Engine.Find("shop-7")).Message, StringComparison.Ordinal);
        Assert.Null(world.Engine.RunningYaml(World.Shop));
        Assert.Equal("v1.4.0", world.Engine.Pin(World.Shop, new ReleaseVersion("v1.4.0"), "ann", "audit"));
    }
}

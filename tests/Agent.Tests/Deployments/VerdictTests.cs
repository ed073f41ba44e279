using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;
using Verdict = Agent.Daemon.Deployments.Verdict;

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
    public void What_could_not_be_put_back_is_told_with_its_cause()
    {
        Deployment ended = NeedsOperator(new JournalRecord.UndoFailed(EngineRoom.Now, "shop-2", Step.Flip, "no room"));
        Assert.Equal("shop v2.0.0 failed at gate: 500. v1.0.0 does not come back either: it could not be put back (no room)", Verdict.Of(ended, Seen(["up"], ["up"])));
    }

    [Theory]
    [InlineData("up", "up", ", and fails in the same place (up): it looks like this host, or something that both need, and not like the release")]
    [InlineData("up", "down", ", and fails in another place: it looks like the release left something behind that the old one cannot work with (data, schema, files)")]
    public void Whose_fault_it_is_shows_by_where_both_fail(string now, string then, string told)
    {
        Deployment ended = NeedsOperator(new JournalRecord.UndoFailed(EngineRoom.Now, "shop-2", Step.Gate, "500"));
        Assert.EndsWith($"v1.0.0 does not come back either{told}", Verdict.Of(ended, Seen([now], [then])), StringComparison.Ordinal);
        Assert.EndsWith("v1.0.0 does not come back either", Verdict.Of(ended, Seen([now], [then]) with { OldChecks = null }), StringComparison.Ordinal);
        Assert.EndsWith("v1.0.0 does not come back either", Verdict.Of(ended, null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("failed", "failed", true)]
    [InlineData("inactive", "dead", true)]
    [InlineData("activating", "auto-restart", true)]
    [InlineData("activating", "auto-restart-queued", true)]
    [InlineData("activating", "start", false)]
    [InlineData("active", "running", false)]
    public void A_unit_that_ends_under_both_looks_like_the_host(string active, string sub, bool host)
    {
        UnitEvidence[] units = [new UnitEvidence("shop.service", active, sub, "", "", 0, 0)];
        Deployment ended = NeedsOperator(new JournalRecord.UndoFailed(EngineRoom.Now, "shop-2", Step.Restart, "no"));
        Assert.Equal(host, Verdict.Of(ended, Seen([], []) with { Units = units, OldUnits = units }).Contains("fails in the same place (shop.service)", StringComparison.Ordinal));
    }

    [Fact]
    public void What_failed_before_its_first_step_failed_at_its_start()
    {
        Deployment stopped = EngineRoom.Deploying(new ReleaseRef("v2.0.0", "2"), null, new JournalRecord.Interrupted(EngineRoom.Now, "shop-2"));
        Assert.Equal("shop v2.0.0 is under way, at start", Verdict.Of(stopped, null));
        Deployment ended = EngineRoom.Deploying(
            new ReleaseRef("v2.0.0", "2"), null, new JournalRecord.StepFailed(EngineRoom.Now, "shop-2", Step.Fetch, "cancelled by ann", "", false), new JournalRecord.DeploymentFinished(EngineRoom.Now, "shop-2", Outcome.Refused, false));
        Assert.Equal("shop v2.0.0 was cancelled by ann, at fetch. Nothing that runs was touched", Verdict.Of(ended, null));
    }

    private static Deployment NeedsOperator(JournalRecord.UndoFailed failed) => EngineRoom.Deploying(
        new ReleaseRef("v2.0.0", "2"), new ReleaseRef("v1.0.0", "1"), new JournalRecord.StepFailed(EngineRoom.Now, "shop-2", Step.Gate, "500", "", true), failed,
        new JournalRecord.DeploymentFinished(EngineRoom.Now, "shop-2", Outcome.NeedsOperator, false));

    /// <summary>Checks that failed under the new release, and under the old one; another one passed under both.</summary>
    private static Evidence Seen(string[] now, string[] then) => new("gate", [.. now.Select(Failed), Passed], [], [], [], [], 0, 0) { OldChecks = [.. then.Select(Failed), Passed], OldUnits = [] };

    private static CheckEvidence Failed(string check) => new(check, false, "500");

    private static CheckEvidence Passed => new("tcp", true, "");

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

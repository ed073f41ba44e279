using Agent.Artifacts;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.State;

/// <summary>What records come to.</summary>
public class AgentStateTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly ReleaseRef V1 = new("v1.0.0", "1"), V2 = new("v2.0.0", "2");

    [Fact]
    public void Before_the_first_deployment_nothing_runs_and_nothing_ran()
    {
        AppState app = AgentState.Empty.App(World.Shop);
        Assert.Equal((null, null, null, null, 0), (app.Current, app.Since, app.Generation, app.Running, app.Count));
        Assert.Null(AgentState.Empty.Find("shop-1"));
    }

    [Fact]
    public void What_is_under_way_runs_until_its_outcome_and_changes_nothing_before_its_commit()
    {
        AgentState state = Fold(Live("shop-1", V1));
        Assert.Null(state.App(World.Shop).Running);
        state = Fold(state, Started("shop-2", V2), new StepStarted(Now, "shop-2", Step.Fetch));
        AppState app = state.App(World.Shop);
        Assert.Equal(("shop-2", Step.Fetch, V1, "shop-1"), (app.Running?.Id, app.Running?.Step, app.Current, app.Generation));
        app = Fold(state, new Committed(Now.AddHours(1), "shop-2")).App(World.Shop);
        Assert.Equal((V2, "shop-2", Now.AddHours(1), "shop-2"), (app.Current, app.Generation, app.Since, app.Running?.Id));
        Assert.Equal([V2, V1], app.Proved.Select(proved => proved.Release));
    }

    [Fact]
    public void The_first_cause_stays_whatever_fails_after_it()
    {
        Deployment found = Find(
            Started("shop-1", V1), new StepStarted(Now, "shop-1", Step.Flip), new StepFailed(Now, "shop-1", Step.Flip, "first", "look", false), new Interrupted(Now, "shop-1"),
            new UndoStarted(Now, "shop-1", Step.Flip), new StepFailed(Now, "shop-1", Step.Gate, "second", "elsewhere", true), new UndoFailed(Now, "shop-1", Step.Stage, "litter"));
        Assert.Equal((Step.Flip, "first", "look"), (found.Step, found.Cause, found.Remedy));
        Assert.Equal(7, found.Records.Count);
    }

    [Theory]
    [InlineData("Flip")]
    [InlineData("Restart")]
    [InlineData("Gate")]
    public void A_way_back_that_fails_is_told_with_the_first_cause(string step)
    {
        Deployment found = Find(
            Started("shop-1", V1), new StepFailed(Now, "shop-1", Step.Gate, "first", "", true), new UndoFailed(Now, "shop-1", Enum.Parse<Step>(step), "no bus"),
            new DeploymentFinished(Now.AddHours(1), "shop-1", Outcome.NeedsOperator, false));
        Assert.Equal("first; going back failed: no bus", found.Cause);
        Assert.Equal((Now.AddHours(1), Outcome.NeedsOperator), (found.Finished, found.Outcome));
    }

    [Theory]
    [InlineData("choose", "choose")]
    [InlineData(null, "look")]
    public void A_database_that_the_old_release_cannot_live_with_is_told_with_its_own_remedy(string? remedy, string told)
    {
        Deployment found = Find(
            Started("shop-1", V1), new StepFailed(Now, "shop-1", Step.Gate, "first", "look", true), new UndoFailed(Now, "shop-1", Step.Migrate, "the schema is newer") { Remedy = remedy });
        Assert.Equal(("first; the schema is newer", told, true), (found.Cause, found.Remedy, found.IsStuckAtSchema));
    }

    [Fact]
    public void What_fails_behind_the_commit_point_is_no_cause()
    {
        Deployment found = Find(Started("shop-1", V1), new Committed(Now, "shop-1"), new StepFailed(Now, "shop-1", Step.Contract, "no", "", false), new StepFailed(Now, "shop-1", Step.Sweep, "no", "", false));
        Assert.Equal((null, false), (found.Cause, found.IsStuckAtSchema));
    }

    [Fact]
    public void A_crash_is_a_cause_before_the_commit_and_none_behind_it()
    {
        Deployment early = Find(Started("shop-1", V1), new Interrupted(Now, "shop-1"));
        Assert.Equal(("agentd stopped during start (power cut, crash or restart)", "deploy again"), (early.Cause, early.Remedy));
        Deployment later = Find(Started("shop-1", V1), new StepStarted(Now, "shop-1", Step.Stage), new Interrupted(Now, "shop-1"));
        Assert.StartsWith("agentd stopped during stage ", later.Cause, StringComparison.Ordinal);
        Deployment live = Find(
            Started("shop-1", V1), new Committed(Now, "shop-1"), new Interrupted(Now, "shop-1"), new StepFailed(Now, "shop-1", Step.Sweep, "disk", "", false));
        Assert.Null(live.Cause);
    }

    [Fact]
    public void A_quarantine_names_the_release_its_cause_and_its_deployment_until_somebody_ends_it()
    {
        JournalRecord[] bad = [Started("shop-1", V1), new StepFailed(Now, "shop-1", Step.Gate, "500", "", true), new DeploymentFinished(Now.AddHours(1), "shop-1", Outcome.RolledBack, true)];
        Assert.Equal(new Quarantine(V1, "500", "shop-1", Now.AddHours(1)), Fold(bad).App(World.Shop).Quarantined["1"]);
        Assert.Empty(Fold([.. bad, new Unquarantined(Now, "shop", "1", "ann", "why")]).App(World.Shop).Quarantined);
        Assert.Empty(Fold([.. bad, .. Live("shop-2", V1)]).App(World.Shop).Quarantined);
        Assert.Single(Fold([.. bad, .. Live("shop-2", V2)]).App(World.Shop).Quarantined);
        bad[2] = new DeploymentFinished(Now, "shop-1", Outcome.RolledBack, false);
        Assert.Empty(Fold(bad).App(World.Shop).Quarantined);
    }

    [Fact]
    public void Five_hundred_bad_releases_are_remembered_and_the_oldest_is_forgotten_first()
    {
        AgentState state = AgentState.Empty;
        for (int n = 0; n < 502; n++)
        {
            state = Fold(
                state, Started($"shop-{n}", new ReleaseRef($"v1.{n}.0", $"{n}")),
                new DeploymentFinished(Now.AddMinutes(n), $"shop-{n}", Outcome.RolledBack, true));
        }
        AppState app = state.App(World.Shop);
        Assert.Equal(500, app.Quarantined.Count);
        Assert.False(app.Quarantined.ContainsKey("0") || app.Quarantined.ContainsKey("1"));
        Assert.True(app.Quarantined.ContainsKey("2") && app.Quarantined.ContainsKey("501"));
    }

    [Fact]
    public void Five_hundred_good_releases_are_remembered_and_each_once()
    {
        AgentState state = AgentState.Empty;
        for (int n = 0; n < 502; n++) state = Fold(state, [.. Live($"shop-{n}", new ReleaseRef($"v1.{n}.0", $"{n}"))]);
        state = Fold(state, [.. Live("shop-502", new ReleaseRef("v1.300.0", "300"))]);
        AppState app = state.App(World.Shop);
        Assert.Equal(500, app.Proved.Count);
        Assert.Equal(["300", "501", "500"], app.Proved.Take(3).Select(proved => proved.Release.Digest));
        Assert.Single(app.Proved, proved => proved.Release.Digest == "300");
    }

    [Fact]
    public void A_persons_rollback_holds_tracking_below_what_they_left_until_the_next_deployment()
    {
        AgentState state = Fold([.. Live("shop-1", V1), .. Live("shop-2", V2, V1), .. Live("shop-3", V1, V2, Trigger.Rollback)]);
        Assert.Equal("v2.0.0", state.App(World.Shop).HeldAt);
        Assert.Null(Fold(state, new Resumed(Now, "shop", "ann")).App(World.Shop).HeldAt);
        Assert.Null(Fold(state, [.. Live("shop-4", V2, V1)]).App(World.Shop).HeldAt);
    }

    [Fact]
    public void Only_a_person_ends_what_needs_one()
    {
        AgentState state = Fold(
            Started("shop-1", V1), new StepFailed(Now, "shop-1", Step.Gate, "500", "", true), new DeploymentFinished(Now, "shop-1", Outcome.NeedsOperator, false));
        Assert.Equal(new Attention("shop-1", "v1.0.0", "500"), state.App(World.Shop).Attention);
        Assert.NotNull(Fold(state, [.. Live("shop-2", V2, trigger: Trigger.Track)]).App(World.Shop).Attention);
        Assert.Null(Fold(state, [.. Live("shop-2", V2)]).App(World.Shop).Attention);
        Assert.Null(Fold(state, new Resumed(Now, "shop", "ann")).App(World.Shop).Attention);
        Assert.NotNull(Fold(state, Started("shop-2", V2), new DeploymentFinished(Now, "shop-2", Outcome.RolledBack, false)).App(World.Shop).Attention);
    }

    [Fact]
    public void What_the_track_pointed_at_counts_only_where_a_person_deployed_something_else()
    {
        AppState Passed(Trigger trigger) => Fold(Started("shop-1", V1, null, trigger) with { PassedOver = "v9.0.0" }, new Committed(Now, "shop-1")).App(World.Shop);
        Assert.Equal("v9.0.0", Passed(Trigger.Deploy).PassedOver);
        Assert.Equal("v9.0.0", Passed(Trigger.Deploy).Deployments[0].PassedOver);
        Assert.Null(Passed(Trigger.Track).PassedOver);
    }

    [Fact]
    public void Records_of_a_deployment_that_nobody_knows_any_more_change_nothing() =>
        Assert.Same(AgentState.Empty, AgentState.Empty.Apply(new StepStarted(Now, "shop-1", Step.Fetch)));

    [Fact]
    public void Apps_do_not_touch_each_other()
    {
        AgentState state = Fold([.. Live("shop-1", V1), new Held(Now, "blog", "ann", "audit"), new Pinned(Now, "blog", "v3.0.0", "bob", "why")]);
        Assert.Equal((new Hold("ann", "audit", Now), new Pin("v3.0.0", "bob", "why", Now)), (state.App(new AppName("blog")).Hold, state.App(new AppName("blog")).Pin));
        Assert.Equal((null, null), (state.App(World.Shop).Hold, state.App(World.Shop).Pin));
        AppState blog = Fold(state, new Resumed(Now, "blog", "ann"), new Unpinned(Now, "blog", "ann")).App(new AppName("blog"));
        Assert.Equal((null, null), (blog.Hold, blog.Pin));
    }

    private static DeploymentStarted Started(string id, ReleaseRef to, ReleaseRef? from = null, Trigger trigger = Trigger.Deploy) =>
        new(Now, id, "shop", from, null, to, trigger, "ann");

    private static JournalRecord[] Live(string id, ReleaseRef to, ReleaseRef? from = null, Trigger trigger = Trigger.Deploy) =>
        [Started(id, to, from, trigger), new Committed(Now, id), new DeploymentFinished(Now, id, Outcome.Live, false)];

    private static AgentState Fold(params JournalRecord[] records) => Fold(AgentState.Empty, records);

    private static AgentState Fold(AgentState state, params JournalRecord[] records) => records.Aggregate(state, (folded, record) => folded.Apply(record));

    private static Deployment Find(params JournalRecord[] records) => Fold(records).Find("shop-1")!;
}

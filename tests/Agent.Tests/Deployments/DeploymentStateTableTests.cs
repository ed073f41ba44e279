using System.Diagnostics;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>Where single records lead, and which never come.</summary>
public class DeploymentStateTableTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly StepFailed Failed = new(Now, "shop-1", Step.Gate, "no", "", Blame: true);

    private static readonly Interrupted Interrupted = new(Now, "shop-1");

    [Theory]
    [InlineData("Fetch")]
    [InlineData("Stage")]
    public void Where_nothing_lies_on_the_disk_yet_there_is_nothing_to_undo(string next)
    {
        DeploymentState forward = new DeploymentState.Forward(Enum.Parse<Step>(next));
        Assert.Equal(new DeploymentState.Concluding(Outcome.Refused, Blame: true), DeploymentState.Next(forward, Failed));
        Assert.Equal(new DeploymentState.Concluding(Outcome.Refused, Blame: false), DeploymentState.Next(forward, Interrupted));
        DeploymentState fetching = new DeploymentState.Acting(Step.Fetch);
        Assert.Equal(new DeploymentState.Concluding(Outcome.Refused, Blame: true), DeploymentState.Next(fetching, Failed));
    }

    [Fact]
    public void What_nothing_that_runs_has_seen_is_undone_in_reverse_and_refused()
    {
        AssertBack(new DeploymentState.Acting(Step.Stage), Outcome.Refused, Step.Stage);
        AssertBack(new DeploymentState.Forward(Step.Prepare), Outcome.Refused, Step.Stage);
        AssertBack(new DeploymentState.Acting(Step.Prepare), Outcome.Refused, Step.Prepare, Step.Stage);
    }

    [Theory]
    [InlineData("Flip")]
    [InlineData("Restart")]
    [InlineData("Gate")]
    public void From_the_flip_on_all_of_it_is_undone_and_the_old_release_looked_at_last(string step)
    {
        Step at = Enum.Parse<Step>(step);
        foreach (DeploymentState.Backward back in new[] { Back(new DeploymentState.Acting(at), Failed), Back(new DeploymentState.Acting(at), Interrupted) })
        {
            Assert.Equal(Outcome.RolledBack, back.Outcome);
            Assert.Equal([Step.Flip, Step.Restart], back.Undo.Take(2));
            Assert.Contains(Step.Prepare, back.Undo);
            Assert.Contains(Step.Stage, back.Undo);
            Assert.Equal(Step.Gate, back.Undo[^1]);
        }
        Assert.True(Back(new DeploymentState.Acting(at), Failed).Blame);
    }

    [Fact]
    public void A_commit_that_could_not_be_written_goes_back_and_blames_nobody()
    {
        var committing = new DeploymentState.Committing();
        Assert.Equal(committing, DeploymentState.Next(new DeploymentState.Acting(Step.Gate), new StepDone(Now, "shop-1", Step.Gate, null)));
        foreach (OfDeployment happened in new OfDeployment[] { Failed, Interrupted })
        {
            DeploymentState.Backward back = Back(committing, happened);
            Assert.Equal((Outcome.RolledBack, false, Step.Flip), (back.Outcome, back.Blame, back.Undo[0]));
        }
    }

    [Fact]
    public void Behind_the_commit_point_every_way_leads_to_live()
    {
        var sweeping = new DeploymentState.Sweeping();
        Assert.Equal(sweeping, DeploymentState.Next(new DeploymentState.Committing(), new Committed(Now, "shop-1")));
        Assert.Equal(sweeping, DeploymentState.Next(sweeping, new StepStarted(Now, "shop-1", Step.Sweep)));
        Assert.Equal(sweeping, DeploymentState.Next(sweeping, Interrupted));
        var live = new DeploymentState.Concluding(Outcome.Live, Blame: false);
        Assert.Equal(live, DeploymentState.Next(sweeping, new StepDone(Now, "shop-1", Step.Sweep, null)));
        Assert.Equal(live, DeploymentState.Next(sweeping, Failed));
        Assert.Equal(live, DeploymentState.Next(live, Interrupted));
        Assert.Equal(new DeploymentState.Finished(Outcome.Live), DeploymentState.Next(live, new DeploymentFinished(Now, "shop-1", Outcome.Live, false)));
    }

    [Fact]
    public void Going_back_takes_one_after_the_other_and_is_begun_again_after_a_crash()
    {
        var back = new DeploymentState.Backward([Step.Prepare, Step.Stage], Outcome.Refused, Blame: true);
        Assert.Equal(back, DeploymentState.Next(back, new UndoStarted(Now, "shop-1", Step.Prepare)));
        Assert.Equal(back, DeploymentState.Next(back, Interrupted));
        DeploymentState.Backward then = Back(back, new UndoDone(Now, "shop-1", Step.Prepare));
        Assert.Equal([Step.Stage], then.Undo);
        Assert.Equal(new DeploymentState.Concluding(Outcome.Refused, Blame: true), DeploymentState.Next(then, new UndoDone(Now, "shop-1", Step.Stage)));
    }

    [Theory]
    [InlineData("Migrate", true)]
    [InlineData("Flip", true)]
    [InlineData("Restart", true)]
    [InlineData("Gate", true)]
    [InlineData("Prepare", false)]
    [InlineData("Stage", false)]
    public void Only_what_runs_must_be_put_back_litter_may_stay(string step, bool needsOperator)
    {
        Step at = Enum.Parse<Step>(step);
        DeploymentState next = DeploymentState.Next(new DeploymentState.Backward([at], Outcome.RolledBack, Blame: true), new UndoFailed(Now, "shop-1", at, "no"));
        Assert.Equal(needsOperator ? new DeploymentState.Concluding(Outcome.NeedsOperator, Blame: false) : new DeploymentState.Concluding(Outcome.RolledBack, Blame: true), next);
    }

    [Fact]
    public void A_migration_that_was_begun_is_taken_back_before_anything_else_unless_it_may_stay()
    {
        var began = Assert.IsType<DeploymentState.Acting>(DeploymentState.Next(new DeploymentState.Forward(Step.Migrate), new StepStarted(Now, "shop-1", Step.Migrate)));
        AssertBack(began, Outcome.RolledBack, Step.Migrate, Step.Prepare, Step.Stage);
        DeploymentState.Forward after = Assert.IsType<DeploymentState.Forward>(DeploymentState.Next(began, new StepDone(Now, "shop-1", Step.Migrate, null)));
        Assert.Equal(Step.Migrate, Back(after, Failed).Undo[0]);
        Assert.Equal(Step.Migrate, Back(new DeploymentState.Acting(Step.Gate, Schema.Changed), Failed).Undo[0]);
        Assert.Equal(Step.Migrate, Back(new DeploymentState.Committing(Schema.Changed), Interrupted).Undo[0]);

        DeploymentState adds = DeploymentState.Next(new DeploymentState.Acting(Step.Backup), new StepDone(Now, "shop-1", Step.Backup, null) { SchemaMayStay = true });
        Assert.Equal(new DeploymentState.Forward(Step.Migrate, Schema.MayStay), adds);
        DeploymentState adding = DeploymentState.Next(adds, new StepStarted(Now, "shop-1", Step.Migrate));
        AssertBack(adding, Outcome.RolledBack, Step.Prepare, Step.Stage);
    }

    [Fact]
    public void Steps_that_have_nothing_to_do_are_left_out_and_leave_nothing_to_undo()
    {
        var done = new StepDone(Now, "shop-1", Step.Prepare, null);
        Assert.Equal(new DeploymentState.Forward(Step.Backup), DeploymentState.Next(new DeploymentState.Acting(Step.Prepare), done));
        DeploymentState flip = DeploymentState.Next(new DeploymentState.Acting(Step.Prepare), done with { Next = Step.Flip });
        Assert.Equal(new DeploymentState.Forward(Step.Flip), flip);
        AssertBack(flip, Outcome.Refused, Step.Prepare, Step.Stage);
        AssertBack(new DeploymentState.Acting(Step.Backup), Outcome.Refused, Step.Prepare, Step.Stage);
    }

    [Fact]
    public void What_is_left_for_behind_the_commit_point_comes_before_the_sweep()
    {
        DeploymentState contracting = DeploymentState.Next(new DeploymentState.Committing(), new Committed(Now, "shop-1") { Contract = true });
        Assert.Equal(new DeploymentState.Sweeping(Step.Contract), contracting);
        Assert.Equal(contracting, DeploymentState.Next(contracting, Interrupted));
        Assert.Equal(new DeploymentState.Sweeping(), DeploymentState.Next(contracting, new StepDone(Now, "shop-1", Step.Contract, null)));
        Assert.Equal(new DeploymentState.Sweeping(), DeploymentState.Next(contracting, Failed));
    }

    [Fact]
    public void A_record_that_cannot_come_is_an_error_and_never_guessed_at()
    {
        Assert.Throws<UnreachableException>(() => DeploymentState.Next(new DeploymentState.Forward(Step.Stage), new StepStarted(Now, "shop-1", Step.Flip)));
        var told = Assert.Throws<UnreachableException>(() => DeploymentState.Next(new DeploymentState.Finished(Outcome.Live), Interrupted));
        Assert.Equal("Finished cannot take Interrupted", told.Message);
    }

    private static DeploymentState.Backward Back(DeploymentState from, OfDeployment happened) => Assert.IsType<DeploymentState.Backward>(DeploymentState.Next(from, happened));

    private static void AssertBack(DeploymentState from, Outcome outcome, params Step[] undo)
    {
        DeploymentState.Backward failed = Back(from, Failed), interrupted = Back(from, Interrupted);
        Assert.Equal((outcome, outcome), (failed.Outcome, interrupted.Outcome));
        Assert.Equal((true, false), (failed.Blame, interrupted.Blame));
        Assert.Equal(undo, failed.Undo);
        Assert.Equal(undo, interrupted.Undo);
    }
}

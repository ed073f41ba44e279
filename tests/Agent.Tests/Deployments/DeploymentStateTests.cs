using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using FsCheck;
using FsCheck.Fluent;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

public class DeploymentStateTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    /// <summary>What the world answers, in turn: success, failure, or a crash.</summary>
    private enum Answer
    {
        Succeeds,
        Fails,
        Crashes,
    }

    [Fact]
    public void Every_deployment_ends_in_exactly_one_outcome_whatever_happens()
    {
        Prop.ForAll(ArbMap.Default.ArbFor<int[]>(), numbers =>
        {
            (DeploymentState end, bool committed, List<Step> standing) = Walk(numbers.Select(n => (Answer)(Math.Abs(n % 7) switch { 0 => 1, 1 => 2, _ => 0 })));
            Outcome outcome = Assert.IsType<DeploymentState.Finished>(end).Outcome;
            Assert.Equal(committed, outcome == Outcome.Live);
            if (outcome == Outcome.Live) Assert.Contains(Step.Gate, standing);
            // What was started and is not to stay was undone; a flip never stays behind a verdict of rolled back or refused.
            if (outcome is Outcome.RolledBack or Outcome.Refused) Assert.DoesNotContain(Step.Flip, standing);
            if (outcome == Outcome.Refused) Assert.DoesNotContain(Step.Restart, standing);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Restarts_on_the_old_release_only_when_the_link_points_at_it_again()
    {
        foreach (Step furthest in new[] { Step.Flip, Step.Restart, Step.Gate })
        {
            var back = Assert.IsType<DeploymentState.Backward>(
                DeploymentState.Next(new DeploymentState.Acting(furthest), new StepFailed(Now, "shop-1", furthest, "", "", true)));
            Assert.True(back.Undo.IndexOf(Step.Flip) < back.Undo.IndexOf(Step.Restart));
            Assert.Equal(Step.Gate, back.Undo[^1]);
        }
    }

    [Fact]
    public void Blames_nobody_for_an_interruption()
    {
        var back = Assert.IsType<DeploymentState.Backward>(DeploymentState.Next(new DeploymentState.Acting(Step.Gate), new Interrupted(Now, "shop-1")));
        Assert.False(back.Blame);
    }

    private static (DeploymentState End, bool Committed, List<Step> Standing) Walk(IEnumerable<Answer> answers)
    {
        using IEnumerator<Answer> answer = answers.GetEnumerator();
        Answer Ask() => answer.MoveNext() ? answer.Current : Answer.Succeeds;
        DeploymentState state = new DeploymentState.Forward(Step.Fetch);
        bool committed = false;
        var standing = new List<Step>();   // started and not undone
        for (int i = 0; i < 200; i++)
        {
            JournalRecord.OfDeployment happened;
            switch (state)
            {
                case DeploymentState.Forward s:
                    happened = Ask() == Answer.Succeeds ? new StepStarted(Now, "d", s.Step) : new Interrupted(Now, "d");
                    if (happened is StepStarted) standing.Add(s.Step);
                    break;
                case DeploymentState.Acting s:
                    happened = Ask() switch
                    {
                        Answer.Succeeds => new StepDone(Now, "d", s.Step, null),
                        Answer.Fails => new StepFailed(Now, "d", s.Step, "no", "", true),
                        _ => new Interrupted(Now, "d"),
                    };
                    break;
                case DeploymentState.Committing:
                    happened = Ask() == Answer.Succeeds ? new Committed(Now, "d") : new Interrupted(Now, "d");
                    committed |= happened is Committed;
                    break;
                case DeploymentState.Sweeping:
                    happened = Ask() switch
                    {
                        Answer.Succeeds => new StepDone(Now, "d", Step.Sweep, null),
                        Answer.Fails => new StepFailed(Now, "d", Step.Sweep, "no", "", false),
                        _ => new Interrupted(Now, "d"),
                    };
                    break;
                case DeploymentState.Backward s:
                    happened = Ask() switch
                    {
                        Answer.Succeeds => new UndoDone(Now, "d", s.Undo[0]),
                        Answer.Fails => new UndoFailed(Now, "d", s.Undo[0], "no"),
                        _ => new Interrupted(Now, "d"),
                    };
                    if (happened is UndoDone) standing.Remove(s.Undo[0]);
                    break;
                case DeploymentState.Concluding s:
                    happened = new DeploymentFinished(Now, "d", s.Outcome, false);
                    break;
                default:
                    return (state, committed, standing);
            }
            state = DeploymentState.Next(state, happened);
        }
        return (state, committed, standing);
    }
}

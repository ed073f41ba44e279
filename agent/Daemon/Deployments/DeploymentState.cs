using System.Collections.Immutable;
using System.Diagnostics;
using Agent.Daemon.State;
using static Agent.Daemon.State.JournalRecord;

namespace Agent.Daemon.Deployments;

/// <summary>
/// Where a deployment stands. One pure function moves between the states, by the records of the journal: so what runs
/// now and what is found after a crash are decided by the same code. <c>docs/states.md</c> draws it.
/// </summary>
internal abstract record DeploymentState
{
    private DeploymentState() { }

    /// <summary>Step <paramref name="Step"/> is next.</summary>
    public sealed record Forward(Step Step) : DeploymentState;

    /// <summary>Step <paramref name="Step"/> was started; whether it had an effect is not known.</summary>
    public sealed record Acting(Step Step) : DeploymentState;

    /// <summary>The gate has passed; the commit record is next.</summary>
    public sealed record Committing : DeploymentState;

    /// <summary>Committed: the new release stays; the sweep is left.</summary>
    public sealed record Sweeping : DeploymentState;

    /// <summary>The first of <paramref name="Undo"/> is next, or was started.</summary>
    /// <param name="Blame">The release is to blame if the old one is healthy again.</param>
    public sealed record Backward(ImmutableList<Step> Undo, Outcome Outcome, bool Blame) : DeploymentState;

    /// <summary>Nothing is left but to write the outcome.</summary>
    public sealed record Concluding(Outcome Outcome, bool Blame) : DeploymentState;

    public sealed record Finished(Outcome Outcome) : DeploymentState;

    public static DeploymentState Of(Deployment deployment) =>
        deployment.Records.Skip(1).Aggregate<OfDeployment, DeploymentState>(new Forward(Step.Fetch), Next);

    public static DeploymentState Next(DeploymentState state, OfDeployment happened) => (state, happened) switch
    {
        (Forward s, StepStarted r) when s.Step == r.Step => new Acting(s.Step),
        (Acting s, StepDone) => s.Step == Step.Gate ? new Committing() : new Forward(s.Step + 1),
        (Forward s, StepFailed r) => GoBack(s.Step - 1, r.Blame),          // its start could not be journaled
        (Acting s, StepFailed r) => GoBack(s.Step, r.Blame),
        (Committing, StepFailed) => GoBack(Step.Gate, blame: false),       // the commit could not be journaled
        (Forward s, Interrupted) => GoBack(s.Step - 1, blame: false),
        (Acting s, Interrupted) => GoBack(s.Step, blame: false),
        (Committing, Interrupted) => GoBack(Step.Gate, blame: false),

        (Committing, Committed) => new Sweeping(),
        (Sweeping, StepStarted or Interrupted) => state,
        (Sweeping, StepDone or StepFailed) => new Concluding(Outcome.Live, Blame: false),

        (Backward, UndoStarted or Interrupted) => state,
        (Backward s, UndoDone) => s.Undo.Count > 1 ? s with { Undo = s.Undo.RemoveAt(0) } : new Concluding(s.Outcome, s.Blame),
        (Backward s, UndoFailed { Step: Step.Flip or Step.Restart or Step.Gate }) => new Concluding(Outcome.NeedsOperator, Blame: false),
        (Backward s, UndoFailed) => Next(s, new UndoDone(happened.At, happened.Deployment, s.Undo[0])),   // only litter: a later sweep takes it

        (Concluding, Interrupted) => state,
        (Concluding, DeploymentFinished r) => new Finished(r.Outcome),
        _ => throw new UnreachableException($"{state.GetType().Name} cannot take {happened.GetType().Name}"),
    };

    // Undo is not the plain reverse: `current` and the units go back first, then what runs. The old release's health comes
    // last, so that after a crash all effects are undone before the agent says READY, and only the verdict follows.
    private static DeploymentState GoBack(Step furthest, bool blame) => furthest switch
    {
        < Step.Stage => new Concluding(Outcome.Refused, blame),
        Step.Stage => new Backward([Step.Stage], Outcome.Refused, blame),
        Step.Prepare => new Backward([Step.Prepare, Step.Stage], Outcome.Refused, blame),
        _ => new Backward([Step.Flip, Step.Restart, Step.Prepare, Step.Stage, Step.Gate], Outcome.RolledBack, blame),
    };
}

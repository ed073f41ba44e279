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
    /// <param name="Schema">What the migrations do to the database.</param>
    public sealed record Forward(Step Step, Schema Schema = Schema.Untouched) : DeploymentState;

    /// <summary>Step <paramref name="Step"/> was started; whether it had an effect is not known.</summary>
    public sealed record Acting(Step Step, Schema Schema = Schema.Untouched) : DeploymentState;

    /// <summary>The gate has passed; the commit record is next.</summary>
    public sealed record Committing(Schema Schema = Schema.Untouched) : DeploymentState;

    /// <summary>Committed: the new release stays; <paramref name="Step"/> is left, or both from it on.</summary>
    public sealed record Sweeping(Step Step = Step.Sweep) : DeploymentState;

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
        (Forward s, StepStarted r) when s.Step == r.Step => new Acting(s.Step, s is { Step: Step.Migrate, Schema: Schema.Untouched } ? Schema.Changed : s.Schema),
        (Acting { Step: Step.Gate } s, StepDone) => new Committing(s.Schema),
        (Acting s, StepDone r) => new Forward(r.Next ?? s.Step + 1, r.SchemaMayStay ? Schema.MayStay : s.Schema),
        (Forward s, StepFailed r) => GoBack(s.Step - 1, s.Schema, r.Blame),          // its start could not be journaled
        (Acting s, StepFailed r) => GoBack(s.Step, s.Schema, r.Blame),
        (Committing s, StepFailed) => GoBack(Step.Gate, s.Schema, blame: false),     // the commit could not be journaled
        (Forward s, Interrupted) => GoBack(s.Step - 1, s.Schema, blame: false),
        (Acting s, Interrupted) => GoBack(s.Step, s.Schema, blame: false),
        (Committing s, Interrupted) => GoBack(Step.Gate, s.Schema, blame: false),

        (Committing, Committed r) => new Sweeping(r.Contract ? Step.Contract : Step.Sweep),
        (Sweeping, StepStarted or Interrupted) => state,
        (Sweeping { Step: Step.Contract }, StepDone or StepFailed) => new Sweeping(),
        (Sweeping, StepDone or StepFailed) => new Concluding(Outcome.Live, Blame: false),

        (Backward, UndoStarted or Interrupted) => state,
        (Backward s, UndoDone) => s.Undo.Count > 1 ? s with { Undo = s.Undo.RemoveAt(0) } : new Concluding(s.Outcome, s.Blame),
        (Backward s, UndoFailed { Step: Step.Migrate or Step.Flip or Step.Restart or Step.Gate }) => new Concluding(Outcome.NeedsOperator, Blame: false),
        (Backward s, UndoFailed) => Next(s, new UndoDone(happened.At, happened.Deployment, s.Undo[0])),   // only litter: a later sweep takes it

        (Concluding, Interrupted) => state,
        (Concluding, DeploymentFinished r) => new Finished(r.Outcome),
        _ => throw new UnreachableException($"{state.GetType().Name} cannot take {happened.GetType().Name}"),
    };

    // Undo is not the plain reverse: first the database, where the old release could not live with it as it is: where that cannot be
    // had, the new one stays. Then `current` and the units go back, then what runs. The old release's health comes
    // last, so that after a crash all effects are undone before the agent says READY, and only the verdict follows.
    private static DeploymentState GoBack(Step furthest, Schema schema, bool blame)
    {
        ImmutableList<Step> database = schema == Schema.Changed ? [Step.Migrate] : [];
        return furthest switch
        {
            < Step.Stage => new Concluding(Outcome.Refused, blame),
            Step.Stage => new Backward([Step.Stage], Outcome.Refused, blame),
            Step.Prepare or Step.Backup => new Backward([Step.Prepare, Step.Stage], Outcome.Refused, blame),
            Step.Migrate when schema == Schema.Untouched => new Backward([Step.Prepare, Step.Stage], Outcome.Refused, blame),   // it was left out
            Step.Migrate => new Backward([.. database, Step.Prepare, Step.Stage], Outcome.RolledBack, blame),
            _ => new Backward([.. database, Step.Flip, Step.Restart, Step.Prepare, Step.Stage, Step.Gate], Outcome.RolledBack, blame),
        };
    }
}

/// <summary>What a deployment has done to the database.</summary>
internal enum Schema
{
    /// <summary>Nothing.</summary>
    Untouched,

    /// <summary>Nothing that the release before cannot live with.</summary>
    MayStay,

    /// <summary>Perhaps something that must be undone first when the release goes.</summary>
    Changed,
}

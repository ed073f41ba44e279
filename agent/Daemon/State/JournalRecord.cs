using System.Text.Json.Serialization;
using Agent.Artifacts;

namespace Agent.Daemon.State;

/// <summary>The steps of a deployment, in order. <see cref="Sweep"/> comes after the commit point.</summary>
internal enum Step
{
    Fetch,
    Stage,
    Prepare,
    Flip,
    Restart,
    Gate,
    Sweep,
}

/// <summary>How a deployment ended.</summary>
internal enum Outcome
{
    /// <summary>The new release runs and proved itself.</summary>
    Live,

    /// <summary>The new release failed; the one before is healthy again.</summary>
    RolledBack,

    /// <summary>Neither is healthy, or going back failed; the agent does not touch this app by itself any more.</summary>
    NeedsOperator,

    /// <summary>Nothing that runs was touched.</summary>
    Refused,
}

/// <summary>Who wanted a deployment.</summary>
internal enum Trigger
{
    Deploy,
    Rollback,
    Track,
}

/// <summary>A release by version and the SHA-256 of its manifest.</summary>
internal sealed record ReleaseRef(string Version, string Digest);

/// <summary>What was seen when a step failed, before anything was cleaned up. Bounded: 100 log lines of 1,000 characters.</summary>
internal sealed record Evidence(
    IReadOnlyList<CheckEvidence> Checks, IReadOnlyList<UnitEvidence> Units, IReadOnlyList<LogEvidence> Log, long DiskFree, long MemoryAvailable);

internal sealed record CheckEvidence(string Name, bool Passed, string Detail);

internal sealed record UnitEvidence(string Name, string ActiveState, string SubState, string Result, string ExitKind, int ExitCode, uint Restarts);

internal sealed record LogEvidence(DateTimeOffset At, string Unit, int Priority, int Pid, string Message);

/// <summary>
/// One fact, written before or after an effect. The journal is the state: everything else is folded from these.
/// A shipped record or property is never renamed; new ones may be added.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(DeploymentStarted), "deployment-started")]
[JsonDerivedType(typeof(StepStarted), "step-started")]
[JsonDerivedType(typeof(StepDone), "step-done")]
[JsonDerivedType(typeof(StepFailed), "step-failed")]
[JsonDerivedType(typeof(Interrupted), "interrupted")]
[JsonDerivedType(typeof(Committed), "committed")]
[JsonDerivedType(typeof(UndoStarted), "undo-started")]
[JsonDerivedType(typeof(UndoDone), "undo-done")]
[JsonDerivedType(typeof(UndoFailed), "undo-failed")]
[JsonDerivedType(typeof(DeploymentFinished), "deployment-finished")]
internal abstract record JournalRecord(DateTimeOffset At, string Deployment)
{
    /// <param name="From">What ran before; null at a first deployment.</param>
    /// <param name="FromGeneration">The deployment that made what ran before; null at a first deployment.</param>
    /// <param name="By">Who asked: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
    internal sealed record DeploymentStarted(
        DateTimeOffset At, string Deployment, string App, ReleaseRef? From, string? FromGeneration, ReleaseRef To, Trigger Trigger, string By)
        : JournalRecord(At, Deployment);

    internal sealed record StepStarted(DateTimeOffset At, string Deployment, Step Step) : JournalRecord(At, Deployment);

    internal sealed record StepDone(DateTimeOffset At, string Deployment, Step Step, string? Detail) : JournalRecord(At, Deployment);

    /// <param name="Blame">The release is to blame, as far as this step can tell: it may be quarantined.</param>
    internal sealed record StepFailed(DateTimeOffset At, string Deployment, Step Step, string Cause, string Remedy, bool Blame, Evidence? Evidence)
        : JournalRecord(At, Deployment);

    /// <summary>The agent found this deployment unfinished when it started.</summary>
    internal sealed record Interrupted(DateTimeOffset At, string Deployment) : JournalRecord(At, Deployment);

    /// <summary>The commit point: from here the new release stays.</summary>
    internal sealed record Committed(DateTimeOffset At, string Deployment) : JournalRecord(At, Deployment);

    internal sealed record UndoStarted(DateTimeOffset At, string Deployment, Step Step) : JournalRecord(At, Deployment);

    internal sealed record UndoDone(DateTimeOffset At, string Deployment, Step Step) : JournalRecord(At, Deployment);

    internal sealed record UndoFailed(DateTimeOffset At, string Deployment, Step Step, string Cause) : JournalRecord(At, Deployment);

    /// <param name="Quarantine">The release is never deployed here by itself again.</param>
    internal sealed record DeploymentFinished(DateTimeOffset At, string Deployment, Outcome Outcome, bool Quarantine) : JournalRecord(At, Deployment);
}

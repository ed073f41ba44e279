using System.Text.Json.Serialization;
using Agent.Artifacts;

namespace Agent.Daemon.State;

/// <summary>The steps of a deployment, in order. <see cref="Contract"/> and <see cref="Sweep"/> come after the commit point.</summary>
internal enum Step
{
    Fetch,
    Stage,
    Prepare,

    /// <summary>A restore point of the database, where migrations are pending.</summary>
    Backup,
    Migrate,
    Flip,
    Restart,
    Gate,

    /// <summary>Migrations that the release before could not live with.</summary>
    Contract,
    Sweep,
}

internal static class Steps
{
    /// <summary>As people and files name it: <c>fetch</c>.</summary>
    public static string Word(this Step step) => step.ToString().ToLowerInvariant();
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

/// <summary>How a rollout stands, as far as a host knows.</summary>
internal enum RolloutState
{
    /// <summary>Somebody drives it, or was driving it last.</summary>
    Running,

    /// <summary>Nothing new starts.</summary>
    Paused,

    /// <summary>Nothing new starts, ever.</summary>
    Aborted,

    /// <summary>Every host has an outcome.</summary>
    Finished,

    /// <summary>Hosts that took the version go back; no other starts.</summary>
    RollingBack,
}

/// <summary>A release by version and the SHA-256 of its manifest.</summary>
internal sealed record ReleaseRef(string Version, string Digest);

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
[JsonDerivedType(typeof(Held), "held")]
[JsonDerivedType(typeof(Resumed), "resumed")]
[JsonDerivedType(typeof(Pinned), "pinned")]
[JsonDerivedType(typeof(Unpinned), "unpinned")]
[JsonDerivedType(typeof(Unquarantined), "unquarantined")]
[JsonDerivedType(typeof(RolloutKept), "rollout-kept")]
[JsonDerivedType(typeof(UnsignedPushed), "unsigned-pushed")]
[JsonDerivedType(typeof(Compacted), "compacted")]
internal abstract record JournalRecord(DateTimeOffset At)
{
    internal abstract record OfDeployment(DateTimeOffset At, string Deployment) : JournalRecord(At);

    internal abstract record OfApp(DateTimeOffset At, string App) : JournalRecord(At);

    /// <param name="From">What ran before; null at a first deployment.</param>
    /// <param name="FromGeneration">The deployment that made what ran before; null at a first deployment.</param>
    /// <param name="By">Who asked: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
    internal sealed record DeploymentStarted(
        DateTimeOffset At, string Deployment, string App, ReleaseRef? From, string? FromGeneration, ReleaseRef To, Trigger Trigger, string By)
        : OfDeployment(At, Deployment)
    {
        /// <summary>What the app's track pointed at when a person asked for something else; null: the same, or nothing.</summary>
        public string? PassedOver { get; init; }

        /// <summary>A restore point that the database is put back to on the way; null: none.</summary>
        public string? RestorePoint { get; init; }

        /// <summary>A person said that this release can live with the database as it is.</summary>
        public bool IgnoreSchema { get; init; }

        /// <summary>Made up by the caller: the same once more begins nothing. Null: none.</summary>
        public string? Request { get; init; }

        /// <summary>Id of the rollout that this belongs to; null: none.</summary>
        public string? Rollout { get; init; }

        /// <summary>Who had pushed the release to this host; null: it came from the store, or lay here.</summary>
        public string? PushedBy { get; init; }

        /// <summary>The release was pushed without signatures.</summary>
        public bool Unsigned { get; init; }
    }

    internal sealed record StepStarted(DateTimeOffset At, string Deployment, Step Step) : OfDeployment(At, Deployment);

    internal sealed record StepDone(DateTimeOffset At, string Deployment, Step Step, string? Detail) : OfDeployment(At, Deployment)
    {
        /// <summary>Where the way goes on; null: with the step after this one. Steps that have nothing to do are left out.</summary>
        public Step? Next { get; init; }

        /// <summary>Of the backup: what the migrations do may stay when the release goes, so that undoing needs no database.</summary>
        public bool SchemaMayStay { get; init; }
    }

    /// <param name="Blame">The release is to blame, as far as this step can tell: it may be quarantined.</param>
    internal sealed record StepFailed(DateTimeOffset At, string Deployment, Step Step, string Cause, string Remedy, bool Blame)
        : OfDeployment(At, Deployment);

    /// <summary>The agent found this deployment unfinished when it started.</summary>
    internal sealed record Interrupted(DateTimeOffset At, string Deployment) : OfDeployment(At, Deployment);

    /// <summary>The commit point: from here the new release stays.</summary>
    internal sealed record Committed(DateTimeOffset At, string Deployment) : OfDeployment(At, Deployment)
    {
        /// <summary>Migrations are left that come after the commit point.</summary>
        public bool Contract { get; init; }
    }

    internal sealed record UndoStarted(DateTimeOffset At, string Deployment, Step Step) : OfDeployment(At, Deployment);

    internal sealed record UndoDone(DateTimeOffset At, string Deployment, Step Step) : OfDeployment(At, Deployment);

    internal sealed record UndoFailed(DateTimeOffset At, string Deployment, Step Step, string Cause) : OfDeployment(At, Deployment)
    {
        /// <summary>What to do about it; null: what the first failure said.</summary>
        public string? Remedy { get; init; }
    }

    /// <param name="Quarantine">The release is never deployed here by itself again.</param>
    internal sealed record DeploymentFinished(DateTimeOffset At, string Deployment, Outcome Outcome, bool Quarantine) : OfDeployment(At, Deployment);

    /// <summary>Tracking leaves the app alone until <see cref="Resumed"/>.</summary>
    internal sealed record Held(DateTimeOffset At, string App, string By, string Reason) : OfApp(At, App);

    /// <summary>Ends what <see cref="Held"/>, a person's rollback or deploy made tracking leave alone.</summary>
    internal sealed record Resumed(DateTimeOffset At, string App, string By) : OfApp(At, App);

    /// <summary>Tracking wants this version and no other.</summary>
    internal sealed record Pinned(DateTimeOffset At, string App, string Version, string By, string Reason) : OfApp(At, App);

    internal sealed record Unpinned(DateTimeOffset At, string App, string By) : OfApp(At, App);

    internal sealed record Unquarantined(DateTimeOffset At, string App, string Digest, string By, string Reason) : OfApp(At, App);

    /// <summary>A rollout as whoever drives it has told this host.</summary>
    /// <param name="Driver">Who drives it, from where, as they say: <c>ann@laptop</c>.</param>
    /// <param name="Reason">Of the last change of its state; may be empty.</param>
    /// <param name="Started">By the driver's clock.</param>
    /// <param name="Plan">The message RolloutPlan of agent.v1, in bytes; null: as it was kept before.</param>
    internal sealed record RolloutKept(
        DateTimeOffset At, string App, string Id, long Revision, RolloutState State, string Driver, string Reason, DateTimeOffset Started, byte[]? Plan) : OfApp(At, App);

    /// <summary>A release was pushed here without signatures.</summary>
    internal sealed record UnsignedPushed(DateTimeOffset At, string App, string Version, string Digest, string By) : OfApp(At, App);

    /// <summary>What all records of an app came to when the journal was compacted; those of its last deployments stand before it.</summary>
    /// <param name="Deployments">How many deployments were dropped so far in all; the ids of later ones count on.</param>
    internal sealed record Compacted(
        DateTimeOffset At, string App, int Deployments, IReadOnlyList<ProvedRelease> Proved, IReadOnlyList<Quarantine> Quarantined,
        string? HeldAt, string? PassedOver, Attention? Attention, Hold? Hold, Pin? Pin) : OfApp(At, App)
    {
        /// <summary>The first release that was pushed here without signatures; null: none ever was.</summary>
        public UnsignedPush? Unsigned { get; init; }
    }
}

using System.Collections.Immutable;
using Agent.Artifacts;

namespace Agent.Daemon.State;

/// <summary>A deployment as the journal tells it.</summary>
/// <param name="FromGeneration">The deployment that made what ran before; null at a first deployment.</param>
/// <param name="Records">All its records, oldest first.</param>
/// <param name="Step">The step under way, or the first that failed; null before the first.</param>
/// <param name="Cause">The first cause of anything but live.</param>
/// <param name="Outcome">Null while it is under way.</param>
internal sealed record Deployment(
    string Id, AppName App, ReleaseRef? From, string? FromGeneration, ReleaseRef To, Trigger Trigger, string By, DateTimeOffset Started,
    DateTimeOffset? Finished, Outcome? Outcome, Step? Step, string? Cause, string? Remedy, ImmutableList<JournalRecord.OfDeployment> Records)
{
    /// <summary>What the app's track pointed at when a person asked for this instead; null: the same, or nothing.</summary>
    public string? PassedOver => Start.PassedOver;

    /// <summary>A restore point that the database is put back to on the way; null: none.</summary>
    public string? RestorePoint => Start.RestorePoint;

    /// <summary>A person said that this release can live with the database as it is.</summary>
    public bool IgnoreSchema => Start.IgnoreSchema;

    /// <summary>Made up by the caller: the same once more begins nothing. Null: none.</summary>
    public string? Request => Start.Request;

    /// <summary>Id of the rollout that it belongs to; null: none.</summary>
    public string? Rollout => Start.Rollout;

    /// <summary>Who had pushed the release to this host; null: it came from the store, or lay here.</summary>
    public string? PushedBy => Start.PushedBy;

    /// <summary>The release was pushed without signatures.</summary>
    public bool Unsigned => Start.Unsigned;

    /// <summary>The old release could not come back, since it could not live with the database as it is: the new one was left where it was.</summary>
    public bool IsStuckAtSchema => Records.Exists(record => record is JournalRecord.UndoFailed { Step: State.Step.Migrate });

    private JournalRecord.DeploymentStarted Start => (JournalRecord.DeploymentStarted)Records[0];
}

/// <summary>A release that failed here and is never deployed by itself again.</summary>
internal sealed record Quarantine(ReleaseRef Release, string Cause, string Deployment, DateTimeOffset Since);

/// <summary>A release that was committed here, and the deployment that last did so: its generation.</summary>
internal sealed record ProvedRelease(ReleaseRef Release, string Generation, DateTimeOffset At)
{
    /// <summary>It was pushed without signatures.</summary>
    public bool Unsigned { get; init; }
}

/// <summary>A release that was pushed without signatures.</summary>
internal sealed record UnsignedPush(string Version, string By, DateTimeOffset At);

/// <summary>A deployment that ended in needs-operator.</summary>
internal sealed record Attention(string Deployment, string Version, string Cause);

/// <summary>A person told tracking to leave the app alone.</summary>
/// <param name="Reason">As typed; may be empty.</param>
internal sealed record Hold(string By, string Reason, DateTimeOffset Since);

/// <summary>A person told tracking which version to want.</summary>
/// <param name="Reason">As typed; may be empty.</param>
internal sealed record Pin(string Version, string By, string Reason, DateTimeOffset Since);

/// <summary>A rollout as it was told to this host last.</summary>
/// <param name="Revision">Counts the changes of state and driver; the highest that any host keeps is true.</param>
/// <param name="Driver">Who drives it, as they say.</param>
/// <param name="Started">By the clock of whoever began it.</param>
/// <param name="Changed">By this host's clock.</param>
/// <param name="Plan">The message RolloutPlan of agent.v1, in bytes.</param>
internal sealed record Rollout(
    string Id, long Revision, RolloutState State, string Driver, string Reason, DateTimeOffset Started, DateTimeOffset Changed, byte[] Plan)
{
    /// <summary>It does not change any more.</summary>
    public bool IsOver => State is RolloutState.Aborted or RolloutState.Finished;
}

/// <summary>One app as the journal tells it.</summary>
/// <param name="Proved">Releases that were committed here, newest first, each once. The first is <see cref="Current"/>.</param>
/// <param name="HeldAt">A person rolled back from this version: tracking leaves it and all below alone. Null: nothing is held.</param>
/// <param name="Attention">The deployment that ended in needs-operator, until a later one by a person ends live; else null.</param>
/// <param name="Deployments">Oldest first; <paramref name="Dropped"/> older ones were dropped by compaction.</param>
internal sealed record AppState(
    AppName Name, ImmutableList<ProvedRelease> Proved, ImmutableDictionary<string, Quarantine> Quarantined, string? HeldAt,
    Attention? Attention, ImmutableList<Deployment> Deployments)
{
    public int Dropped { get; init; }

    /// <summary>A person deployed something else while the track pointed at this version: tracking leaves it alone until the track moves. Null: nothing.</summary>
    public string? PassedOver { get; init; }

    /// <summary>Null: not held by a person.</summary>
    public Hold? Hold { get; init; }

    /// <summary>Null: not pinned.</summary>
    public Pin? Pin { get; init; }

    /// <summary>In the order in which they came to this host; the last <see cref="AgentState.RememberedRollouts"/>.</summary>
    public ImmutableList<Rollout> Rollouts { get; init; } = [];

    /// <summary>The first release that was pushed here without signatures; null: none ever was.</summary>
    public UnsignedPush? Unsigned { get; init; }

    /// <summary>The release that stays: the last one committed; null before the first.</summary>
    public ReleaseRef? Current => Proved.IsEmpty ? null : Proved[0].Release;

    /// <summary>When <see cref="Current"/> was committed.</summary>
    public DateTimeOffset? Since => Proved.IsEmpty ? null : Proved[0].At;

    /// <summary>The deployment that made what runs; null before the first.</summary>
    public string? Generation => Proved.IsEmpty ? null : Proved[0].Generation;

    /// <summary>The deployment under way, or null.</summary>
    public Deployment? Running => Deployments.IsEmpty || Deployments[^1].Outcome is not null ? null : Deployments[^1];

    /// <summary>How many deployments there were in all.</summary>
    public int Count => Dropped + Deployments.Count;

    public static AppState Empty(AppName name) => new(name, [], ImmutableDictionary<string, Quarantine>.Empty, null, null, []);
}

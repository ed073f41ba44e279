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
    DateTimeOffset? Finished, Outcome? Outcome, Step? Step, string? Cause, string? Remedy, Evidence? Evidence,
    ImmutableList<JournalRecord> Records);

/// <summary>A release that failed here and is never deployed by itself again.</summary>
internal sealed record Quarantine(ReleaseRef Release, string Cause, string Deployment, DateTimeOffset Since);

/// <summary>A release that was committed here, and the deployment that last did so: its generation.</summary>
internal sealed record ProvedRelease(ReleaseRef Release, string Generation, DateTimeOffset At);

/// <summary>One app as the journal tells it.</summary>
/// <param name="Proved">Releases that were committed here, newest first, each once. The first is <see cref="Current"/>.</param>
/// <param name="HeldAt">A person rolled back from this version: tracking leaves it and all below alone. Null: nothing is held.</param>
/// <param name="Attention">The deployment that ended in needs-operator, until a later one by a person ends live; else null.</param>
/// <param name="Deployments">Oldest first.</param>
internal sealed record AppState(
    AppName Name, ImmutableList<ProvedRelease> Proved, ImmutableDictionary<string, Quarantine> Quarantined, string? HeldAt,
    Deployment? Attention, ImmutableList<Deployment> Deployments)
{
    /// <summary>The release that stays: the last one committed; null before the first.</summary>
    public ReleaseRef? Current => Proved.IsEmpty ? null : Proved[0].Release;

    /// <summary>When <see cref="Current"/> was committed.</summary>
    public DateTimeOffset? Since => Proved.IsEmpty ? null : Proved[0].At;

    /// <summary>The deployment that made what runs; null before the first.</summary>
    public string? Generation => Proved.IsEmpty ? null : Proved[0].Generation;

    /// <summary>The deployment under way, or null.</summary>
    public Deployment? Running => Deployments.IsEmpty || Deployments[^1].Outcome is not null ? null : Deployments[^1];

    public static AppState Empty(AppName name) => new(name, [], ImmutableDictionary<string, Quarantine>.Empty, null, null, []);
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.State;

namespace Agent.Daemon.Tracking;

/// <summary>What tracking does about the release that a track points at.</summary>
internal abstract record Decision
{
    private Decision() { }

    public sealed record Deploy(ReleaseId Release) : Decision;

    /// <param name="Reason">For people: <c>v1.2.0 is current</c>.</param>
    public sealed record Nothing(string Reason) : Decision;

    /// <summary>Decides by what the journal and the store say alone.</summary>
    /// <param name="latest">What the track points at now; null: nothing matches.</param>
    /// <param name="maxVersion">The operator's ceiling; null: none.</param>
    /// <param name="pause">Time left until a release that failed without being to blame is tried again; zero: none.</param>
    public static Decision Decide(AppState state, ReleaseId? latest, Track track, ReleaseVersion? maxVersion, TimeSpan pause)
    {
        if (state.Hold is { } hold) return new Nothing($"held since {hold.Since:yyyy-MM-dd HH:mm} UTC by {hold.By}{(hold.Reason.Length > 0 ? $": {hold.Reason}" : "")}");
        if (latest is null) return new Nothing($"nothing in the store matches {track}");
        ReleaseVersion version = latest.Version;
        string digest = latest.Digest.Hex;
        if (state.Running is { } running) return new Nothing($"deployment {running.Id} of {running.To.Version} is under way");
        if (state.Attention is { } attention) return new Nothing($"left alone since deployment {attention.Deployment} needs an operator");
        if (state.Current?.Digest == digest) return new Nothing($"{version} is current");
        if (state.Quarantined.TryGetValue(digest, out Quarantine? quarantine)) return new Nothing($"{version} is quarantined here: {quarantine.Cause}");
        if (maxVersion is not null && version > maxVersion) return new Nothing($"{version} is above {maxVersion}, the operator's max_version");
        if (state.Pin is not null) return pause > TimeSpan.Zero ? Later(version, pause) : new Deploy(latest);   // said outright; what was said before it counts no more
        if (state.PassedOver == version.Text) return new Nothing($"{version} was passed over: a person deployed {state.Current?.Version} while {track} pointed at it");
        if (state.HeldAt is { } held && !IsAbove(version, held)) return new Nothing($"{version} is held back: a person rolled back from {held}");
        if (state.Current is { } current)
        {
            // A published version never changes: then the store, or what is installed, is not what it says.
            if (current.Version == version.Text) return new Nothing($"{version} in the store has another content than the {version} that runs here");
            // A range is only a wish for newer ones. A channel that was pointed lower was so by a signature, and is followed.
            if (track is Track.Range && !IsAbove(version, current.Version)) return new Nothing($"{version} is not above {current.Version}, and a range never goes down");
        }
        return pause > TimeSpan.Zero ? Later(version, pause) : new Deploy(latest);
    }

    private static Nothing Later(ReleaseVersion version, TimeSpan pause) => new($"{version} failed through no fault of its own and is tried again in {Spoken.Duration(pause)}");

    // What the journal holds was a version when it was written; a text that is none any more is nothing to go above.
    private static bool IsAbove(ReleaseVersion version, string other) => ReleaseVersion.TryParse(other, out ReleaseVersion? than) && version > than;
}

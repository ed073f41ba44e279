using System.Collections.Immutable;
using Agent.Daemon.State;

namespace Agent.Daemon.Releases;

/// <summary>Retention by proof: what runs and the last releases that proved healthy here stay; a failed release never takes the place of a good one.</summary>
internal static class Retention
{
    /// <summary>Why each proved release stays, by its digest; what is missing here goes at the next sweep.</summary>
    /// <param name="keep">Releases to keep besides the current one, at least 1.</param>
    public static ImmutableDictionary<string, string> Reasons(AppState state, int keep)
    {
        var reasons = ImmutableDictionary.CreateBuilder<string, string>();
        foreach ((int place, ProvedRelease proved) in state.Proved.Index())
        {
            string? reason = place switch
            {
                0 => "runs",
                1 => "last good",
                _ when proved.Release.Version == state.Pin?.Version => "pinned",
                _ when place <= keep => $"good, {place} of {keep} kept",
                _ => null,
            };
            if (reason is not null) reasons[proved.Release.Digest] = reason;
        }
        if (state.Running is { } running)
        {
            reasons[running.To.Digest] = $"{running.Id} is under way";
            // Behind the commit point what proved itself stays anyway; what did not was left in place by a failure, and goes now.
            if (running.From is { } from && !running.Records.Exists(record => record is JournalRecord.Committed)) reasons[from.Digest] = "runs";
        }
        return reasons.ToImmutable();
    }

    /// <summary>Of those that stay, the ones that may go early where space is short, the first to go first: never what runs, the last good one or a pin.</summary>
    public static IReadOnlyList<ReleaseRef> Spare(AppState state, int keep)
    {
        ImmutableDictionary<string, string> reasons = Reasons(state, keep);
        return
        [
            .. state.Proved.Skip(2).Select(proved => proved.Release)
                .Where(release => reasons.TryGetValue(release.Digest, out string? reason) && reason.StartsWith("good", StringComparison.Ordinal))
                .Reverse(),
        ];
    }

    /// <summary>Why the next sweep takes a release; null: it stays.</summary>
    public static string? Goes(AppState state, int keep, ReleaseRef release)
    {
        if (Reasons(state, keep).ContainsKey(release.Digest)) return null;
        if (state.Quarantined.ContainsKey(release.Digest)) return "it failed here";
        if (!state.Proved.Exists(proved => proved.Release.Digest == release.Digest)) return "it never proved healthy here";
        return keep == 1 ? "a newer good one is kept" : $"{keep} newer good ones are kept";
    }
}

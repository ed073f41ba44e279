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
        int place = 0;
        foreach (ProvedRelease proved in state.Proved.Take(keep + 1))
        {
            reasons[proved.Release.Digest] = place switch
            {
                0 => "runs",
                1 => "last good",
                _ => $"good, {place} of {keep} kept",
            };
            place++;
        }
        if (state.Running is { } running)
        {
            reasons[running.To.Digest] = $"{running.Id} is under way";
            if (running.From is { } from) reasons[from.Digest] = "runs";
        }
        return reasons.ToImmutable();
    }
}

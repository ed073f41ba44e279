using static Agent.Daemon.State.JournalRecord;

namespace Agent.Daemon.State;

/// <summary>Which records stand for a state: those of the last deployments of each app, and what all of them came to.</summary>
internal static class Compaction
{
    /// <summary>Records that fold to <paramref name="state"/>, but for deployments beyond the last <paramref name="history"/> of each app.</summary>
    public static IReadOnlyList<JournalRecord> Records(AgentState state, int history, DateTimeOffset at)
    {
        var records = new List<JournalRecord>();
        foreach (AppState app in state.Apps.Values.OrderBy(app => app.Name.Value, StringComparer.Ordinal))
        {
            int drop = Math.Max(0, app.Deployments.Count - history);
            records.AddRange(app.Deployments.Skip(drop).SelectMany(deployment => deployment.Records));
            records.AddRange(app.Rollouts.Select(kept => new RolloutKept(
                kept.Changed, app.Name.Value, kept.Id, kept.Revision, kept.State, kept.Driver, kept.Reason, kept.Started, kept.Plan)));
            // Last, since it sets outright what the records before it would add up to without the dropped ones.
            records.Add(new Compacted(
                at, app.Name.Value, app.Dropped + drop, app.Proved, [.. app.Quarantined.Values.OrderBy(q => q.Since)], app.HeldAt, app.PassedOver, app.Attention, app.Hold, app.Pin)
            {
                Unsigned = app.Unsigned,
            });
        }
        return records;
    }

    /// <summary>What a record that belongs to no deployment counts for: more than one where it carries much.</summary>
    public static int Weight(JournalRecord record) => record switch
    {
        RolloutKept { Plan: { } plan } => Weight(plan),
        OfApp => 1,
        _ => 0,
    };

    /// <summary>What the records of a state weigh that belong to no deployment.</summary>
    public static int Others(AgentState state) => state.Apps.Values.Sum(app => 1 + app.Rollouts.Sum(rollout => Weight(rollout.Plan)));

    /// <summary>Whether it is worth it: a quarter more deployments than wanted, or much else.</summary>
    /// <param name="others">What the records weigh that belong to no deployment.</param>
    public static bool IsDue(AgentState state, int history, int others) =>
        others > 1000 + (2 * Others(state)) || state.Apps.Values.Any(app => app.Deployments.Count > history + Math.Max(1, history / 4));

    private static int Weight(byte[] plan) => 1 + (plan.Length >> 13);
}

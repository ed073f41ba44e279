namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>What a dump holds, compared with what came back of it.</summary>
/// <param name="Differences">For people, a line each; none: all is there.</param>
internal sealed record Verification(int Tables, long Rows, long LargeObjects, IReadOnlyList<string> Differences)
{
    private const int MostDifferences = 20;

    /// <param name="restored">Connected to the database that the dump was put into.</param>
    public static async Task<Verification> CompareAsync(DumpCounts dump, ServerSession restored, CancellationToken cancellationToken)
    {
        var differences = new List<string>();
        foreach ((string table, long rows) in dump.Rows)
        {
            // The table's name is as pg_restore quoted it. ONLY: a partition's rows are its own.
            long there = await restored.ValueAsync<long>($"SELECT count(*) FROM ONLY {table}", cancellationToken);
            if (there != rows) differences.Add($"{table}: {rows} rows in the dump, {there} came back");
        }
        long objects = await restored.ValueAsync<long>("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata", cancellationToken);
        if (objects != dump.LargeObjects) differences.Add($"large objects: {dump.LargeObjects} in the dump, {objects} came back");
        return new Verification(dump.Rows.Count, dump.Rows.Values.Sum(), dump.LargeObjects, [.. differences.Take(MostDifferences)]);
    }
}

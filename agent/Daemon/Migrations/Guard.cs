namespace Agent.Daemon.Migrations;

/// <summary>Whether a release may run in front of what the database has seen.</summary>
internal abstract record Guard
{
    private Guard() { }

    /// <summary>It may: there is nothing that it does not know, or it can live with that.</summary>
    public sealed record Go : Guard;

    /// <summary>It may when these are taken back, in this order.</summary>
    public sealed record TakeBack(IReadOnlyList<(AppliedRow Row, MigrationFile File)> Migrations) : Guard;

    /// <summary>It may not, for these, oldest first.</summary>
    public sealed record Refuse(IReadOnlyList<AppliedRow> Migrations) : Guard;

    /// <param name="ledger">Oldest first.</param>
    /// <param name="target">What is to run.</param>
    /// <param name="source">What ran, with the files that take its migrations back; null: nothing.</param>
    public static Guard Of(IReadOnlyList<AppliedRow> ledger, ReleaseMigrations target, ReleaseMigrations? source)
    {
        AppliedRow[] unseen = [.. ledger.Where(applied => !target.Knows(applied.Row))];
        int first = Array.FindIndex(unseen, applied => !target.CanLiveWith(applied.Row));
        if (first < 0) return new Go();
        // What came after may rest on it, so that goes too; what came before may stay.
        var back = new List<(AppliedRow, MigrationFile)>();
        foreach (AppliedRow applied in unseen[first..].Reverse())
        {
            if (source?.Files.FirstOrDefault(file => file.Name == applied.Row.Name) is not { Down: not null } file) return new Refuse([.. unseen.Where(row => !target.CanLiveWith(row.Row))]);
            back.Add((applied, file));
        }
        return new TakeBack(back);
    }
}

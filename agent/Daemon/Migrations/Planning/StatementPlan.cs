namespace Agent.Daemon.Migrations.Planning;

/// <summary>What a statement will do.</summary>
/// <param name="Line">Of the file.</param>
/// <param name="Summary">Its text in a line.</param>
/// <param name="Locks">The strongest of each table, in the order in which they are taken; they are held to the end of the transaction.</param>
/// <param name="Unseen">What could not be looked into; empty: nothing.</param>
internal sealed record StatementPlan(int Line, string Summary, IReadOnlyList<TableLock> Locks, IReadOnlyList<Trap> Traps, string Unseen);

/// <param name="Facts">Null: a pending migration makes it, or nobody asked a database.</param>
/// <param name="IsNew">A pending migration makes it: nobody waits for it.</param>
internal sealed record TableLock(SqlName Table, LockMode Mode, TableFacts? Facts, bool IsNew);

/// <summary>A way in which a statement hurts what runs, or fails.</summary>
/// <param name="What">What happens.</param>
/// <param name="Safer">What to do instead.</param>
internal sealed record Trap(string What, string Safer);

/// <summary>What is found out about one statement.</summary>
internal sealed class Findings(Catalog catalog, PlanScope scope)
{
    private readonly List<TableLock> locks = [];
    private readonly List<Trap> traps = [];
    private readonly List<string> unseen = [];

    public IReadOnlyList<TableLock> Locks => locks;

    public IReadOnlyList<Trap> Traps => traps;

    /// <summary>Empty: everything was looked into.</summary>
    public string Unseen => string.Join("; ", unseen);

    /// <summary>The release that runs does not notice it.</summary>
    public bool OnlyAdds { get; private set; } = true;

    public void Lock(SqlName table, LockMode mode)
    {
        if (table.Name.Length == 0 || table.Schema is "pg_catalog" or "information_schema") return;
        int known = locks.FindIndex(one => one.Table.Means(table));
        if (known < 0) locks.Add(new TableLock(table, mode, catalog.Find(table), scope.IsNew(table)));
        else if (locks[known].Mode < mode) locks[known] = locks[known] with { Mode = mode };
    }

    public void Warn(string what, string safer)
    {
        var trap = new Trap(what, safer);
        if (!traps.Contains(trap)) traps.Add(trap);
    }

    public void CannotSee(string what)
    {
        if (unseen.Count < 10 && !unseen.Contains(what)) unseen.Add(what);
    }

    /// <summary>It takes away or changes what the release that runs may use.</summary>
    public void Changes() => OnlyAdds = false;
}

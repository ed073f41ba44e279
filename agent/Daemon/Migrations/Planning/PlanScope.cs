namespace Agent.Daemon.Migrations.Planning;

/// <summary>What the statements before have done, that matters for those that follow.</summary>
internal sealed class PlanScope
{
    private readonly HashSet<SqlName> made = [];
    private readonly Dictionary<SqlName, SqlName> indexes = [];
    private readonly Dictionary<string, Syntax> functions = [];
    private readonly HashSet<string> typesMade = [];

    // Of the transaction.
    private readonly HashSet<(SqlName Table, string Constraint)> notValid = [];
    private readonly HashSet<string> enumValues = [];
    private readonly List<(SqlName Table, int Line)> exclusive = [];

    /// <summary>Of the file.</summary>
    public Phase Phase { get; private set; } = Phase.Unknown;

    /// <summary>All statements of the file are one transaction.</summary>
    public bool InTransaction { get; private set; } = true;

    /// <summary>Line of the statement that is read.</summary>
    public int Line { get; private set; } = 1;

    public void BeginFile(Phase phase, bool inTransaction)
    {
        Phase = phase;
        InTransaction = inTransaction;
        EndTransaction();
    }

    public void BeginStatement(int line)
    {
        Line = line;
        if (!InTransaction) EndTransaction();
    }

    /// <summary>Locks of existing tables that nobody can read under, and that the statements which follow in the transaction still hold.</summary>
    public void EndStatement(IEnumerable<TableLock> locks)
    {
        foreach (TableLock one in locks.Where(one => one is { Mode: LockMode.AccessExclusive, IsNew: false }))
        {
            if (!exclusive.Any(held => held.Table.Means(one.Table))) exclusive.Add((one.Table, Line));
        }
    }

    /// <summary>Held since a statement before, in the same transaction.</summary>
    public IEnumerable<(SqlName Table, int Line)> Held => exclusive.Where(held => held.Line < Line);

    public void Make(SqlName table) => made.Add(table);

    public bool IsNew(SqlName table) => made.Any(one => one.Means(table));

    public void MakeIndex(SqlName index, SqlName table) => indexes[index] = table;

    public SqlName? TableOfIndex(SqlName index) => indexes.Where(pair => pair.Key.Name == index.Name).Select(pair => (SqlName?)pair.Value).FirstOrDefault();

    /// <param name="definition">The CREATE FUNCTION.</param>
    public void Make(SqlName function, Syntax definition) => functions[function.Name] = definition;

    /// <summary>Of a pending migration.</summary>
    public bool TryFunction(SqlName function, out Syntax definition) => functions.TryGetValue(function.Name, out definition);

    public void MakeType(SqlName type) => typesMade.Add(type.Name);

    public bool IsNewType(SqlName type) => typesMade.Contains(type.Name);

    public void AddNotValid(SqlName table, string constraint) => notValid.Add((table, constraint));

    public bool AddedNotValidHere(SqlName table, string constraint) => notValid.Any(one => one.Constraint == constraint && one.Table.Means(table));

    public void AddEnumValue(string value) => enumValues.Add(value);

    public bool AddedEnumValueHere(string value) => enumValues.Contains(value);

    private void EndTransaction()
    {
        notValid.Clear();
        enumValues.Clear();
        exclusive.Clear();
    }
}

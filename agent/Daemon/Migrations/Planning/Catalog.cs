namespace Agent.Daemon.Migrations.Planning;

/// <summary>What the database says of a table, view, sequence or the like.</summary>
/// <param name="Kind">pg_class.relkind: <c>r</c> table, <c>p</c> partitioned, <c>v</c> view, <c>m</c> materialized view, <c>S</c> sequence, <c>i</c> index.</param>
/// <param name="Bytes">Without its indexes.</param>
/// <param name="Rows">As of the last analysis; -1: never analysed.</param>
/// <param name="Triggers">Those that somebody wrote, not those of foreign keys.</param>
internal sealed record TableFacts(
    SqlName Name, char Kind, long Bytes, long Rows, IReadOnlyList<ColumnFacts> Columns, IReadOnlyList<ConstraintFacts> Constraints, IReadOnlyList<string> Triggers)
{
    /// <summary>What a view asks.</summary>
    public IReadOnlyList<SqlName> Sources { get; init; } = [];
}

/// <param name="Type">As format_type says: <c>character varying(20)</c>.</param>
internal sealed record ColumnFacts(string Name, string Type);

/// <param name="Type">pg_constraint.contype: <c>f</c> foreign key, <c>c</c> check, <c>p</c> primary key, <c>u</c> unique.</param>
/// <param name="Definition">As pg_get_constraintdef says: <c>CHECK ((note IS NOT NULL))</c>.</param>
/// <param name="Referenced">Of a foreign key.</param>
internal sealed record ConstraintFacts(string Name, char Type, bool Valid, string Definition, SqlName Referenced);

/// <param name="Language"><c>sql</c>, <c>plpgsql</c>, <c>c</c>, ...</param>
/// <param name="Definition">A whole CREATE FUNCTION; empty where there is none.</param>
internal sealed record FunctionFacts(SqlName Name, string Language, bool Volatile, string Definition);

/// <summary>What a database was seen to hold of what migrations name.</summary>
/// <param name="Functions">Not those of PostgreSQL itself.</param>
/// <param name="Indexes">The table of each index.</param>
/// <param name="VolatileBuiltins">PostgreSQL's own functions, of those that are named, that give another value with each call.</param>
internal sealed record Catalog(
    IReadOnlyList<TableFacts> Tables, IReadOnlyDictionary<SqlName, SqlName> Indexes, IReadOnlyList<FunctionFacts> Functions, IReadOnlySet<string> VolatileBuiltins)
{
    /// <summary>No database was asked.</summary>
    public static readonly Catalog Unknown = new([], new Dictionary<SqlName, SqlName>(), [], new HashSet<string>()) { IsKnown = false };

    public bool IsKnown { get; private init; } = true;

    public TableFacts? Find(SqlName name) => Tables.FirstOrDefault(table => table.Name.Means(name)) ?? (name.Schema.Length > 0 ? null : Tables.FirstOrDefault(table => table.Name.Name == name.Name));

    public SqlName? TableOfIndex(SqlName index) =>
        Indexes.Where(pair => pair.Key.Means(index) || (index.Schema.Length == 0 && pair.Key.Name == index.Name)).Select(pair => (SqlName?)pair.Value).FirstOrDefault();

    public IEnumerable<FunctionFacts> Named(SqlName function) => Functions.Where(one => one.Name.Name == function.Name && (function.Schema.Length == 0 || one.Name.Schema == function.Schema));
}

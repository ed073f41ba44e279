using System.Text.RegularExpressions;
using Npgsql;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>Asks a database what it holds of what a text of SQL names. Changes nothing, and waits for no lock longer than a second.</summary>
internal static partial class CatalogReader
{
    // More than any migration names; a hostile one gets a plan of part of it.
    private const int MostWords = 5_000, MostRows = 5_000;

    // What a function that is called names counts too.
    private const int Rounds = 3;

    private const string Ours = "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'agentd') AND n.nspname NOT LIKE 'pg\\_temp\\_%'";

    /// <param name="texts">Of statements.</param>
    public static async Task<Catalog> ReadAsync(NpgsqlConnection connection, IEnumerable<string> texts, CancellationToken cancellationToken)
    {
        var words = new HashSet<string>(StringComparer.Ordinal);
        foreach (string text in texts) AddWords(text, words);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, "SET TRANSACTION READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '1s'", cancellationToken);
        IReadOnlyList<FunctionFacts> functions = [];
        for (int round = 0, before = -1; round < Rounds && words.Count != before; round++)
        {
            before = words.Count;
            functions = await FunctionsAsync(connection, words, cancellationToken);
            foreach (FunctionFacts function in functions) AddWords(function.Definition, words);
        }
        List<Relation> relations = await RelationsAsync(connection, words, cancellationToken);
        uint[] tables = [.. relations.Where(relation => relation.Kind is not ('i' or 'I')).Select(relation => relation.Oid)];
        Dictionary<uint, long> sizes = await SizesAsync(connection, transaction, tables, cancellationToken);
        ILookup<uint, ColumnFacts> columns = (await RowsAsync(connection,
            $"SELECT attrelid, attname::text, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = ANY($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum LIMIT {MostRows * 20}",
            row => (row.GetFieldValue<uint>(0), new ColumnFacts(row.GetString(1), row.GetString(2))), cancellationToken, tables)).ToLookup(pair => pair.Item1, pair => pair.Item2);
        ILookup<uint, ConstraintFacts> constraints = (await RowsAsync(connection,
            $"""
            SELECT c.conrelid, c.conname::text, c.contype, c.convalidated, pg_get_constraintdef(c.oid), coalesce(n.nspname::text, ''), coalesce(r.relname::text, '')
            FROM pg_constraint c LEFT JOIN pg_class r ON r.oid = c.confrelid LEFT JOIN pg_namespace n ON n.oid = r.relnamespace
            WHERE c.conrelid = ANY($1) ORDER BY c.conname LIMIT {MostRows * 4}
            """,
            row => (row.GetFieldValue<uint>(0), new ConstraintFacts(row.GetString(1), row.GetFieldValue<char>(2), row.GetBoolean(3), row.GetString(4), new SqlName(row.GetString(5), row.GetString(6)))),
            cancellationToken, tables)).ToLookup(pair => pair.Item1, pair => pair.Item2);
        ILookup<uint, string> triggers = (await RowsAsync(connection,
            $"SELECT tgrelid, tgname::text FROM pg_trigger WHERE tgrelid = ANY($1) AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY tgname LIMIT {MostRows}",
            row => (row.GetFieldValue<uint>(0), row.GetString(1)), cancellationToken, tables)).ToLookup(pair => pair.Item1, pair => pair.Item2);
        ILookup<uint, SqlName> sources = (await RowsAsync(connection,
            $"""
            SELECT DISTINCT v.ev_class, n.nspname::text, c.relname::text FROM pg_rewrite v JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = v.oid AND d.refclassid = 'pg_class'::regclass
            JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE v.ev_class = ANY($1) AND v.rulename = '_RETURN' AND d.refobjid <> v.ev_class AND {Ours} LIMIT {MostRows}
            """,
            row => (row.GetFieldValue<uint>(0), new SqlName(row.GetString(1), row.GetString(2))), cancellationToken, tables)).ToLookup(pair => pair.Item1, pair => pair.Item2);
        IReadOnlyList<string> volatiles = await RowsAsync(connection,
            "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v' AND proname = ANY($1)", row => row.GetString(0), cancellationToken, words.ToArray());
        await transaction.RollbackAsync(cancellationToken);
        Dictionary<uint, SqlName> names = relations.ToDictionary(relation => relation.Oid, relation => relation.Name);
        return new Catalog(
            [.. relations.Where(relation => relation.Kind is not ('i' or 'I')).Select(relation => new TableFacts(
                relation.Name, relation.Kind, sizes.GetValueOrDefault(relation.Oid, relation.Pages * 8192), relation.Rows, [.. columns[relation.Oid]], [.. constraints[relation.Oid]], [.. triggers[relation.Oid]])
            {
                Sources = [.. sources[relation.Oid]],
            })],
            relations.Where(relation => relation.Kind is 'i' or 'I' && names.ContainsKey(relation.TableOid)).ToDictionary(relation => relation.Name, relation => names[relation.TableOid]),
            functions, volatiles.ToHashSet());
    }

    private sealed record Relation(uint Oid, SqlName Name, char Kind, long Rows, long Pages, uint TableOid);

    private static void AddWords(string text, HashSet<string> words)
    {
        foreach (Match match in Word().Matches(text))
        {
            if (words.Count > MostWords) return;
            string word = match.Groups[1].Success ? match.Groups[1].Value.Replace("\"\"", "\"", StringComparison.Ordinal) : match.Value.ToLowerInvariant();
            if (word.Length is > 0 and <= 63) words.Add(word);
        }
    }

    // What is named; the tables of indexes that are; tables with foreign keys to and from those that are, as dropping one locks both.
    private static async Task<List<Relation>> RelationsAsync(NpgsqlConnection connection, HashSet<string> words, CancellationToken cancellationToken) => await RowsAsync(connection,
        $"""
        WITH named AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') AND {Ours} LIMIT {MostRows}),
        wanted AS (SELECT oid FROM named UNION SELECT indrelid FROM pg_index WHERE indexrelid IN (SELECT oid FROM named)
            UNION SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid IN (SELECT oid FROM named)
            UNION SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM named))
        SELECT c.oid, n.nspname::text, c.relname::text, c.relkind,
            (CASE WHEN c.relkind = 'p' THEN (SELECT coalesce(sum(p.reltuples) FILTER (WHERE p.reltuples > 0), 0) FROM pg_partition_tree(c.oid) t JOIN pg_class p ON p.oid = t.relid WHERE t.isleaf) ELSE c.reltuples END)::bigint,
            c.relpages::bigint, coalesce(i.indrelid, 0::oid)
        FROM pg_class c JOIN wanted USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid LIMIT {MostRows * 4}
        """,
        row => new Relation(row.GetFieldValue<uint>(0), new SqlName(row.GetString(1), row.GetString(2)), row.GetFieldValue<char>(3), row.GetInt64(4), row.GetInt64(5), row.GetFieldValue<uint>(6)),
        cancellationToken, words.ToArray());

    private static async Task<IReadOnlyList<FunctionFacts>> FunctionsAsync(NpgsqlConnection connection, HashSet<string> words, CancellationToken cancellationToken) => await RowsAsync(connection,
        $"""
        SELECT n.nspname::text, p.proname::text, l.lanname::text, p.provolatile = 'v', CASE WHEN p.prokind IN ('f', 'p') AND l.lanname IN ('sql', 'plpgsql') THEN pg_get_functiondef(p.oid) ELSE '' END
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE p.proname = ANY($1) AND {Ours} ORDER BY p.oid LIMIT 500
        """,
        row => new FunctionFacts(new SqlName(row.GetString(0), row.GetString(1)), row.GetString(2), row.GetBoolean(3), row.GetString(4)), cancellationToken, words.ToArray());

    // Sizes of files, which are true where nobody has analysed yet. Takes the weakest lock: where somebody holds the strongest, the estimate has to do.
    private static async Task<Dictionary<uint, long>> SizesAsync(NpgsqlConnection connection, NpgsqlTransaction transaction, uint[] tables, CancellationToken cancellationToken)
    {
        await transaction.SaveAsync("sizes", cancellationToken);
        try
        {
            return (await RowsAsync(connection,
                """
                SELECT oid, coalesce(CASE relkind WHEN 'p' THEN (SELECT sum(pg_table_size(relid)) FROM pg_partition_tree(oid)) WHEN 'v' THEN 0 ELSE pg_table_size(oid) END, 0)::bigint
                FROM pg_class WHERE oid = ANY($1)
                """,
                row => (row.GetFieldValue<uint>(0), row.GetInt64(1)), cancellationToken, tables)).ToDictionary(pair => pair.Item1, pair => pair.Item2);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            await transaction.RollbackAsync("sizes", cancellationToken);
            return [];
        }
    }

    private static async Task<List<T>> RowsAsync<T>(NpgsqlConnection connection, string sql, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken, object? parameter = null)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        if (parameter is uint[] oids) command.Parameters.Add(new NpgsqlParameter { Value = oids, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Oid });
        else if (parameter is string[] texts) command.Parameters.Add(new NpgsqlParameter { Value = texts, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Array | NpgsqlTypes.NpgsqlDbType.Text });
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellationToken)) rows.Add(read(reader));
        return rows;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    [GeneratedRegex("\"((?:[^\"]|\"\"){1,126})\"|[\\p{L}_][\\p{L}\\p{Nd}_$]*", RegexOptions.NonBacktracking)]
    private static partial Regex Word();
}

using Agent.Daemon.Migrations.RestorePoints;

namespace Agent.Daemon.Migrations.Administration;

/// <summary>How a database and its server are, as its own role can see it.</summary>
/// <param name="Connections">To all databases of the server.</param>
/// <param name="CacheHitRatio">Of all reads of this database since the server's figures were reset: 0 to 1; null: there were none.</param>
/// <param name="Tables">The largest first, 20 at most.</param>
/// <param name="Busy">Sessions that are not idle, but for the one that asks; the longest first, 20 at most.</param>
internal sealed record DatabaseStatistics(
    string ServerVersion, long SizeBytes, int Connections, int MaxConnections, double? CacheHitRatio, IReadOnlyList<TableFigures> Tables, IReadOnlyList<BusyFigures> Busy)
{
    private const int Most = 20, QueryLength = 200;

    public static async Task<DatabaseStatistics> ReadAsync(DatabaseAddress address, CancellationToken cancellationToken)
    {
        await using ServerSession session = await ServerSession.OpenAsync(address, $"agentd {Environment.MachineName} stats", cancellationToken);
        await session.ExecuteAsync("SET statement_timeout = '20s'", cancellationToken);
        IReadOnlyList<DatabaseStatistics> found = await session.QueryAsync(
            """
            SELECT pg_catalog.pg_database_size(d.datname), (SELECT COALESCE(sum(numbackends), 0) FROM pg_catalog.pg_stat_database)::int, pg_catalog.current_setting('max_connections')::int,
              s.blks_hit::float8 / NULLIF(s.blks_hit + s.blks_read, 0)
            FROM pg_catalog.pg_stat_database s JOIN pg_catalog.pg_database d ON d.oid = s.datid WHERE d.datname = pg_catalog.current_database()
            """,
            row => new DatabaseStatistics(session.Version, row.GetInt64(0), row.GetInt32(1), row.GetInt32(2), row.IsDBNull(3) ? null : row.GetDouble(3), [], []), cancellationToken);
        // Not pg_total_relation_size(), which waits for whoever has locked the table: that is when people look.
        IReadOnlyList<TableFigures> tables = await session.QueryAsync(
            $"""
            SELECT n.nspname || '.' || c.relname,
              (c.relpages + COALESCE(t.relpages, 0) + (SELECT COALESCE(sum(i.relpages), 0) FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
                WHERE x.indrelid IN (c.oid, t.oid)))::int8 * pg_catalog.current_setting('block_size')::int8,
              c.reltuples::int8, pg_catalog.pg_stat_get_dead_tuples(c.oid)
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_class t ON t.oid = c.reltoastrelid
            WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp%'
            ORDER BY 2 DESC, 1 LIMIT {Most}
            """,
            row => new TableFigures(row.GetString(0), row.GetInt64(1), row.GetInt64(2), row.GetInt64(3)), cancellationToken);
        // Of the sessions of others a role sees no state; those are left out.
        IReadOnlyList<BusyFigures> busy = await session.QueryAsync(
            $"""
            SELECT pid, COALESCE(application_name, ''), state, GREATEST(0, EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - COALESCE(xact_start, query_start, backend_start)))::float8,
              pg_catalog.left(query, {QueryLength}), wait_event_type IS NOT DISTINCT FROM 'Lock'
            FROM pg_catalog.pg_stat_activity
            WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_catalog.pg_backend_pid()
            ORDER BY 4 DESC LIMIT {Most}
            """,
            row => new BusyFigures(row.GetInt32(0), row.GetString(1), row.GetString(2), TimeSpan.FromSeconds(row.GetDouble(3)), row.GetString(4), row.GetBoolean(5)), cancellationToken);
        return found[0] with { Tables = tables, Busy = busy };
    }
}

/// <param name="Name">With its schema: <c>public.orders</c>.</param>
/// <param name="SizeBytes">With its indexes and what lies outside of its rows, as of the last VACUUM or ANALYZE.</param>
/// <param name="Rows">An estimate; -1: never analysed.</param>
/// <param name="DeadRows">An estimate: rows that vacuum has not taken away yet.</param>
internal sealed record TableFigures(string Name, long SizeBytes, long Rows, long DeadRows);

/// <param name="State"><c>active</c>, <c>idle in transaction</c>.</param>
/// <param name="Age">Of its transaction.</param>
/// <param name="Query">Its beginning.</param>
/// <param name="Blocked">It waits for a lock.</param>
internal sealed record BusyFigures(int Pid, string Application, string State, TimeSpan Age, string Query, bool Blocked);

using Agent.Artifacts;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Takes a dump of a database into a store.</summary>
internal static class Dump
{
    /// <summary>Of zstd: the first that is smaller than pg_dump's own gzip also where rows are mostly numbers and tokens, at a third of its processor time.</summary>
    private const int Level = 6;

    /// <summary>For tables that somebody has locked against reading: whoever does that for longer is told, not waited for.</summary>
    private static readonly TimeSpan LockWait = TimeSpan.FromMinutes(1);

    // As the statistics have them: pg_table_size() would wait for whoever has locked a table.
    private const string IndexBytes =
        "SELECT (coalesce(sum(relpages), 0) * pg_catalog.current_setting('block_size')::bigint)::bigint FROM pg_catalog.pg_class WHERE relkind = 'i'";

    /// <summary>
    /// 1. A snapshot, so that what the point says of the ledger is what the dump holds. 2. Room for it. 3. pg_dump, uncompressed, into zstd, into the file.
    /// </summary>
    /// <param name="point">With its id and what it is for.</param>
    /// <param name="root">Of the file system, where the tools are looked for.</param>
    public static async Task<RestorePoint> TakeAsync(
        RestorePoint point, RestorePointStore store, DatabaseAddress address, string application, string root, IWorkProgress messages, CancellationToken cancellationToken)
    {
        await using ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken);
        PostgresTools tools = await PostgresTools.FindAsync(session.Major, 0, root, cancellationToken);
        await session.ExecuteAsync("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", cancellationToken);                          // 1
        point = await DescribeAsync(session, point, cancellationToken);
        string snapshot = await session.ValueAsync<string>("SELECT pg_export_snapshot()", cancellationToken);
        await store.PrepareAsync(await EstimateAsync(point, store, cancellationToken), cancellationToken);                         // 2
        messages.Report($"dumping {point.Database}, {Megabytes(point.DatabaseSize)} MB with its indexes");
        // What pg_dump writes uncompressed comes near to what all takes but the indexes.
        var transfer = new Transfer(messages, $"dumping {point.Database}", point.DatabaseSize - await session.ValueAsync<long>(IndexBytes, cancellationToken));
        try
        {
            return await store.WriteAsync(
                point with { Tool = tools.Major }, file => ToolProgram.RunAsync(                                                    // 3
                    tools.Dump, ["--format=custom", "--compress=0", $"--snapshot={snapshot}", $"--lock-wait-timeout={LockWait.TotalMilliseconds:0}", "--no-password"], Environment(address, application), null,
                    pipe => Zstd.Compress(pipe, file, Level, transfer.Reach, cancellationToken), cancellationToken).GetAwaiter().GetResult(),
                cancellationToken);
        }
        catch (IOException e)
        {
            throw new OperatorException(ExitCode.Refused, $"the dump of {point.Database} could not be written to {store.Where}: {e.Message}", "make room there, or name a directory on another disk in database: restore_points: directory", e);
        }
    }

    /// <summary>What PostgreSQL's programs are run with, for a database.</summary>
    public static IReadOnlyDictionary<string, string> Environment(DatabaseAddress address, string application) =>
        new Dictionary<string, string>(address.ToolEnvironment) { ["PGAPPNAME"] = application };

    /// <summary>What a point says of a database, as it is now.</summary>
    public static async Task<RestorePoint> DescribeAsync(ServerSession session, RestorePoint point, CancellationToken cancellationToken)
    {
        bool ledger = await session.ValueAsync<bool>("SELECT to_regclass('agentd.migration') IS NOT NULL", cancellationToken);
        string[] names = ledger
            ? [.. await session.QueryAsync("SELECT name FROM agentd.migration WHERE finished IS NOT NULL ORDER BY finished DESC, name DESC", row => row.GetString(0), cancellationToken)]
            : [];
        return point with
        {
            Database = await session.ValueAsync<string>("SELECT current_database()::text", cancellationToken),
            DatabaseSize = await session.ValueAsync<long>("SELECT pg_database_size(current_database())", cancellationToken),
            ServerVersion = session.Version,
            LastMigration = names.FirstOrDefault(),
            Migrations = names.Length,
        };
    }

    // As the last one went, and a quarter more; before there is one, as much as the database has: indexes are not dumped, and what is dumped is compressed.
    private static async Task<long> EstimateAsync(RestorePoint point, RestorePointStore store, CancellationToken cancellationToken) =>
        (await store.ListAsync(cancellationToken)).FirstOrDefault(former => former is { Tool: not null, DatabaseSize: > 0 }) is { } last
            ? (long)(point.DatabaseSize * Math.Min(1, 1.25 * last.Size / last.DatabaseSize))
            : point.DatabaseSize;

    private static long Megabytes(long bytes) => bytes / 1_000_000;
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations.RestorePoints;
using Npgsql;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>What a file did in a scratch database. The last one failed, where the rehearsal did.</summary>
internal sealed record RehearsedFile(string Name, TimeSpan Took, IReadOnlyList<HeldLock> Locks);

/// <summary>What migrations did in a scratch database.</summary>
/// <param name="Cause">Why it failed; null: it did not.</param>
/// <param name="Difference">Of the schema: <c>+ column public.orders.note text</c>.</param>
internal sealed record Rehearsal(RestorePoint Point, string? Cause, IReadOnlyList<RehearsedFile> Files, long SizeBefore, long SizeAfter, IReadOnlyList<string> Difference);

/// <summary>Runs a release's migrations in a scratch database that is made of a restore point, and drops it. The app's own database is only read, to find its server.</summary>
internal sealed class Rehearsals(MigrationTools tools, DeploymentEngine engine, ReleaseOnHost releases, RestorePointService points)
{
    private const string Name = "rehearsal";

    /// <param name="point">A restore point's id; empty: the newest.</param>
    /// <exception cref="OperatorException">It could not be tried. That a migration fails is an answer.</exception>
    public async Task<Rehearsal> RunAsync(DeploymentRequest request, string point, IWorkProgress messages, CancellationToken cancellationToken)
    {
        AppName app = request.App;
        DeploymentPreview preview = await engine.PreviewAsync(request, cancellationToken);
        using ReadableRelease to = await releases.OpenAsync(app, preview.To, request.By, mayFetch: true, messages, cancellationToken);
        AppDefinition definition = to.Release.Definition;
        if (definition.Database is not { } options)
            throw new OperatorException(ExitCode.Refused, $"{app} has no database that agentd knows of", $"write 'database: DATABASE_URL' into apps.d/{app}.yaml, and the URL into its secrets");
        if (definition.Migrations is { Directory: null })
            throw new OperatorException(ExitCode.Refused, $"{preview.To.Version} migrates by a command of its own, which knows only the app's own database", "try it on a copy of the host; only SQL files can be rehearsed");
        AppDatabase own = MigrationPlans.Of(definition, tools);
        RestorePoint chosen = await points.FindAsync(app, options, point, cancellationToken);
        messages.Report($"restoring {chosen.Id} into a scratch database");
        await using ScratchDatabase scratch = await points.ScratchAsync(app, options, own.Address, chosen, request.By, messages, cancellationToken);
        return await InAsync(tools, new AppDatabase(app, options, scratch.Address), to.Release, chosen, messages, cancellationToken);
    }

    /// <param name="database">That nobody else uses.</param>
    public static async Task<Rehearsal> InAsync(MigrationTools tools, AppDatabase database, DatabaseUser release, RestorePoint point, IProgress<string> messages, CancellationToken cancellationToken)
    {
        await using Session session = await Session.OpenAsync(database, $"agentd {tools.Host} {Name}", tools.Time, cancellationToken);
        await using Session second = await Session.OpenAsync(database, $"agentd {tools.Host} {Name}", tools.Time, cancellationToken);
        try
        {
            if (!await session.TryLockAsync(cancellationToken)) throw new OperatorException(ExitCode.Refused, "somebody else migrates the scratch database", "try again");
            await session.Ledger.MakeAsync(cancellationToken);
            ReleaseMigrations migrations = ReleaseMigrations.Read(tools.Disk, release);
            PendingWork pending = new PendingReader(tools.Disk, tools.OnlyAdds).Of(migrations, await session.Ledger.ReadAsync(cancellationToken), strict: true);
            IReadOnlyList<string> before = await SchemaFingerprint.LinesAsync(session.Ledger, cancellationToken);
            long sizeBefore = await SizeAsync(session, cancellationToken);
            (IReadOnlyList<RehearsedFile> files, string? cause) = await RunAsync(tools, session, second, migrations, [.. pending.Before, .. pending.After], messages, cancellationToken);
            long sizeAfter = await SizeAsync(session, cancellationToken);
            IReadOnlyList<string> after = await SchemaFingerprint.LinesAsync(session.Ledger, cancellationToken);
            return new Rehearsal(point, cause, files, sizeBefore, sizeAfter, [.. before.Except(after).Select(line => $"- {line}"), .. after.Except(before).Select(line => $"+ {line}")]);
        }
        catch (Exception e) when (SqlFault.IsOf(session.Connection, e))
        {
            throw SqlFault.Explain(e, database.Address.Shown, null);
        }
    }

    private static async Task<(IReadOnlyList<RehearsedFile> Files, string? Cause)> RunAsync(
        MigrationTools tools, Session session, Session second, ReleaseMigrations migrations, IReadOnlyList<PendingFile> pending, IProgress<string> messages, CancellationToken cancellationToken)
    {
        var files = new List<RehearsedFile>();
        await using var watch = new LockWatch(second.Connection, session.Connection, tools.Time);
        var runner = new SqlRunner(session, tools.Time, tools.Random, () => watch.LookAsync(cancellationToken));
        foreach (PendingFile file in pending)
        {
            messages.Report(file.File.Name);
            HashSet<string> known = await TablesAsync(session, cancellationToken);
            watch.Take(known);
            long began = tools.Time.GetTimestamp();
            string? cause = null;
            try
            {
                var row = new LedgerRow(file.File.Name, file.File.Checksum, file.Phase, migrations.Version.Text, null, tools.Host, Name, default, null, 0);
                await runner.RunAsync(file, row, messages, cancellationToken);
            }
            catch (OperatorException e)
            {
                cause = e.Message;
            }
            files.Add(new RehearsedFile(file.File.Name, tools.Time.GetElapsedTime(began), watch.Take(known)));
            if (cause is not null) return (files, cause);
        }
        return (files, null);
    }

    private static async Task<long> SizeAsync(Session session, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = session.Ledger.Command("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task<HashSet<string>> TablesAsync(Session session, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = session.Ledger.Command(
            """
            SELECT CASE n.nspname WHEN 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            """);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var tables = new HashSet<string>();
        while (await reader.ReadAsync(cancellationToken)) tables.Add(reader.GetString(0));
        return tables;
    }
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>A release's own command, which is to run.</summary>
internal sealed record PlannedCommand(string Name, string Line, bool AfterCommit);

/// <summary>What deploying a release would do to the database.</summary>
/// <param name="From">What runs; null: nothing.</param>
/// <param name="Database">As it may be shown; empty: the app has none.</param>
/// <param name="Before">Files that run before the flip.</param>
/// <param name="After">Files that run after the release was kept.</param>
/// <param name="Refusal">Null: nothing would be refused.</param>
/// <param name="WayBack">What a rollback after it could do, in a sentence.</param>
internal sealed record ReleasePlan(
    AppName App, string? From, string To, string Database, IReadOnlyList<FilePlan> Before, IReadOnlyList<FilePlan> After, PlannedCommand? Command,
    OperatorException? Refusal, bool LookedInside, string WayBack);

/// <summary>Plans of releases that lie on this host. Nothing is changed, and no lock is taken.</summary>
internal sealed class MigrationPlans(MigrationTools tools, MigrationPlanner planner)
{
    /// <param name="from">What runs; null: nothing.</param>
    /// <param name="to">With a database.</param>
    /// <exception cref="OperatorException">The database does not answer, or files of the release are wrong.</exception>
    public async Task<ReleasePlan> OfAsync(DatabaseUser? from, DatabaseUser to, IProgress<string> messages, CancellationToken cancellationToken)
    {
        AppDatabase database = Of(to.Definition, tools);
        messages.Report($"looking at {database.Address.Shown}");
        await using var run = new MigrationRun(tools, database, "plan", to, from, ignoreSchema: false, messages);
        return await run.ExplainAsync(async () =>
        {
            await run.OpenAsync(cancellationToken);
            OperatorException? refusal = await RefusalAsync(run, database.App, to.Version, cancellationToken);
            FileToPlan[] files = [.. run.Pending.Before.Concat(run.Pending.After).Select(ToPlan)];
            Catalog catalog = await CatalogOfAsync(database, files, cancellationToken);
            IReadOnlyList<FilePlan> plans = planner.Plan(files, catalog, cancellationToken);
            PlannedCommand? command = run is { Pending.Command: true, Target.Command: { Command: { } line } options } ? new PlannedCommand(run.Target.CommandName, line, options.AfterCommit) : null;
            return new ReleasePlan(
                database.App, from?.Version, to.Version, database.Address.Shown, [.. plans.Take(run.Pending.Before.Count)], [.. plans.Skip(run.Pending.Before.Count)], command,
                refusal, planner.LooksInside, WayBack(files, run.Pending.Command ? run.Target : null));
        });
    }

    /// <exception cref="OperatorException">The address is missing or wrong.</exception>
    public static AppDatabase Of(AppDefinition definition, MigrationTools tools) => new(
        definition.Name, definition.Database!,
        DatabaseAddress.Of(definition.Database!, definition.Environment, definition.SecretsFile is { } file ? tools.Configuration.Secrets(file) : new Dictionary<string, string>()));

    // Of a file that was cut, what is left.
    public static FileToPlan ToPlan(PendingFile pending) => new(pending.File, pending.Phase, [.. pending.Statements.Skip(pending.Done ?? 0)]);

    private async Task<OperatorException?> RefusalAsync(MigrationRun run, AppName app, string version, CancellationToken cancellationToken)
    {
        try
        {
            await new Refusals(tools, run, app, version).ThrowIfAnyAsync(ExitCode.Refused, cancellationToken);
            return null;
        }
        catch (OperatorException e) when (e.Code == ExitCode.Refused)
        {
            return e;
        }
    }

    private async Task<Catalog> CatalogOfAsync(AppDatabase database, FileToPlan[] files, CancellationToken cancellationToken)
    {
        if (!planner.LooksInside || files.Length == 0) return Catalog.Unknown;
        await using Session session = await Session.OpenAsync(database, $"agentd {tools.Host} plan", tools.Time, cancellationToken);
        try
        {
            return await CatalogReader.ReadAsync(session.Connection, files.SelectMany(file => file.Statements).Select(statement => statement.Text), cancellationToken);
        }
        catch (Exception e) when (SqlFault.IsOf(session.Connection, e))
        {
            throw SqlFault.Explain(e, database.Address.Shown, null);
        }
    }

    private static string WayBack(FileToPlan[] files, ReleaseMigrations? command)
    {
        string[] stuck = [.. files.Where(file => file.Phase != Phase.Expand && file.File.Down is null).Select(file => $"{file.File.Name} ({PhaseWords.Of(file.Phase)}, no .down.sql)")];
        if (command is { Command.CompatibleWith: null }) stuck = [.. stuck, $"{command.CommandName} (does not say compatible_with)"];
        if (files.Length == 0 && command is null) return "a rollback finds the database as it is now";
        if (stuck.Length == 0)
        {
            return files.All(file => file.Phase == Phase.Expand)
                ? "a rollback leaves it as it is: the release before does not notice what was added"
                : "a rollback takes it back by the .down.sql files";
        }
        return $"no rollback by itself: {stuck[0]}{(stuck.Length > 1 ? $" and {stuck.Length - 1} more" : "")}; then --restore-database, --ignore-schema, or a mended release";
    }
}

using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;

namespace Agent.Daemon.Migrations;

/// <summary>What <see cref="Migrator.BeginAsync"/> found, with the lock where there is something to do.</summary>
internal sealed class Migration(MigrationTools tools, MigrationRun run, MigrationRequest request) : IMigration
{
    public bool Pending { get; } = request.RestorePoint is not null || NeedsLock(run);

    public bool MayStay { get; } = request.RestorePoint is null && (request.From is null || OnlyAdds(run));

    public bool Contract { get; } = request.RestorePoint is null && (run.Pending.After.Count > 0 || (run.Pending.Command && run.Target.Command!.AfterCommit));

    /// <summary>Something is to be done before the flip.</summary>
    public static bool NeedsLock(MigrationRun run) => run.Pending.Before.Count > 0 || CommandNow(run) || run.Guard is Guard.TakeBack;

    public async Task<string?> BackUpAsync(IProgress<string> messages, CancellationToken cancellationToken) =>
        request.RestorePoint is not null ? "the restore takes one" : run.Database.Options.RestorePoints is null ? "none is wanted" : await run.TakePointAsync(cancellationToken);

    public Task<string> MigrateAsync(IProgress<string> messages, CancellationToken cancellationToken) => run.ExplainAsync(async () =>
    {
        long began = tools.Time.GetTimestamp();
        var done = new List<string>();
        if (request.RestorePoint is { } point)
        {
            done.Add(await run.RestoreAsync(point, cancellationToken));
            await new Refusals(tools, run, request.App, request.To.Version).ThrowIfAnyAsync(ExitCode.Refused, cancellationToken);
            await run.RegisterAsync(committed: false, cancellationToken);
        }
        IReadOnlyList<string> back = await run.TakeBackAsync(cancellationToken);
        if (back.Count > 0) done.Add($"took back {Few(back)}");
        IReadOnlyList<string> names = await run.ForwardAsync(run.Pending.Before, cancellationToken);
        if (names.Count > 0) done.Add(Told(names, tools.Time.GetElapsedTime(began)));
        if (CommandNow(run)) done.Add(await run.CommandAsync(cancellationToken));
        return string.Join("; ", done);
    });

    public ValueTask DisposeAsync() => run.DisposeAsync();

    /// <summary><c>2 migrations in 1.2 s: 0003_a.sql, 0004_b.sql</c>.</summary>
    public static string Told(IReadOnlyList<string> names, TimeSpan took) => $"{names.Count} {(names.Count == 1 ? "migration" : "migrations")} in {Spoken.Duration(took)}: {Few(names)}";

    public static string Few(IReadOnlyList<string> names) => string.Join(", ", names.Take(5)) + (names.Count > 5 ? $" and {names.Count - 5} more" : "");

    private static bool CommandNow(MigrationRun run) => run.Pending.Command && !run.Target.Command!.AfterCommit;

    private static bool OnlyAdds(MigrationRun run) =>
        run.Guard is not Guard.TakeBack && run.Pending.Before.All(pending => pending.Phase == Phase.Expand)
        && (!CommandNow(run) || (run.Target.Command!.CompatibleWith is { } oldest && oldest <= run.Source!.Version));
}

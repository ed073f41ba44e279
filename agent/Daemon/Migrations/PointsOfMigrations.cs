using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations.RestorePoints;

namespace Agent.Daemon.Migrations;

/// <summary>The restore points of this host, as migrations ask for them.</summary>
internal sealed class PointsOfMigrations(RestorePoints.RestorePoints points) : IRestorePoints
{
    // A deployment says by itself who asked for it.
    private const string By = "agentd";

    public IReadOnlyList<PointInTime> List(AppName app, DatabaseOptions options) =>
        [.. points.List(app, options).Select(kept => new PointInTime(kept.Point.Id, kept.Point.At, kept.Point.Deployment))];

    public async Task<string> TakeAsync(AppDatabase database, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        RestorePoint point = await points.TakeAsync(database.App, database.Options, database.Address, new RestorePointReason(release, deployment, By), messages, cancellationToken);
        return $"restore point {point.Id}{(point.Size > 0 ? $" of {Size(point.Size)}" : "")}";
    }

    public async Task<string> RestoreAsync(AppDatabase database, string point, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        Restored restored = await points.RestoreAsync(database.App, database.Options, database.Address, point, new RestorePointReason(release, deployment, By), messages, cancellationToken);
        return $"the database is that of restore point {restored.Point.Id}; what it was until now is restore point {restored.Before.Id}";
    }

    public async Task<string?> SwapBackAsync(AppDatabase database, string deployment, IProgress<string> messages, CancellationToken cancellationToken) =>
        await points.SwapBackAsync(database.App, database.Options, database.Address, deployment, cancellationToken) ? "the database is what it was before the restore" : null;

    public Task SweepAsync(AppDatabase database, CancellationToken cancellationToken) => points.SweepAsync(database.App, database.Options, database.Address, cancellationToken);

    private static string Size(long bytes) => bytes switch
    {
        < 1_000_000 => $"{bytes / 1e3:0.0} kB",
        < 1_000_000_000 => $"{bytes / 1e6:0.0} MB",
        _ => $"{bytes / 1e9:0.0} GB",
    };
}

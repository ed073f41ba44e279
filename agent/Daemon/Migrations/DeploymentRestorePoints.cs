using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations.RestorePoints;

namespace Agent.Daemon.Migrations;

/// <summary>Restore points as deployments use them: in the name of a deployment.</summary>
internal sealed class DeploymentRestorePoints(RestorePointService points) : IRestorePoints
{
    public async Task<IReadOnlyList<PointInTime>> ListAsync(AppName app, DatabaseOptions options, CancellationToken cancellationToken) =>
        [.. (await points.ListAsync(app, options, cancellationToken)).Select(kept => new PointInTime(kept.Point.Id, kept.Point.At, kept.Point.Deployment))];

    public async Task<string> TakeAsync(AppDatabase database, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        RestorePoint point = await points.TakeAsync(database.App, database.Options, database.Address, Reason(release, deployment), new InWords(messages), cancellationToken);
        return $"restore point {point.Id}";
    }

    public async Task<string> RestoreAsync(AppDatabase database, string point, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        Restored restored = await points.RestoreAsync(database.App, database.Options, database.Address, point, Reason(release, deployment), new InWords(messages), cancellationToken);
        return $"the database is that of {restored.Point.Id} again; what it was is restore point {restored.Before.Id}";
    }

    public async Task<string?> SwapBackAsync(AppDatabase database, string deployment, IProgress<string> messages, CancellationToken cancellationToken) =>
        await points.SwapBackAsync(database.App, database.Options, database.Address, deployment, cancellationToken) ? "the database is again what it was before the restore" : null;

    public Task SweepAsync(AppDatabase database, CancellationToken cancellationToken) => points.SweepAsync(database.App, database.Options, database.Address, cancellationToken);

    public void RemoveLeftovers(AppName app, DatabaseOptions options) => points.RemoveLeftovers(app, options);

    private static RestorePointReason Reason(string? release, string deployment) => new(release, deployment, "a deployment");
}

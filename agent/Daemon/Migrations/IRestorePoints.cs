using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations;

/// <summary>An app's database, and how to reach it now.</summary>
internal sealed record AppDatabase(AppName App, DatabaseOptions Options, DatabaseAddress Address);

/// <summary>A restore point that can be gone back to.</summary>
/// <param name="Deployment">That it was taken for; null: by hand.</param>
internal sealed record PointInTime(string Id, DateTimeOffset At, string? Deployment);

/// <summary>What migrations ask of restore points.</summary>
/// <remarks>All throw <see cref="OperatorException"/>, and leave the live database as it is then.</remarks>
internal interface IRestorePoints
{
    /// <summary>Those of an app that this host took, in no order.</summary>
    Task<IReadOnlyList<PointInTime>> ListAsync(AppName app, DatabaseOptions options, CancellationToken cancellationToken);

    /// <param name="release">The version that runs; null: nothing.</param>
    /// <returns>For people: <c>restore point shop-12 of 2.1 GB</c>.</returns>
    Task<string> TakeAsync(AppDatabase database, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Puts the database back to a restore point, after it has taken a new one; what was there stays beside. Ends all sessions of the database.</summary>
    /// <returns>What was done, for people.</returns>
    Task<string> RestoreAsync(AppDatabase database, string point, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Takes a restore of this deployment back. Idempotent, whatever the restore came to.</summary>
    /// <returns>What was done, for people; null: there was nothing to take back.</returns>
    Task<string?> SwapBackAsync(AppDatabase database, string deployment, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Drops what restores have left beside the database, and restore points that retention does not keep.</summary>
    Task SweepAsync(AppDatabase database, CancellationToken cancellationToken);

    /// <summary>Removes what a crash may have left of one that was being taken.</summary>
    void RemoveLeftovers(AppName app, DatabaseOptions options);
}

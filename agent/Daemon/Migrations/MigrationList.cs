using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Migrations;

/// <summary>What a database has seen, what the running release still has for it, and who runs on it.</summary>
internal sealed record SeenMigrations(IReadOnlyList<AppliedRow> Applied, PendingWork Pending, IReadOnlyList<HostRow> Hosts);

/// <summary>Looks into the ledger for people, and forgets hosts for them.</summary>
internal sealed class MigrationList(MigrationTools tools, DeploymentEngine engine, InstalledReleases installed)
{
    /// <exception cref="OperatorException">The database cannot be asked.</exception>
    public Task<SeenMigrations> ReadAsync(AppDatabase database, CancellationToken cancellationToken) =>
        ReadAsync(database, Running(database.App), cancellationToken);

    /// <param name="running">Null: nothing runs.</param>
    /// <exception cref="OperatorException">The database cannot be asked.</exception>
    public Task<SeenMigrations> ReadAsync(AppDatabase database, DatabaseUser? running, CancellationToken cancellationToken) => AskAsync(database, async session =>
    {
        bool made = await session.Ledger.ExistsAsync(cancellationToken);
        IReadOnlyList<AppliedRow> rows = made ? await session.Ledger.ReadAsync(cancellationToken) : [];
        IReadOnlyList<HostRow> hosts = made ? await session.Hosts.ListAsync(cancellationToken) : [];
        PendingWork pending = running is null ? new PendingWork([], [], false) : new PendingReader(tools.Disk, tools.OnlyAdds).Of(ReleaseMigrations.Read(tools.Disk, running), rows, strict: false);
        return new SeenMigrations(rows, pending, hosts);
    }, cancellationToken);

    /// <summary>A host is gone for good: nothing waits for it any more.</summary>
    /// <returns>For people.</returns>
    /// <exception cref="OperatorException">It is not known, or is this one (<see cref="ExitCode.Refused"/>).</exception>
    public Task<string> ForgetAsync(AppDatabase database, string host, CancellationToken cancellationToken) => AskAsync(database, async session =>
    {
        if (host == tools.Host) throw new OperatorException(ExitCode.Refused, $"{host} is this host", "run it on one that stays");
        IReadOnlyList<HostRow> hosts = await session.Ledger.ExistsAsync(cancellationToken) ? await session.Hosts.ListAsync(cancellationToken) : [];
        if (hosts.All(known => known.Host != host))
            throw new OperatorException(ExitCode.Refused, $"no host of that name runs {database.App} on {database.Address.Shown}", hosts.Count == 0 ? "none is known yet" : $"name one of {Migration.Few([.. hosts.Select(known => known.Host)])}");
        await session.Hosts.ForgetAsync(host, cancellationToken);
        return $"{host} is forgotten: contracting migrations do not wait for it, and run with the next deployment";
    }, cancellationToken);

    private DatabaseUser? Running(AppName app) => engine.State(app).Current is { } current && engine.Running(app) is { } definition
        ? new DatabaseUser(current.Version, installed.ReleaseDirectory(app, current.Version), definition)
        : null;

    private async Task<T> AskAsync<T>(AppDatabase database, Func<Session, Task<T>> ask, CancellationToken cancellationToken)
    {
        await using Session session = await Session.OpenAsync(database, $"agentd {tools.Host} db", tools.Time, cancellationToken);
        try
        {
            return await ask(session);
        }
        catch (Exception e) when (SqlFault.IsOf(session.Connection, e))
        {
            throw SqlFault.Explain(e, database.Address.Shown, null);
        }
    }
}

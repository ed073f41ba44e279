using System.Collections.Concurrent;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Npgsql;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>What a restore did.</summary>
/// <param name="Point">That the database is now.</param>
/// <param name="Before">Of what it was until then.</param>
/// <param name="Former">Name of the database that it was until then; null: the operator's command restored in place.</param>
internal sealed record Restored(RestorePoint Point, RestorePoint Before, string? Former);

/// <summary>
/// Restore points of apps' databases: taken, listed, tried and put back. A restore goes into a database beside the app's own, which it then takes the place of in
/// one transaction; so nothing that fails or is killed on the way leaves another database than before.
/// </summary>
/// <param name="admin">For what the app's own role may not do.</param>
internal sealed class RestorePointService(
    IConfiguration configuration, IDisk disk, ISupervisor supervisor, RestorePointService.Admin admin, TimeProvider time, ILogger<RestorePointService> logger)
{
    /// <summary>Statements as whoever may make databases for this app.</summary>
    public delegate AdminStatements Admin(AppName app, DatabaseOptions options);

    /// <summary>How long the database that a person's restore replaced stays.</summary>
    public static readonly TimeSpan FormerStays = TimeSpan.FromHours(24);

    private readonly ConcurrentDictionary<(AppName App, bool Scratch), SemaphoreSlim> gates = new();

    /// <summary>How many restores of an app have files of their own on this host now.</summary>
    private readonly Dictionary<AppName, int> restoring = [];

    /// <summary>This host, as restore points and names of databases tell it.</summary>
    public string Host { get; init; } = Environment.MachineName;

    /// <summary>Of the file system, where PostgreSQL's programs are looked for.</summary>
    public string Root { get; init; } = "/";

    /// <summary>Takes one, then removes those that the operator's limits do not keep.</summary>
    /// <exception cref="OperatorException">Nothing is left of it: <see cref="ExitCode.Unreachable"/> where the server does not answer, else <see cref="ExitCode.Refused"/>.</exception>
    public async Task<RestorePoint> TakeAsync(
        AppName app, DatabaseOptions options, DatabaseAddress address, RestorePointReason reason, IWorkProgress messages, CancellationToken cancellationToken)
    {
        using IDisposable turn = await TurnAsync(app, scratch: false, cancellationToken);
        RestorePointOptions kept = options.RestorePoints ?? new RestorePointOptions();
        RestorePointStore store = Store(app, options);
        await TidyAsync(app, store, cancellationToken);
        DateTimeOffset now = time.GetUtcNow();
        var point = new RestorePoint(
            await store.FreeIdAsync(reason.Deployment ?? $"{app}-{now.UtcDateTime:yyyyMMdd-HHmmss}", cancellationToken), app.Value, now, address.Name, Host, reason.By)
        {
            Release = reason.Release,
            Deployment = reason.Deployment,
            BeforeRestoreOf = reason.BeforeRestoreOf,
        };
        string application = Application(reason);
        if (kept.Command is null) point = await Dump.TakeAsync(point, store, address, application, Root, messages, cancellationToken);
        else
        {
            await using (ServerSession session = await ServerSession.OpenAsync(address, application, cancellationToken)) point = await Dump.DescribeAsync(session, point, cancellationToken);
            await store.PrepareAsync(0, cancellationToken);
            string name = await new OperatorsCommand(supervisor, configuration, configuration.App(app), kept).TakeAsync(point.Id, messages, cancellationToken);
            point = await store.AddAsync(point with { Name = name }, cancellationToken);
        }
        logger.RestorePointTaken(app.Value, point.Id, point.Size, reason.By);
        foreach (string gone in await store.RetireAsync(kept, reason.Deployment, cancellationToken)) logger.RestorePointRetired(app.Value, gone);
        return point;
    }

    /// <summary>Newest first, each with why it stays.</summary>
    /// <exception cref="OperatorException">Their store is away (<see cref="ExitCode.Unreachable"/>).</exception>
    public async Task<IReadOnlyList<KeptRestorePoint>> ListAsync(AppName app, DatabaseOptions options, CancellationToken cancellationToken)
    {
        RestorePointStore store = Store(app, options);
        if (gates.GetOrAdd((app, false), _ => new SemaphoreSlim(1)) is var gate && await gate.WaitAsync(0, cancellationToken))
        {
            try
            {
                await TidyAsync(app, store, cancellationToken);
            }
            catch (IOException e)
            {
                logger.NotTidied(app.Value, store.Where, e.Message);
            }
            finally
            {
                gate.Release();
            }
        }
        return [.. (await store.ReasonsAsync(options.RestorePoints ?? new RestorePointOptions(), null, cancellationToken)).Select(kept => new KeptRestorePoint(kept.Point, kept.Because ?? "goes when the next is taken"))];
    }

    /// <param name="id">Empty: the newest.</param>
    /// <exception cref="OperatorException">There is none (<see cref="ExitCode.Usage"/>), or their store is away.</exception>
    public Task<RestorePoint> FindAsync(AppName app, DatabaseOptions options, string id, CancellationToken cancellationToken) => Store(app, options).FindAsync(id, cancellationToken);

    public RestorePointStore Store(AppName app, DatabaseOptions options) => RestorePointStore.Of(disk, configuration.Agent.Data, app, Host, options.RestorePoints, time);

    /// <summary>Removes what a crash may have left on this host. No restore point of the app may be under way.</summary>
    public void RemoveLeftovers(AppName app, DatabaseOptions options)
    {
        RestorePointStore store = Store(app, options);
        RemoveWork(app, store);
        if (options.RestorePoints?.Store is null) store.RemoveLeftoversAsync(CancellationToken.None).GetAwaiter().GetResult();   // a directory answers at once; a store is tidied by the next take
    }

    /// <summary>
    /// Puts the database back to a restore point: 1. takes a new one of what is there, 2. restores beside, 3. swaps. Before 3 nothing of the app's database changes; 3 ends every
    /// connection to it, that of the caller too. The operator's restore_command instead works in place: what it did cannot be swapped back. No other host may migrate meanwhile.
    /// </summary>
    /// <param name="reason">Its deployment names the restore for <see cref="SwapBackAsync"/>.</param>
    /// <exception cref="OperatorException">The database is as it was before.</exception>
    public async Task<Restored> RestoreAsync(
        AppName app, DatabaseOptions options, DatabaseAddress address, string id, RestorePointReason reason, IWorkProgress messages, CancellationToken cancellationToken)
    {
        RestorePoint point = await FindAsync(app, options, id, cancellationToken);
        string application = Application(reason);
        if (point.Name is not null)
        {
            var command = new OperatorsCommand(supervisor, configuration, configuration.App(app), options.RestorePoints ?? new RestorePointOptions());
            command.DemandRestore(point);
            RestorePoint former = await TakeAsync(app, options, address, reason with { BeforeRestoreOf = point.Id }, messages, cancellationToken);
            await command.RestoreAsync(point, messages, cancellationToken);
            return new Restored(point, former, null);
        }
        messages.Report($"checking restore point {point.Id}");
        await Store(app, options).CheckAsync(point, cancellationToken);
        await SweepAsync(app, options, address, cancellationToken);
        RestorePoint before = await TakeKeepingAsync(point, app, options, address, reason, messages, cancellationToken);
        var names = new BesideNames(address.Name, Host);
        string name = names.Of(Beside.Restore, IdOf(reason)), formerName = names.Of(Beside.Before, IdOf(reason));
        var server = new DatabaseServer(address, application, admin(app, options));
        try
        {
            messages.Report($"restoring {point.Id} into {name}");
            await server.CreateLikeOwnAsync(name, cancellationToken);
            await RestoreIntoAsync(app, options, point, address.WithDatabase(name), application, messages, cancellationToken);
            messages.Report($"swapping: {address.Name} is {formerName} from now on");
            await server.SwapAsync(name, formerName, CancellationToken.None);   // whether it happened must be known
        }
        catch
        {
            await DropQuietlyAsync(app, server, name);
            throw;
        }
        logger.DatabaseRestored(app.Value, point.Id, reason.By, formerName);
        foreach (string former in await FormersAsync(server, names)) if (former != formerName) await DropQuietlyAsync(app, server, former);
        return new Restored(point, before, formerName);
    }

    /// <summary>As <see cref="RestoreAsync"/>, for a person: under the lock that hosts migrate under.</summary>
    /// <exception cref="OperatorException">A host migrates now (<see cref="ExitCode.Refused"/>); else as <see cref="RestoreAsync"/>.</exception>
    public async Task<Restored> RestoreByHandAsync(
        AppName app, DatabaseOptions options, DatabaseAddress address, string id, RestorePointReason reason, IWorkProgress messages, CancellationToken cancellationToken)
    {
        await using Session session = await Session.OpenAsync(new AppDatabase(app, options, address), Application(reason), time, cancellationToken);
        try
        {
            await session.StayAsync(cancellationToken);
            if (!await session.TryLockAsync(cancellationToken))
                throw new OperatorException(ExitCode.Refused, $"{address.Name} is being migrated by {(await session.HolderAsync(cancellationToken))?.Who ?? "another host"}", "wait until that is over, then ask again");
        }
        catch (NpgsqlException e)
        {
            throw SqlFault.Explain(e, address.Shown, null);
        }
        return await RestoreAsync(app, options, address, id, reason, messages, cancellationToken);   // the swap ends the session, and the lock with it
    }

    /// <summary>Takes a restore back: the app's database is what it was before. Idempotent, and whatever part of the restore was done.</summary>
    /// <param name="deployment">That restored.</param>
    /// <returns>False: there was no swap to take back.</returns>
    /// <exception cref="OperatorException">The operator's command restored in place, which only a person can take back (<see cref="ExitCode.NeedsOperator"/>); else it was not taken back yet.</exception>
    public async Task<bool> SwapBackAsync(AppName app, DatabaseOptions options, DatabaseAddress address, string deployment, CancellationToken cancellationToken)
    {
        // Only a directory has points of the operator's command; and a store that is away must not bar the way back.
        IReadOnlyList<RestorePoint> taken = options.RestorePoints?.Store is null ? await Store(app, options).ListAsync(cancellationToken) : [];
        if (taken.FirstOrDefault(point => point.Deployment == deployment && point.BeforeRestoreOf is not null) is { } before)
            throw new OperatorException(
                ExitCode.NeedsOperator, $"restore_command was to put {app}'s database back to {before.BeforeRestoreOf}, in place: nobody knows how far it came",
                $"look at the database; what it was is restore point {before.Id}: agentctl db restore {before.Id} --app {app}");
        var names = new BesideNames(address.Name, Host);
        string name = names.Of(Beside.Restore, deployment), former = names.Of(Beside.Before, deployment);
        var server = new DatabaseServer(address, Application(new RestorePointReason(null, deployment, "")), admin(app, options));
        IReadOnlyList<string> there = await server.ListAsync(cancellationToken);
        if (there.Contains(name)) await server.DropAsync(name, cancellationToken);   // before the swap, or after it was taken back
        if (!there.Contains(former)) return false;
        await server.SwapAsync(former, name, cancellationToken);
        logger.RestoreSwappedBack(app.Value, deployment);
        await DropQuietlyAsync(app, server, name);
        return true;
    }

    /// <summary>Drops what restores and trials of this host left beside the database: those of deployments at once, those of people after <see cref="FormerStays"/>. No restore of the app may be under way.</summary>
    public async Task SweepAsync(AppName app, DatabaseOptions options, DatabaseAddress address, CancellationToken cancellationToken)
    {
        var names = new BesideNames(address.Name, Host);
        var server = new DatabaseServer(address, Application(new RestorePointReason(null, null, "")), admin(app, options));
        foreach (string name in await server.ListAsync(cancellationToken))
        {
            bool old = names.IdOf(Beside.Before, name) is { } id && (BesideNames.MomentOf(id) is not { } moment || time.GetUtcNow() - moment > FormerStays);
            if (old || names.IdOf(Beside.Restore, name) is not null) await server.DropAsync(name, cancellationToken);
        }
    }

    /// <summary>Databases that stand beside the app's own, made by this host: each with when it goes, for people.</summary>
    public async Task<IReadOnlyList<(string Name, string Goes)>> BesideAsync(AppName app, DatabaseOptions options, DatabaseAddress address, CancellationToken cancellationToken)
    {
        var names = new BesideNames(address.Name, Host);
        IReadOnlyList<string> there = await new DatabaseServer(address, Application(new RestorePointReason(null, null, "")), admin(app, options)).ListAsync(cancellationToken);
        return
        [
            .. there.Where(name => names.IdOf(Beside.Before, name) is not null)
                .Select(name => (name, BesideNames.MomentOf(names.IdOf(Beside.Before, name)!) is { } moment
                    ? $"goes with the next restore, or the first deployment after {moment + FormerStays:yyyy-MM-dd HH:mm}Z" : "goes when the deployment under way is kept")),
        ];
    }

    /// <summary>Makes a scratch database of a restore point. One at a time for an app.</summary>
    public async Task<ScratchDatabase> ScratchAsync(AppName app, DatabaseOptions options, DatabaseAddress address, RestorePoint point, string by, IWorkProgress messages, CancellationToken cancellationToken)
    {
        if (point.Name is not null)
            throw new OperatorException(ExitCode.Refused, $"restore point {point.Id} was made by a command of your own: only a dump can be tried", "name one that pg_dump made: agentctl db list");
        IDisposable turn = await TurnAsync(app, scratch: true, cancellationToken);
        var names = new BesideNames(address.Name, Host);
        string application = Application(new RestorePointReason(null, null, by)), name = names.Of(Beside.Scratch, BesideNames.IdOf(time.GetUtcNow()));
        var server = new DatabaseServer(address, application, admin(app, options));
        async Task EndAsync()
        {
            await DropQuietlyAsync(app, server, name);
            turn.Dispose();
        }
        try
        {
            foreach (string left in (await server.ListAsync(cancellationToken)).Where(left => names.IdOf(Beside.Scratch, left) is not null)) await server.DropAsync(left, cancellationToken);
            await server.CreateLikeOwnAsync(name, cancellationToken);
            await RestoreIntoAsync(app, options, point, address.WithDatabase(name), application, messages, cancellationToken);
            return new ScratchDatabase(address.WithDatabase(name), point, EndAsync);
        }
        catch
        {
            await EndAsync();
            throw;
        }
    }

    /// <summary>Reads the dump, restores it into a scratch database, and compares: every table has the rows, and the database the large objects, that the dump has.</summary>
    /// <exception cref="OperatorException">It could not be tried, or it is damaged (<see cref="ExitCode.Refused"/>).</exception>
    public async Task<Verification> VerifyAsync(AppName app, DatabaseOptions options, DatabaseAddress address, RestorePoint point, string by, IWorkProgress messages, CancellationToken cancellationToken)
    {
        if (point.Name is null)
        {
            messages.Report($"checking the SHA-256 of {point.Id}");
            await Store(app, options).CheckAsync(point, cancellationToken);
            messages.Report($"restoring {point.Id} into a scratch database");
        }
        await using ScratchDatabase scratch = await ScratchAsync(app, options, address, point, by, messages, cancellationToken);
        await using ServerSession session = await ServerSession.OpenAsync(scratch.Address, Application(new RestorePointReason(null, null, by)), cancellationToken);
        messages.Report("counting what the dump holds");
        DumpCounts counts = await Of(app, options, point).CountAsync(session.Major, messages, cancellationToken);
        messages.Report("counting what came back");
        return await Verification.CompareAsync(counts, session, cancellationToken);
    }

    // One that is put back must not be retired by the one that is taken before.
    private Task<RestorePoint> TakeKeepingAsync(
        RestorePoint wanted, AppName app, DatabaseOptions options, DatabaseAddress address, RestorePointReason reason, IWorkProgress messages, CancellationToken cancellationToken)
    {
        RestorePointOptions kept = options.RestorePoints ?? new RestorePointOptions();
        return TakeAsync(app, options with { RestorePoints = kept with { Keep = int.MaxValue, MaxAge = null, MaxSize = null } }, address, reason, messages, cancellationToken);
    }

    private async Task RestoreIntoAsync(AppName app, DatabaseOptions options, RestorePoint point, DatabaseAddress into, string application, IWorkProgress messages, CancellationToken cancellationToken)
    {
        int server;
        await using (ServerSession session = await ServerSession.OpenAsync(into, application, cancellationToken)) server = session.Major;
        lock (restoring) restoring[app] = restoring.GetValueOrDefault(app) + 1;
        try
        {
            await Of(app, options, point).IntoAsync(into, server, application, options.RestorePoints?.Jobs ?? 1, messages, cancellationToken);
        }
        finally
        {
            lock (restoring) restoring[app]--;
        }
    }

    private async Task TidyAsync(AppName app, RestorePointStore store, CancellationToken cancellationToken)
    {
        RemoveWork(app, store);
        await store.RemoveLeftoversAsync(cancellationToken);
    }

    private void RemoveWork(AppName app, RestorePointStore store)
    {
        lock (restoring)
        {
            if (restoring.GetValueOrDefault(app) == 0) store.RemoveWork();
        }
    }

    private Restore Of(AppName app, DatabaseOptions options, RestorePoint point) => new(disk, Store(app, options), point, Root);

    // After the swap nothing may fail any more.
    private static async Task<IReadOnlyList<string>> FormersAsync(DatabaseServer server, BesideNames names)
    {
        try
        {
            return [.. (await server.ListAsync(CancellationToken.None)).Where(name => names.IdOf(Beside.Before, name) is not null)];
        }
        catch (OperatorException)
        {
            return [];
        }
    }

    private async Task DropQuietlyAsync(AppName app, DatabaseServer server, string name)
    {
        try
        {
            await server.DropAsync(name, CancellationToken.None);
        }
        catch (OperatorException e)
        {
            logger.NotDropped(app.Value, name, e.Message);   // the next one does it
        }
    }

    private string IdOf(RestorePointReason reason) => reason.Deployment ?? BesideNames.IdOf(time.GetUtcNow());

    private string Application(RestorePointReason reason) => $"agentd {Host} {reason.Deployment ?? "restore-point"}";

    private async Task<IDisposable> TurnAsync(AppName app, bool scratch, CancellationToken cancellationToken)
    {
        SemaphoreSlim gate = gates.GetOrAdd((app, scratch), _ => new SemaphoreSlim(1));
        await gate.WaitAsync(cancellationToken);
        return new Turn(gate);
    }

    private sealed class Turn(SemaphoreSlim gate) : IDisposable
    {
        public void Dispose() => gate.Release();
    }
}

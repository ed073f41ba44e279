using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Npgsql;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Migrations;

/// <summary>What migrations need of the host.</summary>
/// <param name="OnlyAdds">Whether SQL only adds what a release before does not notice; null where that cannot be told.</param>
/// <param name="Host">This one's name, in the ledger and for those who wait.</param>
internal sealed record MigrationTools(
    IConfiguration Configuration, ISupervisor Supervisor, IDisk Disk, IRestorePoints Points, Func<string, bool?> OnlyAdds, string Host, TimeProvider Time, Random Random, ILogger Logger);

/// <summary>
/// One deployment at work on a database: brings it from what <paramref name="source"/> left to what <paramref name="target"/> wants. Every part asks the
/// ledger what is so, and so may be repeated.
/// </summary>
/// <param name="target">What is to run.</param>
/// <param name="source">What ran, with the files that take its migrations back; null: nothing.</param>
/// <param name="ignoreSchema">Whatever the database has seen.</param>
internal sealed class MigrationRun(
    MigrationTools tools, AppDatabase database, string deployment, DatabaseUser target, DatabaseUser? source, bool ignoreSchema, IProgress<string> messages) : IAsyncDisposable
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250), Remind = TimeSpan.FromSeconds(10);

    private readonly Redactor redactor = Redactor.Of(target.Definition, tools.Configuration);
    private readonly PendingReader reader = new(tools.Disk, tools.OnlyAdds);
    private readonly CommandRunner commands = new(tools.Supervisor);
    private IReadOnlyList<AppliedRow> seen = [];
    private (string Release, IReadOnlySet<string> Known)? own;
    private Session? session;

    public AppDatabase Database => database;

    public ReleaseMigrations Target { get; } = ReleaseMigrations.Read(tools.Disk, target);

    public ReleaseMigrations? Source { get; } = source is null ? null : ReleaseMigrations.Read(tools.Disk, source);

    public PendingWork Pending { get; private set; } = new([], [], false);

    public Guard Guard { get; private set; } = new Guard.Go();

    /// <summary>This host's row may claim what will not be so, or is missing: it is to be written before anything runs, under the lock.</summary>
    public bool ToRegister { get; private set; }

    private string ApplicationName => $"agentd {tools.Host} {deployment}";

    private Session Session => session ?? throw new InvalidOperationException("not connected");

    /// <summary>The row of this host says less than what is so when the target is kept.</summary>
    public bool HasLearnt => own is var (release, known) && (release != Target.Version.Text || !known.SetEquals(Target.Names));

    private bool Migrates => target.Definition.Migrations is not null || source?.Definition.Migrations is not null;

    // What both know, and the older version: whichever of the two runs, no more is claimed.
    private IReadOnlySet<string> KnownToBoth => (Source is null ? Target.Names : Target.Names.Intersect(Source.Names)).ToHashSet(StringComparer.Ordinal);

    private ReleaseVersion Older => Source is { } ran && ran.Version < Target.Version ? ran.Version : Target.Version;

    public void Say(string message) => messages.Report(redactor.Clean(Spoken.Line(message, 1000)));

    /// <summary>Connects, and looks.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await ConnectAsync(cancellationToken);
        await LookAsync(cancellationToken);
    }

    public async Task LookAsync(CancellationToken cancellationToken)
    {
        bool made = await Session.Ledger.ExistsAsync(cancellationToken);
        seen = made ? await Session.Ledger.ReadAsync(cancellationToken) : [];
        Pending = reader.Of(Target, seen, strict: !ignoreSchema);
        Guard = ignoreSchema ? new Guard.Go() : Guard.Of(seen, Target, Source);
        own = made ? await Session.Hosts.FindAsync(tools.Host, cancellationToken) : null;
        ToRegister = !(own is var (release, known) && known.IsSubsetOf(KnownToBoth) && ReleaseVersion.TryParse(release, out ReleaseVersion? version) && version <= Older);
    }

    /// <summary>Waits for the lock, for as long as <paramref name="needed"/> says so, and looks again.</summary>
    /// <returns>False: it was not got, and is not needed any more.</returns>
    /// <exception cref="OperatorException">Another had it for longer than the operator waits (<see cref="ExitCode.Refused"/>).</exception>
    public async Task<bool> LockAsync(Func<bool> needed, CancellationToken cancellationToken)
    {
        long began = tools.Time.GetTimestamp(), told = 0;
        int holder = 0;
        while (!await Session.TryLockAsync(cancellationToken))
        {
            await LookAsync(cancellationToken);
            if (!needed()) return false;
            if (await Session.HolderAsync(cancellationToken) is var (who, pid))
            {
                if (tools.Time.GetElapsedTime(began) > database.Options.Wait)
                    throw new OperatorException(
                        ExitCode.Refused, $"{who} has the lock under which hosts migrate {database.Address.Shown}; waited {Spoken.Duration(database.Options.Wait)}",
                        $"see what it does there; to end it: SELECT pg_terminate_backend({pid})");
                if (pid != holder || tools.Time.GetElapsedTime(told) > Remind)
                {
                    Say($"waits for {who}, to migrate {database.Address.Shown}");
                    if (pid != holder) tools.Logger.WaitsForLock(database.App, deployment, who, database.Address.Shown);
                    (holder, told) = (pid, tools.Time.GetTimestamp());
                }
            }
            await Task.Delay(Poll * (0.5 + (tools.Random.NextDouble() / 2)), tools.Time, cancellationToken);
        }
        await Session.StayAsync(cancellationToken);
        await LookAsync(cancellationToken);
        return true;
    }

    /// <summary>Writes the row of this host. Under the lock, unless it only learns.</summary>
    /// <param name="committed">The target runs, and nothing else will.</param>
    public async Task RegisterAsync(bool committed, CancellationToken cancellationToken)
    {
        try
        {
            if (Session.Locked) await Session.Ledger.MakeAsync(cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.ReadOnlySqlTransaction && !Migrates)
        {
            // Nothing of this release needs the ledger. Only a later one that contracts would miss the row, and that one cannot make the ledger either.
            Say($"{database.Address.User} may not make agentd's tables, and no release of {database.App} has needed them yet: {Spoken.Line(e.MessageText, 300)}");
            ToRegister = false;
            return;
        }
        if (committed) await Session.Hosts.WriteAsync(tools.Host, Target.Version.Text, Target.Names, cancellationToken);
        else await Session.Hosts.WriteAsync(tools.Host, Older.Text, KnownToBoth, cancellationToken);
        ToRegister = false;
    }

    /// <summary>Other hosts that run a release which knows a migration, or one which does not.</summary>
    public async Task<IReadOnlyList<HostRow>> OthersAsync(string migration, bool know, CancellationToken cancellationToken) => know
        ? await Session.Hosts.WithAsync(tools.Host, migration, cancellationToken)
        : await Session.Hosts.WithoutAsync(tools.Host, migration, cancellationToken);

    /// <summary>Other hosts that run an older release than the target.</summary>
    public async Task<IReadOnlyList<HostRow>> OlderHostsAsync(CancellationToken cancellationToken) =>
    [
        .. (await Session.Hosts.ListAsync(cancellationToken))
            .Where(host => host.Host != tools.Host && !(ReleaseVersion.TryParse(host.Release, out ReleaseVersion? version) && version >= Target.Version)),
    ];

    /// <returns>The names of what was taken back.</returns>
    public async Task<IReadOnlyList<string>> TakeBackAsync(CancellationToken cancellationToken)
    {
        var names = new List<string>();
        foreach ((AppliedRow applied, MigrationFile file) in Guard is Guard.TakeBack back ? back.Migrations : [])
        {
            string name = applied.Row.Name;
            (MigrationFile down, IReadOnlyList<SqlStatement> statements) = reader.Down(file);
            Say($"takes {name} back");
            try
            {
                await new SqlRunner(Session, tools.Time, tools.Random).RevertAsync(name, down, statements, new Telling(this), cancellationToken);
            }
            catch (CommitLostException e)
            {
                await SettleAsync(e, name, row => row is null, cancellationToken);
            }
            tools.Logger.TakenBack(database.App, name, database.Address.Shown, deployment);
            names.Add(name);
        }
        return names;
    }

    /// <returns>The names of what ran.</returns>
    public async Task<IReadOnlyList<string>> ForwardAsync(IReadOnlyList<PendingFile> files, CancellationToken cancellationToken)
    {
        var names = new List<string>();
        if (files.Count == 0) return names;
        await Session.Ledger.MakeAsync(cancellationToken);
        // Branches are merged late: told, as their order here is not that of other databases.
        Dictionary<string, int> order = Target.Files.Select((file, index) => (file.Name, index)).ToDictionary(pair => pair.Name, pair => pair.index);
        int newest = seen.Where(applied => applied.Row.Finished is not null).Select(applied => order.GetValueOrDefault(applied.Row.Name, -1)).DefaultIfEmpty(-1).Max();
        foreach (PendingFile pending in files)
        {
            string name = pending.File.Name;
            string late = pending.Phase != Phase.Contract && order[name] < newest ? $" (after {Target.Files[newest].Name}, which is newer)" : "";
            string cut = pending.Done is > 0 ? $", from statement {pending.Done + 1} on" : "";
            Say($"{name}{cut}{late}");
            try
            {
                await new SqlRunner(Session, tools.Time, tools.Random).RunAsync(pending, RowOf(name, pending.File.Checksum, pending.Phase, null), new Telling(this), cancellationToken);
            }
            catch (CommitLostException e)
            {
                await SettleAsync(e, name, row => row?.Row is { Finished: not null }, cancellationToken);
                // Others may have had the lock meanwhile.
                names.Add(name);
                HashSet<string> left = [.. Pending.Before.Concat(Pending.After).Select(file => file.File.Name)];
                names.AddRange(await ForwardAsync([.. files.SkipWhile(file => file != pending).Skip(1).Where(file => left.Contains(file.File.Name))], cancellationToken));
                return names;
            }
            tools.Logger.Applied(database.App, name, database.Address.Shown, deployment);
            names.Add(name);
        }
        return names;
    }

    /// <summary>Runs the target's own command.</summary>
    /// <returns>What it came to, for people.</returns>
    public async Task<string> CommandAsync(CancellationToken cancellationToken)
    {
        await Session.Ledger.MakeAsync(cancellationToken);
        string name = Target.CommandName;
        LedgerRow row = RowOf(name, Target.Checksum, Target.Command!.AfterCommit ? Phase.Contract : Phase.Unknown, Target.Command.CompatibleWith?.Text);
        AppliedRow? former = await Session.Ledger.FindAsync(name, cancellationToken);
        string before = former?.Fingerprint ?? await SchemaFingerprint.OfAsync(Session.Ledger, cancellationToken);
        bool ranBefore = former?.Row.Finished is not null;
        if (!ranBefore) await Session.Ledger.BeginAsync(row, before, cancellationToken);
        OperatorException? failure = null;
        try
        {
            await commands.RunAsync(database.App, deployment, target, source?.Version, redactor, messages, cancellationToken);
        }
        catch (OperatorException e) when (e.Code == ExitCode.RolledBack)
        {
            failure = e;
        }
        if (failure is not null)
        {
            // A command that fails while the database is away says nothing of its release.
            OperatorException? away = await AwayAsync(async () =>
            {
                if (!ranBefore && await SchemaFingerprint.OfAsync(Session.Ledger, cancellationToken) == before) await Session.Ledger.RemoveAsync(name, cancellationToken);
                await (await Connections.OpenAsync(database.Address, ApplicationName, cancellationToken)).DisposeAsync();
            });
            throw away is null ? failure : new OperatorException(away.Code, $"{failure.Message}; and then: {away.Message}", away.Remedy, failure);
        }
        string after = await SchemaFingerprint.OfAsync(Session.Ledger, cancellationToken);
        if (after != before || (Target.Checksum.Length > 0 && !ranBefore))
        {
            if (ranBefore || after == before) await Session.Ledger.BeginAsync(after == before ? row with { Phase = Phase.Expand } : row, null, cancellationToken);
            await Session.Ledger.FinishAsync(name, 0, Target.Checksum, cancellationToken);
            tools.Logger.Applied(database.App, name, database.Address.Shown, deployment);
        }
        else if (!ranBefore) await Session.Ledger.RemoveAsync(name, cancellationToken);
        return after == before ? "the migration command changed nothing" : "the migration command ran";
    }

    /// <summary>Forgets a command of this deployment that was cut, or failed, before it had changed anything.</summary>
    public async Task ForgetVainCommandAsync(CancellationToken cancellationToken)
    {
        foreach (AppliedRow applied in seen.Where(applied => applied is { Fingerprint: not null, Row.Finished: null } && applied.Row.Deployment == deployment))
            if (applied.Fingerprint == await SchemaFingerprint.OfAsync(Session.Ledger, cancellationToken)) await Session.Ledger.RemoveAsync(applied.Row.Name, cancellationToken);
        await LookAsync(cancellationToken);
    }

    /// <summary>Ends a command that an agent that was killed left running.</summary>
    public Task StopCommandAsync(CancellationToken cancellationToken) => commands.StopAsync(deployment, cancellationToken);

    public Task<string> TakePointAsync(CancellationToken cancellationToken) =>
        tools.Points.TakeAsync(database, source?.Version, deployment, new Telling(this), cancellationToken);

    /// <summary>Puts the database back to a restore point, and looks what is so there. The lock of the one that was there goes with it.</summary>
    public async Task<string> RestoreAsync(string point, CancellationToken cancellationToken)
    {
        await CloseAsync();   // a restore ends every session
        string done = await tools.Points.RestoreAsync(database, point, source?.Version, deployment, new Telling(this), cancellationToken);
        await OpenAsync(cancellationToken);
        await LockAsync(static () => true, cancellationToken);
        return done;
    }

    /// <summary>Does something with the database; its errors come out as <see cref="OperatorException"/>.</summary>
    public async Task<T> ExplainAsync<T>(Func<Task<T>> act)
    {
        try
        {
            return await act();
        }
        catch (Exception e) when (session is { } open && SqlFault.IsOf(open.Connection, e))
        {
            throw SqlFault.Explain(e, database.Address.Shown, null);
        }
    }

    public ValueTask DisposeAsync() => CloseAsync();

    private LedgerRow RowOf(string name, string checksum, Phase phase, string? compatibleWith) =>
        new(name, checksum, phase, Target.Version.Text, compatibleWith, tools.Host, deployment, default, null, 0);

    /// <summary>
    /// The connection was lost in a commit: asks the ledger what became of it. Only under the lock, which the lost session has for as long as the server is
    /// not done with it.
    /// </summary>
    private async Task SettleAsync(CommitLostException e, string name, Func<AppliedRow?, bool> committed, CancellationToken cancellationToken)
    {
        Say($"{e.Message}; looking what became of it");
        Session lost = Session;
        await ConnectAgainAsync(e, cancellationToken);
        await Session.EndAsync(lost, cancellationToken);
        await LockAsync(static () => true, cancellationToken);
        bool done = committed(seen.FirstOrDefault(applied => applied.Row.Name == name));
        tools.Logger.CommitLookedUp(database.App, e.Name, database.Address.Shown, done ? "was committed" : "was not", deployment);
        if (!done)
            throw new OperatorException(ExitCode.Unreachable, $"{e.Message}; nothing of it was committed", "see that the database answers (agentctl db stats), then deploy again", e);
    }

    private async Task ConnectAgainAsync(CommitLostException lost, CancellationToken cancellationToken)
    {
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                await ConnectAsync(cancellationToken);
                return;
            }
            catch (OperatorException e) when (e.Code == ExitCode.Unreachable && attempt < 10)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(250 * (attempt + 1)) * (0.5 + (tools.Random.NextDouble() / 2)), tools.Time, cancellationToken);
            }
            catch (OperatorException e) when (e.Code == ExitCode.Unreachable)
            {
                throw new OperatorException(ExitCode.Unreachable, $"{lost.Message}, and the database does not answer since: {e.Message}", "when it answers, deploy again: the ledger says then whether it was committed", e);
            }
        }
    }

    /// <summary>Asks something of the database.</summary>
    /// <returns>Why it could not be asked, because it is away or lets nobody in; null: it could.</returns>
    private async Task<OperatorException?> AwayAsync(Func<Task> ask)
    {
        try
        {
            await ask();
            return null;
        }
        catch (OperatorException e)
        {
            return e;
        }
        catch (Exception e) when (SqlFault.IsOf(Session.Connection, e))
        {
            return SqlFault.Explain(e, database.Address.Shown, null);
        }
    }

    private async Task ConnectAsync(CancellationToken cancellationToken)
    {
        await CloseAsync();
        session = await Session.OpenAsync(database, ApplicationName, tools.Time, cancellationToken);
        session.Connection.Notice += (_, told) => Say($"{told.Notice.Severity}: {told.Notice.MessageText}");
    }

    private async ValueTask CloseAsync()
    {
        if (session is { } open) await open.DisposeAsync();
        session = null;
    }

    /// <summary>What is told, without secrets.</summary>
    private sealed class Telling(MigrationRun run) : IProgress<string>
    {
        public void Report(string value) => run.Say(value);
    }
}

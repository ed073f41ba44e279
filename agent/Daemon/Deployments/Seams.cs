using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Deployments;

// The engine's whole outside world. The rooms that implement these know nothing of Deployments beyond this file.

/// <summary>A release that signed metadata names.</summary>
/// <param name="Digest">SHA-256 of the manifest as it lies in the store.</param>
internal sealed record ReleaseId(AppName App, ReleaseVersion Version, Digest Digest)
{
    public override string ToString() => $"{App} {Version}";
}

/// <summary>A release whose every byte is on this host and verified.</summary>
/// <param name="ManifestPath">Path of the manifest as it lies in the store; its SHA-256 is the release's digest.</param>
/// <param name="Objects">Path of the verified content (mode 444, or 555 where executable) of each file of the manifest that is not empty, keyed as by <see cref="ObjectKey"/>.</param>
internal sealed record FetchedRelease(ReleaseId Id, Manifest Manifest, string ManifestPath, IReadOnlyDictionary<string, string> Objects)
{
    /// <summary>One object for each distinct content and mode, so that a hard link brings the right mode along.</summary>
    public static string ObjectKey(ManifestFile file) => file.Executable ? file.Sha256.Hex + ".x" : file.Sha256.Hex;
}

/// <summary>Bytes of a transfer so far.</summary>
internal readonly record struct TransferProgress(long Done, long Total);

/// <summary>A release that a caller brought to this host, and that was verified.</summary>
/// <param name="Unsigned">Without signatures, by the operator's leave.</param>
/// <param name="By">Who brought it: <c>uid 1000 (ann)</c>.</param>
internal sealed record PushedRelease(ReleaseId Id, bool Unsigned, string By);

/// <summary>Where releases come from: the store behind its signed metadata.</summary>
internal interface IArtifactSource
{
    /// <summary>Brings the signed metadata up to date and says what a version, a channel or a range means now.</summary>
    /// <returns>Null when nothing matches.</returns>
    /// <exception cref="OperatorException">The store cannot be reached (<see cref="ExitCode.Unreachable"/>), or its metadata is expired, replayed or forged (<see cref="ExitCode.Refused"/>); the text names the check that failed.</exception>
    Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken);

    /// <summary>Downloads and verifies what is missing; resumes; skips what <paramref name="installed"/> release directories hold already.</summary>
    /// <param name="installed">Directories of releases of this app on this host, with their manifests in <c>.agentd/manifest</c>.</param>
    /// <exception cref="OperatorException">As above. Nothing was written outside of the downloads directory.</exception>
    Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken);

    /// <summary>A release that was pushed to this host and waits here, by the digest of its manifest; null: there is none.</summary>
    PushedRelease? FindPushed(AppName app, Digest digest) => null;

    /// <summary>A release that was pushed to this host with its signatures and waits here, by its version; null: there is none.</summary>
    PushedRelease? FindPushed(AppName app, ReleaseVersion version) => null;

    /// <summary>Removes the downloads of an app that no deployment needs any more. Idempotent.</summary>
    void Sweep(AppName app);
}

/// <summary>What systemd says of a unit.</summary>
/// <param name="LoadState"><c>loaded</c>, <c>not-found</c>, <c>masked</c>, <c>bad-setting</c>, <c>error</c>.</param>
/// <param name="ActiveState"><c>active</c>, <c>activating</c>, <c>inactive</c>, <c>failed</c>, <c>deactivating</c>, <c>reloading</c>.</param>
/// <param name="Result">systemd's Result: <c>success</c>, <c>exit-code</c>, <c>signal</c>, <c>core-dump</c>, <c>oom-kill</c>, <c>timeout</c>, <c>watchdog</c>, <c>start-limit-hit</c>, ...</param>
/// <param name="Restarts">NRestarts: how often systemd restarted it by itself since the last job.</param>
/// <param name="ExitCode">Exit status or signal number of the main process; see <paramref name="ExitKind"/>.</param>
/// <param name="ExitKind"><c>exited</c>, <c>killed</c>, <c>dumped</c>, or empty while it never ended.</param>
/// <param name="InvocationId">Changes with every start; 32 hexadecimal digits, or empty.</param>
internal sealed record UnitState(
    UnitName Unit, string LoadState, string ActiveState, string SubState, string Result, uint Restarts, int MainPid,
    string ExitKind, int ExitCode, string InvocationId, DateTimeOffset? Since);

/// <summary>A line of the system's log.</summary>
/// <param name="Priority">syslog: 0 emergency to 7 debug.</param>
/// <param name="Cursor">Place in the journal, for going on from here.</param>
internal sealed record LogEntry(DateTimeOffset At, string Unit, int Priority, int Pid, string Message, string Cursor);

/// <summary>A command to run once.</summary>
/// <param name="Unit">A name that nothing else has; a unit that a killed agent left under it is ended first.</param>
/// <param name="Arguments">The program's absolute path first. They arrive as they are: nothing is expanded.</param>
/// <param name="Environment">Seen by every user of the host (systemctl show): no secrets.</param>
/// <param name="EnvironmentFiles">Absolute paths, read by systemd as root.</param>
/// <param name="Memory">Bytes; null: no limit.</param>
internal sealed record TransientCommand(
    UnitName Unit, string Description, IReadOnlyList<string> Arguments, string? User, string WorkingDirectory,
    IReadOnlyDictionary<string, string> Environment, IReadOnlyList<string> EnvironmentFiles, TimeSpan Timeout, long? Memory);

/// <summary>How a command ended.</summary>
/// <param name="Succeeded">It exited with 0.</param>
/// <param name="Cause">For people: <c>exit status 3</c>, <c>signal 9 (oom-kill)</c>, <c>took longer than 60 s</c>; empty where it succeeded.</param>
/// <param name="Output">The last lines of output and errors, at most 100 of 1,000 characters.</param>
internal sealed record CommandEnd(bool Succeeded, string Cause, IReadOnlyList<string> Output);

/// <summary>A user and its group, by number.</summary>
internal readonly record struct UserIds(uint Uid, uint Gid);

/// <summary>systemd. Every job is waited for; its result word decides.</summary>
/// <remarks>All throw <see cref="OperatorException"/> with systemd's own word (<c>failed</c>, <c>timeout</c>, <c>dependency</c>, <c>not-found</c>, <c>masked</c>) when the job does not end in <c>done</c>, and when the bus is gone.</remarks>
internal interface ISupervisor
{
    Task ReloadAsync(CancellationToken cancellationToken);

    Task StartAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>Nothing where it does not run or does not exist. What ignores the signal is killed: then the job is <c>done</c> and Result is <c>timeout</c>.</summary>
    Task StopAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>Restarts, or starts where it does not run; clears a failed state and the restart counter first.</summary>
    Task RestartAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>Makes the unit start at boot, as its [Install] section says; nothing where it has none.</summary>
    Task EnableAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>Nothing where it is not enabled or does not exist. To be called while the unit's file is still there.</summary>
    Task DisableAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>One consistent look. A unit that does not exist has LoadState <c>not-found</c>; systemd forgets how one that ended well exited.</summary>
    Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken);

    /// <summary>Runs a command to its end, in a unit of its own that systemd made for it and that is gone afterwards.</summary>
    /// <param name="output">Takes each line of its output and errors as it comes, on a thread of its own. To return at once: a command that writes much waits for it.</param>
    /// <returns>How it ended: a failure of the command is an answer, not an error. Cancelling ends it, with all its children.</returns>
    Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken);

    /// <summary>Makes a system user with a group of the same name, where there is none.</summary>
    Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken);

    /// <summary>The last log lines of a unit, oldest first.</summary>
    Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken);

    /// <summary>Lines after the last <paramref name="lines"/>, and new ones as they come, until cancelled.</summary>
    IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, CancellationToken cancellationToken);
}

/// <summary>Answer of one check.</summary>
/// <param name="Detail">For people: <c>GET /up gave 503</c>, <c>200 in 12 ms</c>.</param>
internal sealed record CheckAnswer(string Check, bool Passed, string Detail);

/// <summary>Runs one check once.</summary>
internal interface IHealthProbe
{
    /// <summary>Never throws for an unhealthy application: that is an answer. Bounded by the check's own timeout.</summary>
    /// <param name="app">What the check is of.</param>
    /// <exception cref="OperatorException">systemd, which some checks need, does not answer, or no descriptor is left to ask with: that says nothing about the application.</exception>
    Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken);
}

/// <summary>What of a deployment concerns the database.</summary>
/// <param name="Deployment">Its id.</param>
/// <param name="From">What runs; null at a first deployment.</param>
/// <param name="RestorePoint">To put the database back to, instead of migrating; null: none.</param>
/// <param name="IgnoreSchema">The guard lets <paramref name="To"/> pass whatever the database has seen.</param>
internal sealed record MigrationRequest(AppName App, string Deployment, DatabaseUser? From, DatabaseUser To, string? RestorePoint, bool IgnoreSchema);

/// <summary>A release as the database meets it.</summary>
/// <param name="Directory">Absolute, where it is laid out.</param>
/// <param name="Definition">With its <see cref="AppDefinition.Database"/>, <see cref="AppDefinition.Migrations"/>, user and environment.</param>
internal sealed record DatabaseUser(string Version, string Directory, AppDefinition Definition);

/// <summary>The app's database. Whoever migrates holds a lock that every other host of the app waits for, and that dies with the connection.</summary>
/// <remarks>
/// Errors of all: <see cref="OperatorException"/> with <see cref="ExitCode.RolledBack"/> where the release is to blame (a migration is wrong), with
/// <see cref="ExitCode.Unreachable"/> where the database does not answer, with <see cref="ExitCode.Refused"/> for all else; in
/// <see cref="IMigration.MigrateAsync"/> as well as here, nothing of the failing migration is left.
/// </remarks>
internal interface IMigrator
{
    /// <summary>
    /// Waits for the lock where there may be something to do, looks what is pending, and asks the guard whether <see cref="MigrationRequest.To"/> can live with what the database has seen.
    /// </summary>
    /// <param name="messages">Takes who holds the lock, while this waits.</param>
    /// <exception cref="OperatorException">The guard refuses (<see cref="ExitCode.Refused"/>); the remedy spells the choices out.</exception>
    Task<IMigration> BeginAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Makes the database fit <see cref="MigrationRequest.From"/> again: what its migrations brought may stay, is taken back by its <c>.down.sql</c>, or the restored database is swapped back. Idempotent.</summary>
    /// <returns>What was done, for people; null: nothing.</returns>
    /// <exception cref="OperatorException">That cannot be had (<see cref="ExitCode.NeedsOperator"/>): the release that runs must stay; the text and the remedy spell the choices out.</exception>
    Task<string?> UndoAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Runs what comes after the commit point, or leaves it to the last host that still runs a release before. Idempotent.</summary>
    /// <returns>What was done, or what is waited for, for people.</returns>
    Task<string> ContractAsync(MigrationRequest request, IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Drops what a deployment left in the database's server beside the database. Never fails for a server that is away.</summary>
    Task SweepAsync(AppDefinition definition, CancellationToken cancellationToken);

    /// <summary>Removes what a crash may have left of restore points on this host. No restore point of the app may be under way.</summary>
    /// <exception cref="IOException">The disk does not let it.</exception>
    void RemoveLeftovers(AppName app, DatabaseOptions database);
}

/// <summary>One deployment's hold on the database, from <see cref="IMigrator.BeginAsync"/> until it is disposed, which lets the lock go.</summary>
internal interface IMigration : IAsyncDisposable
{
    /// <summary>Something is to be done before the flip.</summary>
    bool Pending { get; }

    /// <summary>What is pending may stay when the release goes: it only adds what the release before does not notice.</summary>
    bool MayStay { get; }

    /// <summary>Something is to be done after the commit point.</summary>
    bool Contract { get; }

    /// <summary>Takes a restore point, where the operator wants them.</summary>
    /// <returns>What was done, for people: <c>restore point shop-12 of 2.1 GB</c>.</returns>
    Task<string?> BackUpAsync(IProgress<string> messages, CancellationToken cancellationToken);

    /// <summary>Runs what is pending, or restores <see cref="MigrationRequest.RestorePoint"/>.</summary>
    /// <param name="messages">Takes each migration as it begins, and its output.</param>
    /// <returns>What was done, for people.</returns>
    Task<string> MigrateAsync(IProgress<string> messages, CancellationToken cancellationToken);
}

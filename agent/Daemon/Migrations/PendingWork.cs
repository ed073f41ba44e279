using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations;

/// <summary>What a release has yet to do to a database.</summary>
/// <param name="Before">Files that run before the flip, in their order.</param>
/// <param name="After">Files that run behind the commit point, in their order.</param>
/// <param name="Command">Its own command is to run.</param>
internal sealed record PendingWork(IReadOnlyList<PendingFile> Before, IReadOnlyList<PendingFile> After, bool Command)
{
    public bool IsEmpty => Before.Count == 0 && After.Count == 0 && !Command;
}

/// <summary>Reads the SQL files of releases, each once, and says which of them a database lacks.</summary>
/// <param name="onlyAdds">Whether SQL only adds; null where that cannot be told.</param>
internal sealed class PendingReader(IDisk disk, Func<string, bool?> onlyAdds)
{
    private readonly Dictionary<string, (IReadOnlyList<SqlStatement> Statements, Phase Phase)> read = [];

    /// <param name="strict">A file that changed after it ran is refused.</param>
    /// <exception cref="OperatorException">A file is wrong, or has changed after it ran (<see cref="ExitCode.RolledBack"/>).</exception>
    public PendingWork Of(ReleaseMigrations release, IReadOnlyList<AppliedRow> ledger, bool strict)
    {
        Dictionary<string, LedgerRow> rows = ledger.ToDictionary(applied => applied.Row.Name, applied => applied.Row);
        var changed = new Problems();
        var before = new List<PendingFile>();
        var after = new List<PendingFile>();
        foreach (MigrationFile file in release.Files)
        {
            LedgerRow? row = rows.GetValueOrDefault(file.Name);
            if (row is { Finished: not null })
            {
                if (strict && row.Checksum != file.Checksum) changed.Add(file.Name, 0, $"has changed since {row.Release} ran it", "put it back as it was, and write what is to change into a new file");
                continue;
            }
            (IReadOnlyList<SqlStatement> statements, Phase phase) = Read(file);
            if (row is not null && (row.Statements > statements.Count || PendingFile.ChecksumOf(statements, row.Statements) != row.Checksum))
                changed.Add(file.Name, 0, $"was cut after {row.Statements} of its statements, and these have changed since", "put these back as they were; the rest may be corrected");
            (phase == Phase.Contract ? after : before).Add(new PendingFile(file, phase, statements, row?.Statements));
        }
        changed.ThrowIfAny(ExitCode.RolledBack, "correct the files and publish the release under a new version");
        return new PendingWork(before, after, release.Command is not null && !HasRun(release, ledger));
    }

    /// <summary>The statements of a file, and its phase: what its header says, else what they do.</summary>
    public (IReadOnlyList<SqlStatement> Statements, Phase Phase) Read(MigrationFile file)
    {
        if (read.TryGetValue(file.Path, out (IReadOnlyList<SqlStatement>, Phase) known)) return known;
        IReadOnlyList<SqlStatement> statements = MigrationSet.Load(disk, file).Statements;
        Phase phase = file.Phase == Phase.Unknown && onlyAdds(string.Join(";\n", statements.Select(statement => statement.Text))) == true ? Phase.Expand : file.Phase;
        return read[file.Path] = (statements, phase);
    }

    /// <summary>The file that takes a migration back, and its statements.</summary>
    /// <exception cref="OperatorException">It cannot run in a transaction (<see cref="ExitCode.RolledBack"/>).</exception>
    public (MigrationFile File, IReadOnlyList<SqlStatement> Statements) Down(MigrationFile file)
    {
        SqlFile down = MigrationSet.LoadDown(disk, file);
        string name = Path.GetFileName(file.Down!);
        if (!down.InTransaction)
            throw new OperatorException(ExitCode.RolledBack, $"{name} says no-transaction: what takes a migration back runs in one, so that it is done or not", "write it without CONCURRENTLY: dropping an index takes a moment");
        return (file with { Name = name, InTransaction = true, LockTimeout = down.LockTimeout, StatementTimeout = down.StatementTimeout }, down.Statements);
    }

    // Where it does not say what it runs, it is asked each time.
    private static bool HasRun(ReleaseMigrations release, IReadOnlyList<AppliedRow> ledger) =>
        release.Checksum.Length > 0 && ledger.Any(applied => applied.Row.Finished is not null && applied.Row.Checksum == release.Checksum);
}

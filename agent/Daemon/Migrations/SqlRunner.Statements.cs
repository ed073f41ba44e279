using System.Text.RegularExpressions;
using Agent.Artifacts;
using Npgsql;

namespace Agent.Daemon.Migrations;

// Files that run statement by statement. What can, runs in one transaction with the point reached; what PostgreSQL takes by itself only is
// followed by it, so that after a cut it may have run and not be recorded: an index is then looked for, all else runs again.
internal sealed partial class SqlRunner
{
    private async Task ByStatementAsync(PendingFile pending, LedgerRow row, IProgress<string> messages, CancellationToken cancellationToken)
    {
        (MigrationFile file, _, IReadOnlyList<SqlStatement> statements, int? begun) = pending;
        int reached = begun ?? 0;
        SqlStatement? at = null;
        try
        {
            await session.CheckAsync(cancellationToken);
            await session.Ledger.RunAsync(Reset, cancellationToken);
            await SetLimitsAsync(file, local: false, cancellationToken);
            await session.Ledger.BeginAsync(row with { Statements = reached, Checksum = PendingFile.ChecksumOf(statements, reached) }, null, cancellationToken);
            foreach (SqlStatement setting in statements.Take(reached).Where(statement => SettingPattern().IsMatch(statement.Text)))
                await ExecuteAsync(at = setting, cancellationToken);   // as the session had it before the cut
            for (; reached < statements.Count; reached++)
            {
                at = statements[reached];
                await StatementAsync(file, row.Name, statements, reached, mayHaveRun: reached == begun, messages, cancellationToken);
            }
            at = null;
            await RecordAsync(() => session.Ledger.FinishAsync(row.Name, statements.Count, row.Checksum, cancellationToken), cancellationToken);
        }
        catch (Exception e) when (SqlFault.IsOf(Connection, e))
        {
            OperatorException told = await FailureAsync(e, file, at, cancellationToken);
            if (SqlFault.IsLoss(e)) throw told;
            string left = at is null ? "" : await TidyAsync(row.Name, at, reached, cancellationToken);
            throw new OperatorException(told.Code, told.Message + left, told.Remedy, e);
        }
    }

    private async Task StatementAsync(
        MigrationFile file, string name, IReadOnlyList<SqlStatement> statements, int index, bool mayHaveRun, IProgress<string> messages, CancellationToken cancellationToken)
    {
        SqlStatement statement = statements[index];
        Task ReachAsync() => session.Ledger.ReachAsync(name, index + 1, PendingFile.ChecksumOf(statements, index + 1), cancellationToken);
        for (int attempt = 0; ; attempt++)
        {
            try
            {
                if (!AlonePattern().IsMatch(statement.Text))
                {
                    await using NpgsqlTransaction transaction = await Connection.BeginTransactionAsync(cancellationToken);
                    await ExecuteAsync(statement, cancellationToken);
                    await session.Ledger.RunAsync(OwnRole, cancellationToken);
                    await ReachAsync();
                    if (beforeCommit is not null) await beforeCommit();
                    await transaction.CommitAsync(cancellationToken);
                    return;
                }
                if (!await IsDoneAsync(statement, mayHaveRun, messages, cancellationToken))
                {
                    bool waits = file.LockTimeout is null && ConcurrentIndexPattern().IsMatch(statement.Text);
                    if (waits) await session.Ledger.RunAsync("SET lock_timeout = 0", cancellationToken);   // it blocks nobody while it waits
                    await ExecuteAsync(statement, cancellationToken);
                    if (waits) await SetLimitsAsync(file, local: false, cancellationToken);
                }
                await RecordAsync(ReachAsync, cancellationToken);
                return;
            }
            catch (Exception e) when (SqlFault.MayPass(e) && attempt < session.Database.Options.LockRetries)
            {
                await PauseAsync(file, statement, e, attempt, messages, cancellationToken);
            }
        }
    }

    private async Task RecordAsync(Func<Task> record, CancellationToken cancellationToken)
    {
        await using NpgsqlTransaction transaction = await Connection.BeginTransactionAsync(cancellationToken);
        await session.Ledger.RunAsync(OwnRole, cancellationToken);
        await record();
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Whether an index that the statement makes or drops is as it wants it already. An invalid one that a cut CREATE INDEX CONCURRENTLY left goes first.</summary>
    private async Task<bool> IsDoneAsync(SqlStatement statement, bool mayHaveRun, IProgress<string> messages, CancellationToken cancellationToken)
    {
        if (DroppedIndexPattern().Match(statement.Text) is { Success: true } dropped)
        {
            await using NpgsqlCommand command = session.Ledger.Command("SELECT pg_catalog.to_regclass($1) IS NULL", dropped.Groups["name"].Value);
            return mayHaveRun && (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
        }
        if (await IndexAsync(statement, cancellationToken) is not var (index, valid)) return false;
        if (valid) return mayHaveRun;
        messages.Report($"{index} is invalid: a CREATE INDEX CONCURRENTLY was cut; it is dropped and built again");
        await DropAsync(index, cancellationToken);
        return false;
    }

    /// <summary>The index of a CREATE INDEX CONCURRENTLY, where there is one: its qualified name, in quotes, and whether it is valid.</summary>
    private async Task<(string Name, bool Valid)?> IndexAsync(SqlStatement statement, CancellationToken cancellationToken)
    {
        if (CreatedIndexPattern().Match(statement.Text) is not { Success: true } created) return null;
        string written = created.Groups["name"].Value;
        string name = written.StartsWith('"') ? written[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal) : written.ToLowerInvariant();
        await using NpgsqlCommand command = session.Ledger.Command(
            """
            SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), i.indisvalid FROM pg_catalog.pg_index i
            JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE i.indrelid = pg_catalog.to_regclass($1) AND c.relname = $2
            """, created.Groups["table"].Value, name);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (reader.GetString(0), reader.GetBoolean(1)) : null;
    }

    private Task<int> DropAsync(string index, CancellationToken cancellationToken) => session.Ledger.RunAsync($"DROP INDEX CONCURRENTLY {index}", cancellationToken);

    /// <summary>After a statement failed: what it left.</summary>
    /// <returns>For the error's text.</returns>
    private async Task<string> TidyAsync(string name, SqlStatement statement, int reached, CancellationToken cancellationToken)
    {
        string left = "";
        try
        {
            if (await IndexAsync(statement, cancellationToken) is (var index, false))
            {
                left = $"; the invalid index {index} is left, which the next try drops and builds again";
                await DropAsync(index, cancellationToken);
                left = $"; the invalid index {index} that it left was dropped";
            }
            if (reached == 0) await RecordAsync(() => session.Ledger.RemoveAsync(name, cancellationToken), cancellationToken);   // nothing of the file was done
        }
        catch (Exception e) when (SqlFault.IsOf(Connection, e))
        {
            // As the row says: the next try finds out.
        }
        return left;
    }

    // Source: the commands' pages say which cannot run in a transaction block; what CALL and DO run may commit by itself.
    [GeneratedRegex(@"\A(?:VACUUM|CALL|DO|CLUSTER|REINDEX|ALTER\s+SYSTEM|(?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE)|(?:CREATE|ALTER|DROP)\s+SUBSCRIPTION)\b|\bCONCURRENTLY\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex AlonePattern();

    [GeneratedRegex(@"\A(?:SET|RESET)\s", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SettingPattern();

    [GeneratedRegex(@"\A(?:CREATE\s+(?:UNIQUE\s+)?INDEX|DROP\s+INDEX|REINDEX\s.*?)\s*\bCONCURRENTLY\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant | RegexOptions.Singleline)]
    private static partial Regex ConcurrentIndexPattern();

    [GeneratedRegex(
        @"\ACREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?<name>""(?:[^""]|"""")+""|[\w$]+)\s+ON\s+(?:ONLY\s+)?(?<table>(?:(?:""(?:[^""]|"""")+""|[\w$]+)\s*\.\s*)?(?:""(?:[^""]|"""")+""|[\w$]+))",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex CreatedIndexPattern();

    [GeneratedRegex(@"\ADROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?<name>(?:(?:""(?:[^""]|"""")+""|[\w$]+)\s*\.\s*)?(?:""(?:[^""]|"""")+""|[\w$]+))\s*\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex DroppedIndexPattern();
}

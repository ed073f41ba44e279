using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Daemon.Health;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>An SQL file that is to run.</summary>
/// <param name="Phase">Of its header; where that is silent, what its statements do.</param>
/// <param name="Done">Statements of it that have run, as the ledger has it; null: it was never begun.</param>
internal sealed record PendingFile(MigrationFile File, Phase Phase, IReadOnlyList<SqlStatement> Statements, int? Done)
{
    /// <summary>SHA-256 over the first statements: what a ledger's row has while its file is not done, so that the rest may be corrected.</summary>
    public static string ChecksumOf(IReadOnlyList<SqlStatement> statements, int count) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Concat(statements.Take(count).Select(statement => $"{statement.Text}\0{statement.CopyData}\0")))));
}

/// <summary>The connection broke while a file was committed: whether it was is for the ledger to say.</summary>
internal sealed class CommitLostException(string name, Exception cause) : Exception($"the connection was lost in the commit of {name}", cause)
{
    public string Name => name;
}

/// <summary>Runs SQL files in a session that has the lock, and writes the ledger in the same transactions.</summary>
/// <remarks>
/// Out of the way: a statement that does not get its lock within lock_timeout gives up, so that nobody queues behind it for longer; then the whole file is
/// tried again after a pause.
/// </remarks>
/// <param name="beforeCommit">Looks on, in each transaction; null: nobody does.</param>
internal sealed partial class SqlRunner(Session session, TimeProvider time, Random random, Func<Task>? beforeCommit = null)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(500), LongestPause = TimeSpan.FromSeconds(20);

    // Everything that a file before may have set: as if the session were new. The advisory lock stays.
    private const string Reset = "SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; DISCARD TEMP";

    // For the ledger, in the transaction that ends there: a file may have taken another role.
    private const string OwnRole = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE";

    private NpgsqlConnection Connection => session.Connection;

    /// <param name="row">As the ledger is to have it.</param>
    /// <exception cref="OperatorException">It failed, and nothing of it is left where it runs in a transaction.</exception>
    /// <exception cref="CommitLostException">Perhaps it was committed.</exception>
    public Task RunAsync(PendingFile pending, LedgerRow row, IProgress<string> messages, CancellationToken cancellationToken) => pending.File.InTransaction
        ? InTransactionAsync(
            pending.File, pending.Statements, messages, () => session.Ledger.BeginAsync(row, null, cancellationToken),
            () => session.Ledger.FinishAsync(row.Name, pending.Statements.Count, row.Checksum, cancellationToken), cancellationToken)
        : ByStatementAsync(pending, row, messages, cancellationToken);

    /// <summary>Takes a migration back, and its row with it.</summary>
    /// <param name="down">Its <c>.down.sql</c>, named as itself.</param>
    /// <exception cref="OperatorException">As <see cref="RunAsync"/>.</exception>
    /// <exception cref="CommitLostException">As <see cref="RunAsync"/>.</exception>
    public Task RevertAsync(string name, MigrationFile down, IReadOnlyList<SqlStatement> statements, IProgress<string> messages, CancellationToken cancellationToken) =>
        InTransactionAsync(down, statements, messages, static () => Task.CompletedTask, () => session.Ledger.RemoveAsync(name, cancellationToken), cancellationToken);

    private async Task InTransactionAsync(MigrationFile file, IReadOnlyList<SqlStatement> statements, IProgress<string> messages, Func<Task> begin, Func<Task> record, CancellationToken cancellationToken)
    {
        for (int attempt = 0; ; attempt++)
        {
            SqlStatement? at = null;
            bool committing = false;
            try
            {
                await using NpgsqlTransaction transaction = await Connection.BeginTransactionAsync(cancellationToken);
                await session.CheckAsync(cancellationToken);
                await session.Ledger.RunAsync(Reset, cancellationToken);
                await SetLimitsAsync(file, local: true, cancellationToken);
                await begin();
                foreach (SqlStatement statement in statements)
                {
                    at = statement;
                    await ExecuteAsync(statement, cancellationToken);
                }
                await session.Ledger.RunAsync(OwnRole, cancellationToken);
                await record();
                if (beforeCommit is not null) await beforeCommit();
                committing = true;
                await transaction.CommitAsync(cancellationToken);
                return;
            }
            catch (Exception e) when (committing && SqlFault.IsLoss(e))
            {
                throw new CommitLostException(file.Name, e);
            }
            catch (Exception e) when (SqlFault.MayPass(e) && attempt < session.Database.Options.LockRetries)
            {
                await PauseAsync(file, at, e, attempt, messages, cancellationToken);
            }
            catch (Exception e) when (SqlFault.IsOf(Connection, e))
            {
                throw await FailureAsync(e, file, at, cancellationToken);
            }
        }
    }

    private async Task ExecuteAsync(SqlStatement statement, CancellationToken cancellationToken)
    {
        if (statement.CopyData is { } data)
        {
            await using NpgsqlCopyTextWriter copy = await Connection.BeginTextImportAsync(statement.Text, cancellationToken);
            await copy.WriteAsync(data.AsMemory(), cancellationToken);
            return;   // it is sent, and an error told, as it is disposed of
        }
        await using var command = new NpgsqlCommand(statement.Text, Connection);
        // Npgsql takes texts apart at semicolons, also those of a function's body, but not where they have positional parameters. One that no
        // statement names is allowed: as PREPARE p(int) AS SELECT 1 is.
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = 0 });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task SetLimitsAsync(MigrationFile file, bool local, CancellationToken cancellationToken)
    {
        static string Milliseconds(TimeSpan? limit) => $"{(long)Math.Ceiling((limit ?? TimeSpan.Zero).TotalMilliseconds)}";
        await using NpgsqlCommand command = session.Ledger.Command(
            $"""
            SELECT pg_catalog.set_config('lock_timeout', $1, {local}), pg_catalog.set_config('statement_timeout', $2, {local}),
                pg_catalog.set_config('idle_in_transaction_session_timeout', '60000', {local})
            """,
            Milliseconds(file.LockTimeout ?? session.Database.Options.LockTimeout), Milliseconds(file.StatementTimeout ?? session.Database.Options.StatementTimeout));
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Growing, and never the same for two: others get the tables meanwhile.</summary>
    private async Task PauseAsync(MigrationFile file, SqlStatement? at, Exception e, int attempt, IProgress<string> messages, CancellationToken cancellationToken)
    {
        TimeSpan longest = TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, FirstPause.Ticks << Math.Min(attempt, 10)));
        TimeSpan pause = longest * (0.5 + (random.NextDouble() / 2));
        messages.Report($"{file.Name} line {at?.Line ?? 1}: {Spoken.Line(((PostgresException)e).MessageText, 200)}; try {attempt + 2} of {session.Database.Options.LockRetries + 1} in {Spoken.Duration(pause)}");
        await Task.Delay(pause, time, cancellationToken);
    }

    private async Task<OperatorException> FailureAsync(Exception e, MigrationFile file, SqlStatement? at, CancellationToken cancellationToken)
    {
        OperatorException told = SqlFault.Explain(e, session.Database.Address.Shown, at is null ? null : (file.Name, at));
        if (!SqlFault.MayPass(e)) return told;
        string tried = session.Database.Options.LockRetries > 0 ? $"; tried {session.Database.Options.LockRetries + 1} times" : "";
        return new OperatorException(told.Code, told.Message + tried + await OldestAsync(cancellationToken), told.Remedy, e);
    }

    /// <summary>Who most likely holds the lock.</summary>
    private async Task<string> OldestAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using NpgsqlCommand command = session.Ledger.Command(
                """
                SELECT pid, pg_catalog.left(application_name, 63), state, EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - xact_start)::int FROM pg_catalog.pg_stat_activity
                WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL ORDER BY xact_start LIMIT 1
                """);
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
            if (!await reader.ReadAsync(cancellationToken)) return "";
            string name = reader.IsDBNull(1) || reader.GetString(1).Length == 0 ? "" : $" ({Spoken.Line(reader.GetString(1), 63)})";
            return $"; the oldest transaction is that of process {reader.GetInt32(0)}{name}, {(reader.IsDBNull(2) ? "open" : reader.GetString(2))}, since {Spoken.Duration(TimeSpan.FromSeconds(reader.GetInt32(3)))}";
        }
        catch (Exception e) when (SqlFault.IsOf(Connection, e))
        {
            return "";   // only said to help
        }
    }
}

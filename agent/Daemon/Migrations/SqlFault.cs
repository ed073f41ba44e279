using System.Data;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Daemon.Health;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>What PostgreSQL says of a statement, as operators need it: SQLSTATE, file, line, the statement's beginning, and who has to act.</summary>
/// <remarks>Source: PostgreSQL's documentation, appendix A, error codes.</remarks>
internal static partial class SqlFault
{
    /// <summary>The same again may well succeed: a lock was not got, a deadlock, a serialization failure.</summary>
    public static bool MayPass(Exception e) => e is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>It came from the database, or from a connection that broke: Npgsql has other words for using one.</summary>
    public static bool IsOf(NpgsqlConnection connection, Exception e) =>
        e is NpgsqlException || (e is InvalidOperationException && connection.State != ConnectionState.Open);

    /// <summary>The session is gone, or about to be: what was under way in it is not known.</summary>
    public static bool IsLoss(Exception e) => e switch
    {
        PostgresException { SqlState: ['0', '8', ..] } => true,
        PostgresException { SqlState: PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow or "57P04" or "57P05" or "25P03" or "25P04" } => true,
        PostgresException => false,
        NpgsqlException or InvalidOperationException => true,
        _ => false,
    };

    /// <param name="where">File and statement; null: it is one of the agent's own.</param>
    public static OperatorException Explain(Exception e, string database, (string File, SqlStatement Statement)? where) => e switch
    {
        OperatorException told => told,
        _ when IsLoss(e) => new OperatorException(
            ExitCode.Unreachable, $"{Place(where, null)}the connection to {database} was lost: {(e as PostgresException)?.MessageText ?? Spoken.Line(e.Message, 300)}",
            "see that the database answers (agentctl db stats), then deploy again: it goes on where it was cut", e),
        PostgresException server => Explain(server, database, where),
        _ => throw new InvalidOperationException("no error of a database", e),
    };

    private static OperatorException Explain(PostgresException e, string database, (string File, SqlStatement Statement)? where)
    {
        string what = $"{Place(where, e)}{Spoken.Line(e.MessageText, 500)} ({e.SqlState}){More("detail", e.Detail)}{More("hint", e.Hint)}{Begin(where)}";
        return e.SqlState switch
        {
            PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure =>
                new OperatorException(ExitCode.Refused, what, "deploy again when the database is less busy, or end what holds the lock: agentctl db stats shows it", e),
            ['5', '3' or '8', ..] => new OperatorException(ExitCode.Unreachable, what, $"give {database} what it lacks, then deploy again", e),
            PostgresErrorCodes.InsufficientPrivilege =>
                new OperatorException(ExitCode.Refused, what, $"grant the app's role what is missing in {database}, or make the database with agentctl db create; then deploy again", e),
            PostgresErrorCodes.ReadOnlySqlTransaction => new OperatorException(ExitCode.Refused, what, "name the primary server in the database's URL: this is a standby, or set to read only", e),
            PostgresErrorCodes.QueryCanceled when where is not null => new OperatorException(
                ExitCode.RolledBack, what, "make the statement quicker, or give it time: '-- agentd: statement_timeout=10m' at the file's top, or database.statement_timeout", e),
            _ when where is null => new OperatorException(ExitCode.Refused, what, $"look at {database}; agentd's tables are in its schema agentd", e),
            _ => new OperatorException(ExitCode.RolledBack, what, "correct the migration and publish the release under a new version", e),
        };
    }

    private static string Place((string File, SqlStatement Statement)? where, PostgresException? e)
    {
        if (where is not var (file, statement)) return "";
        int into = e is { Position: > 0 } ? statement.Text.AsSpan(0, Math.Min(e.Position - 1, statement.Text.Length)).Count('\n') : 0;
        string data = e?.Where is { } context && CopyLine().Match(context) is { Success: true } line ? $" (data line {line.Groups[1].Value})" : "";
        return $"{file} line {statement.Line + into}{data}: ";
    }

    private static string More(string name, string? text) => string.IsNullOrWhiteSpace(text) ? "" : $"; {name}: {Spoken.Line(text, 300)}";

    private static string Begin((string File, SqlStatement Statement)? where) => where is var (_, statement) ? $"; statement: {Brief(statement.Text)}" : "";

    /// <summary>The beginning of a statement in one line.</summary>
    public static string Brief(string text) => Spoken.Line(Blanks().Replace(text.Length > 400 ? text[..400] : text, " "), 100);

    [GeneratedRegex(@"^COPY [^,]+, line (\d+)", RegexOptions.CultureInvariant)]
    private static partial Regex CopyLine();

    [GeneratedRegex(@"\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Blanks();
}

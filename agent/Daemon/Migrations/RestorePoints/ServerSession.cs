using Agent.Artifacts;
using Npgsql;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>A connection for what restore points have to know and do. No statement of it has a time limit but that of its caller.</summary>
internal sealed class ServerSession : IAsyncDisposable
{
    private readonly NpgsqlConnection connection;
    private readonly string shown;

    private ServerSession(NpgsqlConnection connection, string shown) => (this.connection, this.shown) = (connection, shown);

    /// <summary>Major version of the server.</summary>
    public int Major => connection.PostgreSqlVersion.Major;

    /// <summary><c>15.18</c>.</summary>
    public string Version => connection.PostgreSqlVersion.ToString();

    /// <param name="application">As the server's administrators see it.</param>
    /// <exception cref="OperatorException">It does not answer (<see cref="ExitCode.Unreachable"/>), or does not let us in (<see cref="ExitCode.Refused"/>).</exception>
    public static async Task<ServerSession> OpenAsync(DatabaseAddress address, string application, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address.ConnectionString)
        {
            Pooling = false,
            ApplicationName = application,
            CommandTimeout = 0,
        }.ConnectionString);
        var session = new ServerSession(connection, address.Shown);
        try
        {
            await connection.OpenAsync(cancellationToken);
            await session.ExecuteAsync(
                """
                SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings
                WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout');
                SET row_security = off; SET search_path = ''
                """, cancellationToken);
            return session;
        }
        catch (Exception e)
        {
            await connection.DisposeAsync();
            throw e is NpgsqlException database ? session.Told(database) : e;
        }
    }

    /// <exception cref="OperatorException">As <see cref="OpenAsync"/>.</exception>
    public async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (NpgsqlException e)
        {
            throw Told(e);
        }
    }

    /// <summary>The rows of a query.</summary>
    /// <param name="parameters">For <c>$1</c>, <c>$2</c>, ...</param>
    public async Task<IReadOnlyList<T>> QueryAsync<T>(string sql, Func<NpgsqlDataReader, T> row, CancellationToken cancellationToken, params IEnumerable<string> parameters)
    {
        try
        {
            await using var command = new NpgsqlCommand(sql, connection);
            foreach (string parameter in parameters) command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = parameter });
            await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
            var rows = new List<T>();
            while (await reader.ReadAsync(cancellationToken)) rows.Add(row(reader));
            return rows;
        }
        catch (NpgsqlException e)
        {
            throw Told(e);
        }
    }

    /// <summary>The one value of a query.</summary>
    public async Task<T> ValueAsync<T>(string sql, CancellationToken cancellationToken, params IEnumerable<string> parameters) =>
        (await QueryAsync(sql, row => row.GetFieldValue<T>(0), cancellationToken, parameters))[0];

    public ValueTask DisposeAsync() => connection.DisposeAsync();

    public static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    public static string Literal(string text) =>
        // Both forms of strings, whatever standard_conforming_strings is.
        $"{(text.Contains('\\') ? " E" : "")}'{text.Replace("\\", @"\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'";

    private OperatorException Told(NpgsqlException e) => e switch
    {
        PostgresException { SqlState: ['0', '8', ..] or ['5', '7', ..] or ['5', '3', ..] or ['5', '8', ..] } lost =>
            new OperatorException(ExitCode.Unreachable, $"{shown}: {Api.PlainText.Of(lost.MessageText, 300)} ({lost.SqlState})", "look at the database server, and try again", e),
        PostgresException { SqlState: ['2', '8', ..] or "3D000" } denied =>
            new OperatorException(ExitCode.Refused, $"{shown}: {Api.PlainText.Of(denied.MessageText, 300)} ({denied.SqlState})", "correct the database's address in the app's secrets", e),
        PostgresException told =>
            new OperatorException(ExitCode.Refused, $"{shown}: {Api.PlainText.Of(told.MessageText, 300)} ({told.SqlState})", "mend what it names, and try again", e),
        _ => new OperatorException(ExitCode.Unreachable, $"{shown} does not answer: {Api.PlainText.Of(e.InnerException?.Message ?? e.Message, 300)}", "look at the database server, and try again", e),
    };
}

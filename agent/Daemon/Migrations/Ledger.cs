using System.Data;
using Npgsql;
using NpgsqlTypes;

namespace Agent.Daemon.Migrations;

/// <summary>What an app's database has seen: the tables of schema <c>agentd</c> in it. All names are qualified, since any search_path may be set.</summary>
/// <remarks>Written by whoever has the app's role: its texts are as trustworthy as the app, and no more.</remarks>
internal sealed class Ledger(NpgsqlConnection connection)
{
    /// <summary>Rows that are read; more than any release may bring files.</summary>
    private const int MostRows = 100_000;

    // Texts are cut: names of files, versions and hosts are shorter.
    private const string Columns = """
        pg_catalog.left(name, 400), pg_catalog.left(checksum, 64), phase, pg_catalog.left(release, 64), pg_catalog.left(compatible_with, 64),
        pg_catalog.left(host, 100), pg_catalog.left(deployment, 100), started, finished, statements, pg_catalog.left(fingerprint, 64), milliseconds
        """;

    /// <summary>Whether anybody has made it yet.</summary>
    public async Task<bool> ExistsAsync(CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = Command("SELECT pg_catalog.to_regclass('agentd.migration') IS NOT NULL AND pg_catalog.to_regclass('agentd.host') IS NOT NULL");
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>In the order in which they were begun.</summary>
    public async Task<IReadOnlyList<AppliedRow>> ReadAsync(CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = Command($"SELECT {Columns} FROM agentd.migration ORDER BY started, name COLLATE \"C\" LIMIT {MostRows}");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<AppliedRow>();
        while (await reader.ReadAsync(cancellationToken)) rows.Add(Row(reader));
        return rows;
    }

    public async Task<AppliedRow?> FindAsync(string name, CancellationToken cancellationToken)
    {
        if (!await ExistsAsync(cancellationToken)) return null;
        await using NpgsqlCommand command = Command($"SELECT {Columns} FROM agentd.migration WHERE name = $1", name);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Row(reader) : null;
    }

    /// <summary>Makes the tables where they are missing. To be called under the lock.</summary>
    public async Task MakeAsync(CancellationToken cancellationToken)
    {
        if (await ExistsAsync(cancellationToken)) return;
        await using (NpgsqlCommand schema = Command("SELECT pg_catalog.to_regnamespace('agentd') IS NOT NULL"))
            if (!(bool)(await schema.ExecuteScalarAsync(cancellationToken))!) await RunAsync("CREATE SCHEMA agentd", cancellationToken);
        await RunAsync(
            """
            CREATE TABLE IF NOT EXISTS agentd.migration (
                name text PRIMARY KEY, checksum text NOT NULL, phase text NOT NULL, release text NOT NULL, compatible_with text, host text NOT NULL, deployment text NOT NULL,
                started timestamptz NOT NULL, finished timestamptz, statements int NOT NULL, milliseconds bigint, fingerprint text)
            """, cancellationToken);
        await RunAsync("CREATE TABLE IF NOT EXISTS agentd.host (host text PRIMARY KEY, release text NOT NULL, known text[] NOT NULL, updated timestamptz NOT NULL)", cancellationToken);
    }

    /// <summary>A migration begins, or begins again. Times are the server's: those of hosts may differ.</summary>
    public Task BeginAsync(LedgerRow row, string? fingerprint, CancellationToken cancellationToken) => RunAsync(
        """
        INSERT INTO agentd.migration (name, checksum, phase, release, compatible_with, host, deployment, started, statements, fingerprint)
        VALUES ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp(), $8, $9)
        ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, phase = excluded.phase, release = excluded.release, compatible_with = excluded.compatible_with, host = excluded.host,
            deployment = excluded.deployment, started = excluded.started, finished = NULL, statements = excluded.statements, milliseconds = NULL, fingerprint = excluded.fingerprint
        """, cancellationToken, row.Name, row.Checksum, PhaseWords.Of(row.Phase), row.Release, row.CompatibleWith, row.Host, row.Deployment, row.Statements, fingerprint);

    /// <summary>So many statements of one that runs statement by statement are done.</summary>
    /// <param name="checksum">Of these statements.</param>
    public Task ReachAsync(string name, int statements, string checksum, CancellationToken cancellationToken) =>
        RunAsync("UPDATE agentd.migration SET statements = $2, checksum = $3 WHERE name = $1", cancellationToken, name, statements, checksum);

    public Task FinishAsync(string name, int statements, string checksum, CancellationToken cancellationToken) => RunAsync(
        """
        UPDATE agentd.migration SET finished = pg_catalog.clock_timestamp(), statements = $2, checksum = $3, fingerprint = NULL,
            milliseconds = (1000 * EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - started))::bigint
        WHERE name = $1
        """, cancellationToken, name, statements, checksum);

    public Task RemoveAsync(string name, CancellationToken cancellationToken) => RunAsync("DELETE FROM agentd.migration WHERE name = $1", cancellationToken, name);

    internal async Task<int> RunAsync(string sql, CancellationToken cancellationToken, params object?[] values)
    {
        await using NpgsqlCommand command = Command(sql, values);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    internal NpgsqlCommand Command(string sql, params object?[] values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (object? value in values)
        {
            NpgsqlParameter parameter = value switch
            {
                int number => new NpgsqlParameter<int> { TypedValue = number, NpgsqlDbType = NpgsqlDbType.Integer },
                string[] texts => new NpgsqlParameter<string[]> { TypedValue = texts, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                string text => new NpgsqlParameter<string> { TypedValue = text, NpgsqlDbType = NpgsqlDbType.Text },
                _ => new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
            };
            command.Parameters.Add(parameter);
        }
        return command;
    }

    private static AppliedRow Row(IDataRecord record)
    {
        DateTimeOffset? Time(int column) => record.IsDBNull(column) ? null : new DateTimeOffset(DateTime.SpecifyKind(record.GetDateTime(column), DateTimeKind.Utc));
        string? Text(int column) => record.IsDBNull(column) ? null : record.GetString(column);
        return new AppliedRow(
            new LedgerRow(record.GetString(0), record.GetString(1), PhaseWords.Parse(record.GetString(2)), record.GetString(3), Text(4), record.GetString(5), record.GetString(6), Time(7)!.Value, Time(8), record.GetInt32(9)),
            Text(10), record.IsDBNull(11) ? null : TimeSpan.FromMilliseconds(record.GetInt64(11)));
    }
}

/// <summary>A row of the ledger with what only its room wants to know.</summary>
/// <param name="Fingerprint">Of the schema, before a command that has not finished; null: none.</param>
/// <param name="Took">Null while it has not finished.</param>
internal sealed record AppliedRow(LedgerRow Row, string? Fingerprint, TimeSpan? Took);

internal static class PhaseWords
{
    /// <summary>As headers, ledger and API write it.</summary>
    public static string Of(Phase phase) => phase switch
    {
        Phase.Expand => "expand",
        Phase.Contract => "contract",
        _ => "unknown",
    };

    public static Phase Parse(string word) => word switch
    {
        "expand" => Phase.Expand,
        "contract" => Phase.Contract,
        _ => Phase.Unknown,
    };
}

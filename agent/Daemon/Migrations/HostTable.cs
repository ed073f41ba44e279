using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>A host of the app, as its row in <c>agentd.host</c> says.</summary>
internal sealed record HostRow(string Host, string Release, DateTimeOffset Updated);

/// <summary>
/// Who else runs the app on this database, and with what in mind: so that a contracting migration runs on the last host. A row never
/// claims more than what runs there knows: it is written before the flip with what both releases know, and after the commit with the new one's.
/// </summary>
internal sealed class HostTable(Ledger ledger)
{
    /// <summary>What a host's own row says; null: it has none.</summary>
    public async Task<(string Release, IReadOnlySet<string> Known)?> FindAsync(string host, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = ledger.Command("SELECT release, known FROM agentd.host WHERE host = $1", host);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (reader.GetString(0), reader.GetFieldValue<string[]>(1).ToHashSet(StringComparer.Ordinal)) : null;
    }

    public Task WriteAsync(string host, string release, IEnumerable<string> known, CancellationToken cancellationToken) => ledger.RunAsync(
        """
        INSERT INTO agentd.host (host, release, known, updated) VALUES ($1, $2, $3, pg_catalog.clock_timestamp())
        ON CONFLICT (host) DO UPDATE SET release = excluded.release, known = excluded.known, updated = excluded.updated
        """, cancellationToken, host, release, known.Order(StringComparer.Ordinal).ToArray());

    /// <summary>By name.</summary>
    public Task<IReadOnlyList<HostRow>> ListAsync(CancellationToken cancellationToken) => ReadAsync("true", cancellationToken);

    /// <summary>Other hosts that run what does not know a migration.</summary>
    public Task<IReadOnlyList<HostRow>> WithoutAsync(string host, string migration, CancellationToken cancellationToken) =>
        ReadAsync("host <> $1 AND NOT $2 = ANY (known)", cancellationToken, host, migration);

    /// <summary>Other hosts that run what knows a migration.</summary>
    public Task<IReadOnlyList<HostRow>> WithAsync(string host, string migration, CancellationToken cancellationToken) =>
        ReadAsync("host <> $1 AND $2 = ANY (known)", cancellationToken, host, migration);

    /// <returns>False: there is no such row.</returns>
    public async Task<bool> ForgetAsync(string host, CancellationToken cancellationToken) =>
        await ledger.RunAsync("DELETE FROM agentd.host WHERE host = $1", cancellationToken, host) > 0;

    private async Task<IReadOnlyList<HostRow>> ReadAsync(string condition, CancellationToken cancellationToken, params object?[] values)
    {
        await using NpgsqlCommand command = ledger.Command($"SELECT pg_catalog.left(host, 100), pg_catalog.left(release, 64), updated FROM agentd.host WHERE {condition} ORDER BY host COLLATE \"C\" LIMIT 10000", values);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<HostRow>();
        while (await reader.ReadAsync(cancellationToken)) rows.Add(new HostRow(reader.GetString(0), reader.GetString(1), new DateTimeOffset(DateTime.SpecifyKind(reader.GetDateTime(2), DateTimeKind.Utc))));
        return rows;
    }
}

using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>Opens a connection, until the real one is there.</summary>
internal static class Interim
{
    public static async Task<NpgsqlConnection> OpenAsync(DatabaseAddress address, string applicationName, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address.ConnectionString)
        {
            Pooling = false,
            ApplicationName = applicationName,
            CommandTimeout = 0,
            Timeout = 15,
            KeepAlive = 30,
        }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        return connection;
    }
}

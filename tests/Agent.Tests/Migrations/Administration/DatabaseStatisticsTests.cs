using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Administration;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.Administration;

public class DatabaseStatisticsTests(PostgresServer server)
{
    [Fact]
    public async Task Tells_sizes_and_who_waits_for_whom()
    {
        string name = await server.NewDatabaseAsync();
        DatabaseAddress address = DatabaseAddress.Of(
            new DatabaseOptions("DATABASE_URL"), new Dictionary<string, string> { ["DATABASE_URL"] = server.UrlOf(name) }, new Dictionary<string, string>());
        await using var holder = new NpgsqlConnection(address.ConnectionString + ";Pooling=false;Application Name=holder");
        await holder.OpenAsync(TestContext.Current.CancellationToken);
        await using var waiter = new NpgsqlConnection(address.ConnectionString + ";Pooling=false;Application Name=waiter");
        await waiter.OpenAsync(TestContext.Current.CancellationToken);
        await RunAsync(holder, "CREATE TABLE orders AS SELECT n FROM generate_series(1, 1000) n; ANALYZE orders; CREATE SCHEMA more; CREATE TABLE more.small (a int)");
        await RunAsync(holder, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE");
        Task waiting = RunAsync(waiter, "DELETE FROM orders");
        DatabaseStatistics found = await DatabaseStatistics.ReadAsync(address, TestContext.Current.CancellationToken);
        for (int tries = 0; tries < 500 && !found.Busy.Any(one => one.Blocked); tries++) found = await DatabaseStatistics.ReadAsync(address, TestContext.Current.CancellationToken);

        Assert.StartsWith(PostgresServer.Programs.Split('/')[^2], found.ServerVersion, StringComparison.Ordinal);
        Assert.True(found.SizeBytes > 1 << 20, $"{found.SizeBytes}");
        Assert.InRange(found.Connections, 3, found.MaxConnections);
        Assert.InRange(found.CacheHitRatio ?? 0.5, 0, 1);
        Assert.Equal(["public.orders", "more.small"], found.Tables.Select(table => table.Name));
        Assert.Equal((1000, -1), (found.Tables[0].Rows, found.Tables[1].Rows));
        Assert.True(found.Tables[0].SizeBytes > found.Tables[1].SizeBytes);
        Assert.Equal([("holder", "idle in transaction", false), ("waiter", "active", true)], found.Busy.Select(one => (one.Application, one.State, one.Blocked)).Order());
        Assert.Equal("DELETE FROM orders", found.Busy.Single(one => one.Blocked).Query);

        await RunAsync(holder, "ROLLBACK");
        await waiting;
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }
}

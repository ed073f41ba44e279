using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Planning;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;
using Agent.Tests.Migrations.RestorePoints;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Migrations.Planning;

public sealed class PlanTests(PostgresServer server) : IAsyncLifetime
{
    private readonly TemporaryDirectory directory = new();
    private RestorePointHost host = null!;
    private MigrationTools tools = null!;

    public async ValueTask InitializeAsync()
    {
        host = await RestorePointHost.NewAsync(server);
        tools = new MigrationTools(
            host, new StaticSupervisor(_ => throw new NotSupportedException()), new Disk(), new DeploymentRestorePoints(host.Points), Planned.Planner.OnlyAdds, "web-1", TimeProvider.System, new Random(1), NullLogger.Instance);
        await server.ExecuteAsync(host.Database,
            $"CREATE TABLE orders (id int PRIMARY KEY, note text); ALTER TABLE orders OWNER TO {host.Database}; INSERT INTO orders SELECT i, 'x' FROM generate_series(1, 10000) i; ANALYZE orders",
            $"CREATE TABLE never (id int); ALTER TABLE never OWNER TO {host.Database}; INSERT INTO never VALUES (1)");
    }

    public ValueTask DisposeAsync()
    {
        host.Dispose();
        directory.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_plan_tells_locks_sizes_warnings_and_the_way_back_and_changes_nothing()
    {
        DatabaseUser release = Release(
            ("1_index.sql", "CREATE TABLE fresh (id int);\nCREATE INDEX orders_note ON orders (note);\nALTER TABLE never ADD COLUMN n int;\n"),
            ("2_drop.sql", "-- agentd: phase=contract\nALTER TABLE orders DROP COLUMN note;\n"));
        ReleasePlan plan = await PlanAsync(release);
        Assert.Equal("1_index.sql", Assert.Single(plan.Before).File.File.Name);
        Assert.Equal("2_drop.sql", Assert.Single(plan.After).File.File.Name);
        Assert.Equal(Phase.Expand, plan.Before[0].File.Phase);
        StatementPlan index = plan.Before[0].Statements[1];
        Assert.Equal(2, index.Line);
        TableLock orders = Assert.Single(index.Locks);
        Assert.Equal((LockMode.Share, 10000L), (orders.Mode, orders.Facts!.Rows));
        Assert.InRange(orders.Facts.Bytes, 300_000, 3_000_000);
        Assert.Equal("writes to orders wait until the index is built", Assert.Single(index.Traps).What);
        TableLock never = Assert.Single(plan.Before[0].Statements[2].Locks);
        Assert.Equal(-1, never.Facts!.Rows);
        Assert.True(never.Facts.Bytes > 0);
        Assert.Null(plan.Refusal);
        Assert.Equal("no rollback by itself: 2_drop.sql (contract, no .down.sql); then --restore-database, --ignore-schema, or a mended release", plan.WayBack);
        Assert.DoesNotContain(host.Database + ":" + host.Database, plan.Database, StringComparison.Ordinal);
        Assert.Equal(["never", "orders"], await server.QueryAsync(host.Database, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1"));
    }

    [Fact]
    public async Task Functions_of_the_database_are_looked_into()
    {
        await server.ExecuteAsync(host.Database, "CREATE FUNCTION purge() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM purge_all(); END'", "CREATE FUNCTION purge_all() RETURNS void LANGUAGE sql AS 'DELETE FROM orders'");
        ReleasePlan plan = await PlanAsync(Release(("1_purge.sql", "SELECT purge();\n")));
        Assert.Contains(plan.Before[0].Statements[0].Traps, trap => trap.What.StartsWith("DELETE without WHERE touches every row of orders", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_table_that_somebody_keeps_locked_does_not_hold_the_plan_up()
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        await using var other = new Npgsql.NpgsqlConnection(server.Superuser(host.Database));
        await other.OpenAsync(cancellationToken);
        await using Npgsql.NpgsqlTransaction transaction = await other.BeginTransactionAsync(cancellationToken);
        await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE orders", other)) await command.ExecuteNonQueryAsync(cancellationToken);
        ReleasePlan plan = await PlanAsync(Release(("1_index.sql", "CREATE INDEX orders_note ON orders (note);\n")));
        Assert.True(Assert.Single(plan.Before[0].Statements[0].Locks).Facts!.Bytes > 0);   // the estimate
    }

    [Fact]
    public async Task A_rehearsal_tells_time_locks_size_and_what_changes()
    {
        DatabaseUser release = Release(
            ("1_note.sql", "ALTER TABLE orders ADD COLUMN remark text;\nSELECT pg_sleep(0.5);\n"), ("2_quick.sql", "COMMENT ON TABLE never IS 'x';\n"), ("3_fails.sql", "CREATE TABLE fresh (id int);\nALTER TABLE orders ADD COLUMN note text;\n"), ("4_not.sql", "CREATE TABLE later (id int);\n"));
        var point = new RestorePoint("shop-1", "shop", DateTimeOffset.UnixEpoch, host.Database, "web-1", "uid 0 (root)");
        Rehearsal done = await Rehearsals.InAsync(tools, new AppDatabase(RestorePointHost.Shop, host.Options, host.Address), release, point, new Said(), TestContext.Current.CancellationToken);
        Assert.Equal(["1_note.sql", "2_quick.sql", "3_fails.sql"], done.Files.Select(file => file.Name));
        Assert.Contains("\"note\" of relation \"orders\" already exists", done.Cause, StringComparison.Ordinal);
        HeldLock orders = Assert.Single(done.Files[0].Locks, one => one.Mode == LockMode.AccessExclusive);
        Assert.Equal("orders", orders.Table);
        Assert.InRange(orders.Held, TimeSpan.FromMilliseconds(100), done.Files[0].Took);
        Assert.Contains(done.Files[1].Locks, one => one is { Table: "never", Mode: LockMode.ShareUpdateExclusive });
        Assert.Equal(["+ column public.orders.remark text"], done.Difference.Select(line => string.Join(' ', line.Split(' ').Take(4))));
        Assert.True(done.SizeBefore > 1_000_000 && done.SizeAfter > 1_000_000);
    }

    private Task<ReleasePlan> PlanAsync(DatabaseUser release) => new MigrationPlans(tools, Planned.Planner).OfAsync(null, release, new Said(), TestContext.Current.CancellationToken);

    private DatabaseUser Release(params (string Name, string Text)[] files)
    {
        Directory.CreateDirectory(Path.Combine(directory.Path, "migrations"));
        foreach ((string name, string text) in files) File.WriteAllBytes(Path.Combine(directory.Path, "migrations", name), System.Text.Encoding.UTF8.GetBytes(text));
        var definition = new AppDefinition(RestorePointHost.Shop, new Dictionary<string, string> { ["DATABASE_URL"] = server.UrlOf(host.Database) }, [], [], null!)
        {
            Database = host.Options,
            Migrations = new MigrationOptions { Directory = "migrations" },
        };
        return new DatabaseUser("v1.0.0", directory.Path, definition);
    }

    private sealed class Said : IProgress<string>
    {
        public void Report(string value)
        {
        }
    }
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;
using Npgsql;

namespace Agent.Tests.Migrations;

/// <summary>What stands between an old release and a schema that it does not know.</summary>
public sealed class GuardTests(PostgresServer server)
{
    private static readonly (string, string) s_one = ("0001_orders.sql", "-- agentd: phase=expand\nCREATE TABLE orders (note text);\n");
    private static readonly (string, string) s_expand = ("0002_more.sql", "-- agentd: phase=expand\nCREATE TABLE more (a int);\n");
    private static readonly (string, string) s_rename = ("0003_rename.sql", "ALTER TABLE orders RENAME note TO remark;\n");
    private static readonly (string, string) s_back = ("0003_rename.down.sql", "ALTER TABLE orders RENAME remark TO note;\n");
    private static readonly (string, string) s_drop = ("0004_drop.sql", "-- agentd: phase=contract\nALTER TABLE orders DROP remark;\n");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_only_adds_may_stay()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_expand);
        await shop.DeployAsync(null, one);
        await using (IMigration migration = await shop.Host().BeginAsync(shop.Request(one, two), shop.Messages, Cancel)) Assert.Equal((true, true), (migration.Pending, migration.MayStay));
        Assert.Null(await shop.FailAsync(one, two));
        Assert.Equal("0001_orders.sql 0002_more.sql", await shop.LedgerAsync());
        Assert.Equal((null, null), await shop.DeployAsync(two, one));
    }

    [Fact]
    public async Task What_has_a_way_back_is_taken_back_in_reverse_and_run_again_where_that_fails_too()
    {
        using Shop shop = await Shop.NewAsync(server);
        (string, string) later = ("0005_later.sql", "-- agentd: phase=expand\nCREATE VIEW v AS SELECT remark FROM orders;\n"), laterBack = ("0005_later.down.sql", "DROP VIEW v;\n");
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_expand, s_rename, s_back, later, laterBack);
        await shop.DeployAsync(null, one);
        Assert.Equal("took back 0005_later.sql, 0003_rename.sql", await shop.FailAsync(one, two));
        Assert.Equal("0001_orders.sql 0002_more.sql", await shop.LedgerAsync());
        await shop.ExecuteAsync("SELECT note FROM orders");

        await shop.DeployAsync(one, two);
        Assert.Equal("ran 0003_rename.sql, 0005_later.sql again", await shop.FailAsync(two, one));   // a rollback that failed
        Assert.Equal("0001_orders.sql 0002_more.sql 0003_rename.sql 0005_later.sql", await shop.LedgerAsync());
        Assert.Equal("took back 0005_later.sql, 0003_rename.sql", (await shop.DeployAsync(two, one)).Before);
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task What_cannot_be_taken_back_bars_the_way_and_the_choices_are_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename);
        await shop.DeployAsync(null, one);
        shop.Points.All.Add(new PointInTime("shop-1", DateTimeOffset.UnixEpoch, null));
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.FailAsync(one, two));
        Assert.Equal(ExitCode.NeedsOperator, e.Code);
        Assert.Contains("has seen 0003_rename.sql (unknown, of v1.1.0), which v1.0.0 does not know", e.Message, StringComparison.Ordinal);
        foreach (string choice in new[] { "agentctl rollback v1.0.0 --app shop --restore-database shop-1 (of 1970-01-01 00:00:00Z", "is lost", "--ignore-schema", "publish a mended release" })
            Assert.Contains(choice, e.Remedy, StringComparison.Ordinal);
        e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(two, one));
        Assert.Equal(ExitCode.Refused, e.Code);
        shop.Points.Away = new OperatorException(ExitCode.Unreachable, "the store is not mounted", "mount it");
        e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(two, one));
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.StartsWith("choose one: (which restore points there are is not known: the store is not mounted); agentctl rollback v1.0.0 --app shop --ignore-schema", e.Remedy, StringComparison.Ordinal);
        Assert.Equal((null, null), await shop.DeployAsync(two, one, ignoreSchema: true));
        Assert.Equal("0001_orders.sql 0003_rename.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task A_way_back_that_fails_needs_an_operator_and_changes_nothing()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename, ("0003_rename.down.sql", "DROP TABLE orders;\nSELECT nothing;\n"));
        await shop.DeployAsync(null, one);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.FailAsync(one, two));
        Assert.Equal(ExitCode.NeedsOperator, e.Code);
        Assert.StartsWith("0003_rename.down.sql line 2: column \"nothing\" does not exist", e.Message, StringComparison.Ordinal);
        Assert.True(await shop.HasTableAsync("orders"));
        Assert.Equal("0001_orders.sql 0003_rename.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task A_connection_that_is_cut_while_a_migration_is_taken_back_is_made_again_within_a_minute()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { LockTimeout = TimeSpan.FromMinutes(1) };
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename, s_back);
        await shop.DeployAsync(null, one);
        MigrationRequest request = shop.Request(one, two);
        await using (IMigration migration = await shop.Host().BeginAsync(request, shop.Messages, Cancel)) await migration.MigrateAsync(shop.Messages, Cancel);
        await using NpgsqlConnection blocker = await shop.ConnectAsync();
        Task<string?> undo;
        await using (NpgsqlTransaction held = await blocker.BeginTransactionAsync(Cancel))
        {
            await using (var command = new NpgsqlCommand("SELECT * FROM orders", blocker)) await command.ExecuteNonQueryAsync(Cancel);
            undo = Task.Run(() => shop.Host().UndoAsync(request, shop.Messages, Cancel), Cancel);
            await shop.CutWaitingAsync();
            await Eventually.HoldsAsync(() => shop.Count("; tries again") == 1);
        }
        Assert.Equal("took back 0003_rename.sql", await undo);
        Assert.Equal("0001_orders.sql", await shop.LedgerAsync());
        await shop.ExecuteAsync("SELECT note FROM orders");
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task A_way_back_whose_commit_was_answered_to_nobody_is_not_gone_twice()
    {
        using Shop shop = await Shop.NewAsync(server);
        await using var proxy = new LossyProxy(server.Port);
        shop.Url = $"postgres://{shop.Name}:{shop.Name}@127.0.0.1:{proxy.Port}/{shop.Name}?sslmode=disable";
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename, s_back);
        proxy.Loses = 3;   // of 0001, of 0003, and of 0003's way back
        await shop.DeployAsync(null, one);
        Assert.Equal("took back 0003_rename.sql", await shop.FailAsync(one, two));
        Assert.True(proxy.Lost);
        Assert.Contains("the connection was lost in the commit of 0003_rename.down.sql; looking what became of it", shop.Told);
        Assert.Equal("0001_orders.sql", await shop.LedgerAsync());
        await shop.ExecuteAsync("SELECT note FROM orders");
    }

    [Fact]
    public async Task Going_back_waits_a_minute_for_a_server_that_is_away()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Url = $"postgres://{shop.Name}:{shop.Name}@127.0.0.1:1/{shop.Name}";
        var time = new ManualTime();
        MigrationRequest request = shop.Request(shop.Release("v1.0.0", s_one), shop.Release("v1.1.0", s_one, s_rename, s_back));
        Task<string?> undo = Task.Run(() => shop.Host(time: time).UndoAsync(request, shop.Messages, Cancel), Cancel);
        while (!undo.IsCompleted)
        {
            Task next = time.NextTimerAsync();
            if (await Task.WhenAny(undo, next) == next) time.AdvanceToNext();
        }
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => undo)).Code);
        Assert.InRange(time.GetUtcNow() - new ManualTime().GetUtcNow(), TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(70));
        Assert.InRange(shop.Count("nothing listens there; tries again"), 8, 20);
    }

    [Fact]
    public async Task A_first_deployment_leaves_what_it_brought()
    {
        using Shop shop = await Shop.NewAsync(server);
        Assert.Null(await shop.FailAsync(null, shop.Release("v1.0.0", s_one, s_rename)));
        Assert.Equal("0001_orders.sql 0003_rename.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task A_restore_takes_the_place_of_migrations_and_is_swapped_back()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename);
        await shop.DeployAsync(null, one);
        await shop.DeployAsync(one, two);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(two, one, point: "shop-9"));
        Assert.Contains("there is no restore point shop-9", e.Message, StringComparison.Ordinal);
        shop.Points.All.Add(new PointInTime("shop-9", DateTimeOffset.UnixEpoch, null));
        shop.Points.Restore = () => shop.ExecuteAsync("ALTER TABLE orders RENAME remark TO note", "DELETE FROM agentd.migration WHERE name LIKE '0003%'");
        Assert.Equal("restored shop-9", (await shop.DeployAsync(two, one, point: "shop-9")).Before);
        MigrationRequest request = shop.Request(two, one, "shop-9");
        Assert.Equal("swapped back", await shop.Host().UndoAsync(request, shop.Messages, Cancel));
        Assert.Equal($"swap back {request.Deployment}", shop.Points.Asked[^1]);
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task What_contracts_runs_behind_the_commit_on_the_last_host_that_learns_of_it()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { RestorePoints = new() };
        Migrator first = shop.Host("web-1"), second = shop.Host("web-2");
        DatabaseUser one = shop.Release("v1.0.0", s_one, s_rename), two = shop.Release("v1.1.0", s_one, s_rename, s_drop);
        await shop.DeployAsync(null, one, first);
        await shop.DeployAsync(null, one, second);
        (string? before, string? after) = await shop.DeployAsync(one, two, first);
        Assert.Null(before);
        Assert.Equal("0004_drop.sql waits: web-2 runs v1.0.0; if one is gone for good: agentctl db forget web-2 --app shop", after);
        (_, after) = await shop.DeployAsync(one, two, second);
        Assert.Contains("1 migration in ", after, StringComparison.Ordinal);
        Assert.StartsWith("restore point shop-4; ", after, StringComparison.Ordinal);
        Assert.Equal(["web-1 v1.1.0", "web-2 v1.1.0"], await shop.QueryAsync("SELECT host || ' ' || release FROM agentd.host ORDER BY host"));
        Assert.Equal((null, null), await shop.DeployAsync(two, shop.Release("v1.1.1", s_one, s_rename, s_drop), first));
        Assert.Equal("web-1 v1.1.1", await shop.OneAsync("SELECT host || ' ' || release FROM agentd.host WHERE host = 'web-1'"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task A_host_that_goes_back_is_waited_for_again_and_one_that_is_forgotten_is_not()
    {
        using Shop shop = await Shop.NewAsync(server);
        Migrator first = shop.Host("web-1"), second = shop.Host("web-2");
        DatabaseUser one = shop.Release("v1.0.0", s_one, s_rename), two = shop.Release("v1.1.0", s_one, s_rename, s_drop);
        await shop.DeployAsync(null, one, first);
        await shop.DeployAsync(null, one, second);
        await shop.DeployAsync(one, two, first);
        await shop.DeployAsync(two, one, first);
        Assert.Contains("waits: web-1 runs v1.0.0", (await shop.DeployAsync(one, two, second)).After, StringComparison.Ordinal);
        await shop.ExecuteAsync("DELETE FROM agentd.host WHERE host = 'web-1'");
        Assert.Contains("1 migration in ", (await shop.DeployAsync(one, two, second)).After, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_whose_release_has_no_migrations_is_waited_for_too()
    {
        using Shop shop = await Shop.NewAsync(server);
        Migrator first = shop.Host("web-1"), second = shop.Host("web-2");
        DatabaseUser one = shop.Release("v1.0.0", (MigrationOptions?)null), two = shop.Release("v1.1.0", s_one, s_rename, s_drop);
        Assert.Equal((null, null), await shop.DeployAsync(null, one, first));
        Assert.Equal((null, null), await shop.DeployAsync(null, one, second));
        Assert.Equal(["web-1 v1.0.0", "web-2 v1.0.0"], await shop.QueryAsync("SELECT host || ' ' || release FROM agentd.host ORDER BY host"));
        Assert.StartsWith("0004_drop.sql waits: web-2 runs v1.0.0", (await shop.DeployAsync(one, two, first)).After, StringComparison.Ordinal);
        Assert.Contains("1 migration in ", (await shop.DeployAsync(one, two, second)).After, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("may not make a schema")]
    [InlineData("is read only")]
    public async Task A_release_without_migrations_needs_no_right_to_write(string role)
    {
        using Shop shop = await Shop.NewAsync(server);
        if (role == "is read only") await shop.ExecuteAsync($"ALTER ROLE {shop.Name} SET default_transaction_read_only = on");
        else await shop.ExecuteAsync($"ALTER DATABASE {shop.Name} OWNER TO postgres", $"REVOKE CREATE ON DATABASE {shop.Name} FROM {shop.Name}");
        DatabaseUser one = shop.Release("v1.0.0", (MigrationOptions?)null), two = shop.Release("v1.0.1", (MigrationOptions?)null);
        Assert.Equal((null, null), await shop.DeployAsync(null, one));
        Assert.Equal((null, null), await shop.DeployAsync(one, two));
        Assert.Equal(2, shop.Count("may not make agentd's tables"));
        Assert.Equal("False", await shop.OneAsync("SELECT to_regclass('agentd.host') IS NOT NULL"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task What_another_host_runs_is_not_taken_back()
    {
        using Shop shop = await Shop.NewAsync(server);
        Migrator first = shop.Host("web-1"), second = shop.Host("web-2");
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_rename, s_back);
        await shop.DeployAsync(null, one, first);
        await shop.DeployAsync(one, two, first);
        await shop.DeployAsync(null, two, second);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(two, one, first));
        Assert.Equal((ExitCode.Refused, "0003_rename.sql cannot be taken back: web-2 runs v1.1.0, which knows it"), (e.Code, e.Message));
    }
}

using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations;

/// <summary>Files that run statement by statement.</summary>
public sealed class StatementTests(PostgresServer server)
{
    private const string Table = "CREATE TABLE orders (id int);\nINSERT INTO orders VALUES (1), (1);\n";

    private static (string, string) File(string text) => ("0001_x.sql", "-- agentd: no-transaction\n" + text);

    [Fact]
    public async Task A_failed_one_keeps_the_point_reached_and_the_mended_file_goes_on_there()
    {
        using Shop shop = await Shop.NewAsync(server);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", File(Table + "VACUUM orders;\nSELECT nothing;\nINSERT INTO orders VALUES (2);\n"))));
        Assert.Equal(ExitCode.RolledBack, e.Code);
        Assert.StartsWith("0001_x.sql line 5: column \"nothing\" does not exist", e.Message, StringComparison.Ordinal);
        Assert.Equal("0001_x.sql*3", await shop.LedgerAsync());
        e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.1", File(Table + "INSERT INTO orders VALUES (2);\nSELECT 1;\n"))));
        Assert.Contains("0001_x.sql: was cut after 3 of its statements, and these have changed since", e.Message, StringComparison.Ordinal);
        await shop.DeployAsync(null, shop.Release("v1.0.2", File(Table + "VACUUM orders;\nINSERT INTO orders VALUES (2);\n")));
        Assert.Equal("0001_x.sql", await shop.LedgerAsync());
        Assert.Contains("0001_x.sql, from statement 4 on", shop.Told);
        Assert.Equal("3", await shop.OneAsync("SELECT count(*) FROM orders"));
    }

    [Fact]
    public async Task An_invalid_index_that_a_failed_statement_left_is_named_and_dropped()
    {
        using Shop shop = await Shop.NewAsync(server);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", File(Table + "CREATE UNIQUE INDEX CONCURRENTLY Orders_id ON orders (id);\n"))));
        Assert.Contains("(23505)", e.Message, StringComparison.Ordinal);
        Assert.EndsWith("the invalid index public.orders_id that it left was dropped", e.Message, StringComparison.Ordinal);
        Assert.Equal("0", await shop.OneAsync("SELECT count(*) FROM pg_index WHERE NOT indisvalid"));
        Assert.Equal("0001_x.sql*2", await shop.LedgerAsync());
    }

    [Theory]
    [InlineData("invalid")]
    [InlineData("built")]
    [InlineData("absent")]
    public async Task After_a_cut_an_index_is_built_again_only_where_it_is_not_whole(string state)
    {
        using Shop shop = await Shop.NewAsync(server);
        string index = "CREATE INDEX CONCURRENTLY \"Orders id\" ON public.orders (id)";
        await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", File(Table + "SELECT nothing;\n"))));
        if (state != "absent") await shop.ExecuteAsync($"SET ROLE {shop.Name}", index);
        if (state == "invalid") await shop.ExecuteAsync("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '\"Orders id\"'::regclass");
        string before = state == "absent" ? "" : await shop.OneAsync("SELECT '\"Orders id\"'::regclass::oid");
        await shop.DeployAsync(null, shop.Release("v1.0.1", File(Table + index + ";\n")));
        Assert.Equal("True", await shop.OneAsync("SELECT indisvalid FROM pg_index WHERE indexrelid = '\"Orders id\"'::regclass"));
        Assert.Equal(state == "built", before == await shop.OneAsync("SELECT '\"Orders id\"'::regclass::oid"));
        Assert.Equal(state == "invalid" ? 1 : 0, shop.Count("public.\"Orders id\" is invalid"));
    }

    [Fact]
    public async Task What_a_file_sets_holds_for_its_later_statements_also_after_a_cut()
    {
        using Shop shop = await Shop.NewAsync(server);
        string begin = "CREATE SCHEMA other;\nSET search_path = other;\nCREATE TABLE a (x int);\n";
        await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", File(begin + "SELECT nothing;\n"))));
        await shop.DeployAsync(null, shop.Release("v1.0.1", File(begin + "CREATE TABLE b (x int);\nDO $$ BEGIN INSERT INTO b VALUES (1); COMMIT; END $$;\n")));
        Assert.Equal("1", await shop.OneAsync("SELECT count(*) FROM other.b"));
    }

    [Fact]
    public async Task A_connection_that_is_cut_while_an_index_is_built_leaves_what_the_next_try_goes_on_from()
    {
        using Shop shop = await Shop.NewAsync(server);
        (string, string) table = ("0000_orders.sql", "CREATE TABLE orders (id int);\n");
        (string, string) file = File("INSERT INTO orders VALUES (5);\nCREATE INDEX CONCURRENTLY orders_id ON orders (id);\nINSERT INTO orders VALUES (6);\n");
        DatabaseUser one = shop.Release("v1.0.0", table);
        await shop.DeployAsync(null, one);
        await using NpgsqlConnection blocker = await shop.ConnectAsync();
        await using (NpgsqlTransaction held = await blocker.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await using (var command = new NpgsqlCommand("LOCK TABLE orders IN ROW EXCLUSIVE MODE", blocker)) await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            Task<(string?, string?)> cut = Task.Run(() => shop.DeployAsync(one, shop.Release("v1.1.0", table, file)), TestContext.Current.CancellationToken);
            await shop.CutWaitingAsync();
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => cut);
            Assert.Equal(ExitCode.Unreachable, e.Code);
            Assert.StartsWith("0001_x.sql line 3: the connection to ", e.Message, StringComparison.Ordinal);
        }
        Assert.Equal("0000_orders.sql 0001_x.sql*1", await shop.LedgerAsync());
        Assert.Equal("False", await shop.OneAsync("SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_id'::regclass"));
        await shop.DeployAsync(one, shop.Release("v1.1.1", table, file));
        Assert.Equal(1, shop.Count("public.orders_id is invalid: a CREATE INDEX CONCURRENTLY was cut"));
        Assert.Contains("0001_x.sql, from statement 2 on", shop.Told);
        Assert.Equal("True", await shop.OneAsync("SELECT indisvalid FROM pg_index WHERE indexrelid = 'orders_id'::regclass"));
        Assert.Equal(["5", "6"], await shop.QueryAsync("SELECT id FROM orders ORDER BY id"));
        Assert.Equal("0000_orders.sql 0001_x.sql", await shop.LedgerAsync());
        await shop.AssertFreeAsync();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_statement_whose_commit_was_answered_to_nobody_does_not_run_again(int commit)
    {
        using Shop shop = await Shop.NewAsync(server);
        await using var proxy = new LossyProxy(server.Port) { Loses = commit };
        shop.Url = $"postgres://{shop.Name}:{shop.Name}@127.0.0.1:{proxy.Port}/{shop.Name}?sslmode=disable";
        (string, string) file = File("CREATE TABLE orders (id int);\nINSERT INTO orders VALUES (5);\n");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", file)));
        Assert.Equal((true, ExitCode.Unreachable), (proxy.Lost, e.Code));
        Assert.Equal(commit < 3 ? $"0001_x.sql*{commit}" : "0001_x.sql", await shop.LedgerAsync());
        await shop.DeployAsync(null, shop.Release("v1.0.1", file));
        Assert.Equal("0001_x.sql", await shop.LedgerAsync());
        Assert.Equal(["5"], await shop.QueryAsync("SELECT id FROM orders"));
    }

    [Fact]
    public async Task A_first_statement_that_fails_leaves_no_row()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v0.9.0", ("0000_a.sql", "CREATE TABLE a (x int);\n"));
        await shop.DeployAsync(null, one);
        await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, shop.Release("v1.0.0", ("0000_a.sql", "CREATE TABLE a (x int);\n"), File("VACUUM nothing;\n"))));
        Assert.Equal("0000_a.sql", await shop.LedgerAsync());
        await shop.AssertFreeAsync();
    }
}

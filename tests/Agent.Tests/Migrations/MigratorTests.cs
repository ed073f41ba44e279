using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;

namespace Agent.Tests.Migrations;

/// <summary>SQL files on a real server: what runs, what it leaves, and what is told.</summary>
public sealed class MigratorTests(PostgresServer server)
{
    private const string Orders = "-- agentd: phase=expand\nCREATE TABLE orders (id int PRIMARY KEY, note text);\n";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Runs_each_file_once_in_the_order_of_their_numbers()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0002_more.sql", "INSERT INTO orders VALUES (1, 'a;b');\n"), ("0001_orders.sql", Orders));
        (string? told, _) = await shop.DeployAsync(null, one);
        Assert.StartsWith("2 migrations in ", told, StringComparison.Ordinal);
        Assert.EndsWith(": 0001_orders.sql, 0002_more.sql", told, StringComparison.Ordinal);
        DatabaseUser two = shop.Release("v1.1.0", ("0001_orders.sql", Orders), ("0002_more.sql", "INSERT INTO orders VALUES (1, 'a;b');\n"), ("0010_ten.sql", "CREATE TABLE ten (a int);\n"), ("0009_nine.sql", "CREATE TABLE nine (a int);\n"));
        (told, _) = await shop.DeployAsync(one, two);
        Assert.EndsWith(": 0009_nine.sql, 0010_ten.sql", told, StringComparison.Ordinal);
        Assert.Equal("0001_orders.sql 0002_more.sql 0009_nine.sql 0010_ten.sql", await shop.LedgerAsync());
        Assert.Equal("a;b", await shop.OneAsync("SELECT note FROM orders"));
        Assert.Equal("expand v1.0.0 web-1 shop-1 1", await shop.OneAsync("SELECT concat_ws(' ', phase, release, host, deployment, statements) FROM agentd.migration WHERE name LIKE '0001%' AND finished >= started AND milliseconds >= 0 AND length(checksum) = 64"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task Takes_no_lock_and_writes_nothing_where_nothing_is_pending()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0001_orders.sql", Orders)), two = shop.Release("v1.0.1", ("0001_orders.sql", Orders));
        await shop.DeployAsync(null, one);
        DatabaseUser other = shop.Release("v1.1.0", ("0001_orders.sql", Orders), ("0002_more.sql", "CREATE TABLE more (a int);\n"));
        await using IMigration holder = await shop.Host("web-2").BeginAsync(shop.Request(one, other), shop.Messages, Cancel);
        Assert.True(holder.Pending);
        await using IMigration migration = await shop.Host().BeginAsync(shop.Request(one, two), shop.Messages, Cancel);
        Assert.Equal((false, false), (migration.Pending, migration.Contract));
        Assert.Equal("1", await shop.OneAsync("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"));
    }

    [Fact]
    public async Task A_file_that_fails_leaves_nothing_and_tells_where()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0001_orders.sql", Orders)), two = shop.Release("v1.1.0",
            ("0001_orders.sql", Orders), ("0002_good.sql", "CREATE TABLE good (a int);\n"), ("0003_bad.sql", "CREATE TABLE half (a int);\n\n-- why\nINSERT INTO half\nSELECT nothing FROM half;\n"));
        await shop.DeployAsync(null, one);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, two));
        Assert.Equal(ExitCode.RolledBack, e.Code);
        Assert.StartsWith("0003_bad.sql line 5: column \"nothing\" does not exist (42703)", e.Message, StringComparison.Ordinal);
        Assert.Contains("statement: INSERT INTO half SELECT nothing FROM half", e.Message, StringComparison.Ordinal);
        Assert.Equal("0001_orders.sql 0002_good.sql", await shop.LedgerAsync());
        Assert.False(await shop.HasTableAsync("half"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task A_file_that_changed_after_it_ran_is_refused_by_its_name()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0001_orders.sql", Orders)), two = shop.Release("v1.1.0", ("0001_orders.sql", Orders + "-- later\n"), ("0002_more.sql", "CREATE TABLE more (a int);\n"));
        await shop.DeployAsync(null, one);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, two));
        Assert.Equal(ExitCode.RolledBack, e.Code);
        Assert.Contains("0001_orders.sql: has changed since v1.0.0 ran it", e.Message, StringComparison.Ordinal);
        Assert.False(await shop.HasTableAsync("more"));
    }

    [Fact]
    public async Task A_file_of_a_branch_that_was_merged_late_runs_and_is_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0001_orders.sql", Orders), ("0003_c.sql", "CREATE TABLE c (a int);\n"));
        await shop.DeployAsync(null, one);
        await shop.DeployAsync(one, shop.Release("v1.1.0", ("0001_orders.sql", Orders), ("0002_b.sql", "CREATE TABLE b (a int);\n"), ("0003_c.sql", "CREATE TABLE c (a int);\n")));
        Assert.Contains("0002_b.sql (after 0003_c.sql, which is newer)", shop.Told);
        Assert.Equal("0001_orders.sql 0003_c.sql 0002_b.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task Copies_data_and_tells_the_line_of_what_is_wrong_in_it()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", ("0001_orders.sql", Orders + "COPY orders FROM stdin;\n1\ta;b\n2\t\\N\n\\.\nINSERT INTO orders VALUES (3, 'c');\n"));
        await shop.DeployAsync(null, one);
        Assert.Equal(["1a;b", "2-", "3c"], await shop.QueryAsync("SELECT id || coalesce(note, '-') FROM orders ORDER BY id"));
        DatabaseUser two = shop.Release("v1.1.0", ("0001_orders.sql", await File.ReadAllTextAsync(one.Directory + "/migrations/0001_orders.sql", Cancel)), ("0002_bad.sql", "COPY orders FROM stdin;\n4\td\nx\te\n\\.\n"));
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, two));
        Assert.StartsWith("0002_bad.sql line 1 (data line 2): invalid input syntax for type integer: \"x\" (22P02)", e.Message, StringComparison.Ordinal);
        Assert.Equal("3", await shop.OneAsync("SELECT count(*) FROM orders"));
    }

    [Theory]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$")]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 ELSE 2 END; END")]
    [InlineData("CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2)")]
    [InlineData("DO $x$ BEGIN PERFORM ':name', '@name', $y$a;b$y$ ; END $x$")]
    [InlineData("CREATE TABLE t (a text[] DEFAULT '{a,b}', b text DEFAULT E'it\\'s; :x @y $1', \"c;d\" int) /* ; /* ; */ */")]
    [InlineData("SELECT 'a'::text, (ARRAY[1,2,3])[1:2], 3 @> 3 FROM (SELECT 1) s WHERE false")]
    public async Task Statements_arrive_as_they_are(string text)
    {
        using Shop shop = await Shop.NewAsync(server);
        string[] statements = text.StartsWith("CREATE TABLE t (a int);", StringComparison.Ordinal) ? text.Split("; ", 2) : [text];
        if (text.Contains("@> 3", StringComparison.Ordinal)) statements = ["SELECT 'a'::text, (ARRAY[1,2,3])[1:2], ARRAY[3] @> ARRAY[3]"];
        await shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_a.sql", string.Join(";\n", statements) + ";\n")));
        Assert.Equal("0001_a.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task What_one_file_sets_is_gone_in_the_next()
    {
        using Shop shop = await Shop.NewAsync(server);
        await shop.DeployAsync(null, shop.Release("v1.0.0",
            ("0001_a.sql", "CREATE SCHEMA other;\nSET search_path = other;\nSET statement_timeout = 1;\nSET statement_timeout = 0;\nCREATE TABLE a (a int);\nCREATE TEMP TABLE t (a int);\n"),
            ("0002_b.sql", "CREATE TABLE b (a int);\nCREATE TEMP TABLE t (a int);\n")));
        Assert.True(await shop.HasTableAsync("other.a"));
        Assert.True(await shop.HasTableAsync("public.b"));
    }

    [Fact]
    public async Task A_file_may_take_another_role_and_the_ledger_stays_the_apps()
    {
        using Shop shop = await Shop.NewAsync(server);
        await shop.ExecuteAsync($"CREATE ROLE {shop.Name}_owner", $"GRANT {shop.Name}_owner TO {shop.Name}", $"GRANT CREATE ON SCHEMA public TO {shop.Name}_owner");
        await shop.DeployAsync(null, shop.Release("v1.0.0",
            ("0001_a.sql", $"SET ROLE {shop.Name}_owner;\nCREATE TABLE a (a int);\n"),
            ("0002_b.sql", $"-- agentd: no-transaction\nSET ROLE {shop.Name}_owner;\nCREATE TABLE b (a int);\nVACUUM b;\nCREATE INDEX CONCURRENTLY b_a ON b (a);\n")));
        Assert.Equal([$"{shop.Name}_owner", $"{shop.Name}_owner"], await shop.QueryAsync("SELECT tableowner FROM pg_tables WHERE tablename IN ('a', 'b')"));
        Assert.Equal("0001_a.sql 0002_b.sql", await shop.LedgerAsync());
        await shop.ExecuteAsync($"DROP OWNED BY {shop.Name}_owner", $"DROP ROLE {shop.Name}_owner");
    }

    [Fact]
    public async Task A_password_file_that_was_passed_over_is_logged_and_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        using var directory = new TemporaryDirectory();
        string file = directory.Write("passwords", $"*:*:*:*:{shop.Name}\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        shop.Url = $"postgres://{shop.Name}@127.0.0.1:{server.Port}/{shop.Name}?passfile={file}";
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_orders.sql", Orders))));
        string warning = $"{file} is open to others than its owner (chmod 600), and is ignored";
        Assert.Contains(warning, shop.Told);
        Assert.Equal([$"1705 shop: on the way to postgres://{shop.Name}@127.0.0.1:{server.Port}/{shop.Name}: {warning} (shop-1)"], shop.Logged);
        Assert.EndsWith($"the server wants a password, and there is none; {warning}", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Notices_are_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        await shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_a.sql", "DO $$ BEGIN RAISE NOTICE 'half of it'; END $$;\n")));
        Assert.Contains("NOTICE: half of it", shop.Told);
    }

    [Fact]
    public async Task A_file_without_a_header_counts_as_what_its_statements_do()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.OnlyAdds = text => text == "CREATE TABLE a (a int)" ? true : null;
        await shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_a.sql", "CREATE TABLE a (a int);\n"), ("0002_b.sql", "CREATE TABLE b (a int);\n")));
        Assert.Equal(["expand", "unknown"], await shop.QueryAsync("SELECT phase FROM agentd.migration ORDER BY name"));
    }

    [Theory]
    [InlineData("statement_timeout", "SELECT pg_sleep(5)", "57014", 1)]
    [InlineData("rights", "CREATE TABLE pg_catalog.x (a int)", "42501", 5)]
    [InlineData("read only", "SET TRANSACTION READ ONLY;\nCREATE TABLE x (a int)", "25006", 5)]
    [InlineData("deferred", "CREATE TABLE p (a int PRIMARY KEY);\nCREATE TABLE c (a int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO c VALUES (1)", "23503", 1)]
    [InlineData("end of transaction", "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;\nCALL p()", "2D000", 1)]
    [InlineData("lock let go", "SELECT pg_advisory_unlock_all()", "let go of the lock", 5)]
    public async Task Errors_say_whose_turn_it_is(string what, string sql, string state, int code)
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { StatementTimeout = what == "statement_timeout" ? TimeSpan.FromMilliseconds(50) : null };
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_x.sql", sql + ";\n"), ("0002_y.sql", "SELECT 1;\n"))));
        Assert.Contains(state, e.Message, StringComparison.Ordinal);
        Assert.Equal(code, (int)e.Code);
        Assert.False(await shop.HasTableAsync("p"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task Without_the_right_to_make_a_schema_nothing_is_touched()
    {
        using Shop shop = await Shop.NewAsync(server);
        await shop.ExecuteAsync($"ALTER DATABASE {shop.Name} OWNER TO postgres", $"REVOKE CREATE ON DATABASE {shop.Name} FROM {shop.Name}");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, shop.Release("v1.0.0", ("0001_x.sql", Orders))));
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.Contains("permission denied for database", e.Message, StringComparison.Ordinal);
        Assert.Contains("grant", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ten_thousand_files_run_in_order()
    {
        using Shop shop = await Shop.NewAsync(server);
        (string, string)[] files = [.. Enumerable.Range(1, 10_000).Select(n => ($"{n:00000}_x.sql", n == 1 ? "CREATE TABLE n (a int);\n" : $"INSERT INTO n VALUES ({n});\n"))];
        DatabaseUser release = shop.Release("v1.0.0", files);
        (string? told, _) = await shop.DeployAsync(null, release);
        Assert.Contains("and 9995 more", told, StringComparison.Ordinal);
        Assert.Equal("9999", await shop.OneAsync("SELECT count(*) FROM n"));
        Assert.Equal("t", await shop.OneAsync("SELECT string_agg(a::text, ',' ORDER BY ctid) = string_agg(a::text, ',' ORDER BY a) FROM n") is "True" ? "t" : "f");
        Assert.Null((await shop.DeployAsync(release, shop.Release("v1.0.1", files))).Before);
    }

    [Fact]
    public async Task Cancelling_ends_a_statement_at_once()
    {
        using Shop shop = await Shop.NewAsync(server);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        MigrationRequest request = shop.Request(null, shop.Release("v1.0.0", ("0001_x.sql", "CREATE TABLE x (a int);\nSELECT pg_sleep(60);\n")));
        await using IMigration migration = await shop.Host().BeginAsync(request, shop.Messages, Cancel);
        Task<string> running = migration.MigrateAsync(shop.Messages, cancel.Token);
        await Eventually.HoldsAsync(() => shop.OneAsync("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()").GetAwaiter().GetResult() == "1");
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
        await migration.DisposeAsync();
        Assert.False(await shop.HasTableAsync("x"));
        Assert.Equal("", await shop.LedgerAsync());
        await Eventually.HoldsAsync(() => shop.OneAsync("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").GetAwaiter().GetResult() == "0");
    }
}

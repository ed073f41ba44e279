using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;
using Npgsql;

namespace Agent.Tests.Migrations;

/// <summary>One at a time, out of the way of others, and whole when the connection is cut.</summary>
public sealed class LockTests(PostgresServer server)
{
    private static readonly (string, string) s_one = ("0001_orders.sql", "-- agentd: phase=expand\nCREATE TABLE orders (id int, note text);\n");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Eight_hosts_at_once_run_every_migration_once_and_none_fails()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser release = shop.Release("v1.0.0", s_one, ("0002_a.sql", "INSERT INTO orders VALUES (1, 'once');\nSELECT pg_sleep(0.3);\n"), ("0003_b.sql", "INSERT INTO orders VALUES (2, 'once');\n"));
        (string? Before, string? After)[] all = await Task.WhenAll(Enumerable.Range(1, 8).Select(n => Task.Run(() => shop.DeployAsync(null, release, shop.Host($"web-{n}")))));
        Assert.Single(all, told => told.Before is not null);
        Assert.Equal("2", await shop.OneAsync("SELECT count(*) FROM orders"));
        Assert.Equal("8", await shop.OneAsync("SELECT count(*) FROM agentd.host"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task Who_has_the_lock_is_told_and_waited_for_no_longer_than_the_operator_says()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { Wait = TimeSpan.FromMilliseconds(600) };
        DatabaseUser release = shop.Release("v1.0.0", s_one);
        await using IMigration holder = await shop.Host("web-7").BeginAsync(shop.Request(null, release), shop.Messages, Cancel);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(null, release));
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.StartsWith("agentd web-7 shop-1, connected for ", e.Message, StringComparison.Ordinal);
        Assert.Contains(shop.Told, told => told.StartsWith("waits for agentd web-7 shop-1", StringComparison.Ordinal));
        await holder.DisposeAsync();
        await shop.DeployAsync(null, release);
    }

    [Fact]
    public async Task Reads_of_the_app_never_wait_longer_for_a_migration_that_waits_than_its_lock_timeout()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { LockTimeout = TimeSpan.FromMilliseconds(500), LockRetries = 50 };
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, ("0002_wide.sql", "ALTER TABLE orders ADD wide int;\n"));
        await shop.DeployAsync(null, one);
        await using NpgsqlConnection blocker = await shop.ConnectAsync(), reader = await shop.ConnectAsync();
        NpgsqlTransaction held = await blocker.BeginTransactionAsync(Cancel);
        await using (var command = new NpgsqlCommand("SELECT * FROM orders", blocker)) await command.ExecuteNonQueryAsync(Cancel);
        Task<(string?, string?)> deployment = Task.Run(() => shop.DeployAsync(one, two), Cancel);
        TimeSpan longest = TimeSpan.Zero;
        long began = Stopwatch.GetTimestamp();
        while (shop.Count("lock timeout") < 2)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(60));
            long asked = Stopwatch.GetTimestamp();
            await using var command = new NpgsqlCommand("SELECT count(*) FROM orders", reader);
            await command.ExecuteNonQueryAsync(Cancel);
            if (Stopwatch.GetElapsedTime(asked) is var took && took > longest) longest = took;
        }
        await held.DisposeAsync();
        await deployment;
        Assert.InRange(longest, TimeSpan.Zero, shop.Options.LockTimeout + TimeSpan.FromSeconds(1));
        Assert.Equal("0001_orders.sql 0002_wide.sql", await shop.LedgerAsync());
    }

    [Fact]
    public async Task A_lock_that_is_never_got_is_given_up_and_who_holds_it_is_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { LockTimeout = TimeSpan.FromMilliseconds(20), LockRetries = 1 };
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, ("0002_wide.sql", "CREATE TABLE half (a int);\nALTER TABLE orders ADD wide int;\n"));
        await shop.DeployAsync(null, one);
        await using NpgsqlConnection blocker = await shop.ConnectAsync();
        await using NpgsqlTransaction held = await blocker.BeginTransactionAsync(Cancel);
        await using (var command = new NpgsqlCommand("SELECT * FROM orders", blocker)) await command.ExecuteNonQueryAsync(Cancel);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, two));
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.StartsWith("0002_wide.sql line 2: canceling statement due to lock timeout (55P03)", e.Message, StringComparison.Ordinal);
        Assert.Contains($"tried 2 times; the oldest transaction is that of process {blocker.ProcessID}, idle in transaction", e.Message, StringComparison.Ordinal);
        Assert.False(await shop.HasTableAsync("half"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_commit_that_was_answered_to_nobody_is_looked_up_and_what_is_left_goes_on(int commit)
    {
        using Shop shop = await Shop.NewAsync(server);
        await using var proxy = new LossyProxy(server.Port) { Loses = commit };
        shop.Url = $"postgres://{shop.Name}:{shop.Name}@127.0.0.1:{proxy.Port}/{shop.Name}?sslmode=disable";
        (string? told, _) = await shop.DeployAsync(null, shop.Release("v1.0.0", s_one, ("0002_a.sql", "INSERT INTO orders VALUES (2, 'once');\n"), ("0003_b.sql", "INSERT INTO orders VALUES (3, 'once');\n")));
        Assert.True(proxy.Lost);
        Assert.StartsWith("3 migrations in ", told, StringComparison.Ordinal);
        string lost = commit == 1 ? "0001_orders.sql" : "0002_a.sql";
        Assert.Contains($"the connection was lost in the commit of {lost}; looking what became of it", shop.Told);
        Assert.Contains(shop.Logged, line => line.StartsWith($"1704 shop: the connection was lost in the commit of {lost}; ", StringComparison.Ordinal) && line.Contains("it was committed", StringComparison.Ordinal));
        Assert.Equal("0001_orders.sql 0002_a.sql 0003_b.sql", await shop.LedgerAsync());
        Assert.Equal(["2", "3"], await shop.QueryAsync("SELECT id FROM orders ORDER BY id"));
        await shop.AssertFreeAsync();
    }

    [Theory]
    [InlineData("before", "0002_a.sql")]
    [InlineData("in", "0002_a.sql")]
    [InlineData("in", "0003_b.sql")]
    [InlineData("in the commit", "0002_a.sql")]
    [InlineData("in the commit", "0003_b.sql")]
    public async Task A_connection_that_is_cut_leaves_ledger_and_schema_agreeing_and_the_next_try_goes_on(string when, string file)
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one);
        await shop.DeployAsync(null, one);
        // A deferred trigger runs in the commit.
        await shop.ExecuteAsync(
            "CREATE TABLE public.mark (a int)", $"GRANT ALL ON public.mark TO {shop.Name}",
            "CREATE FUNCTION public.blow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER blow AFTER INSERT ON public.mark DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.blow()");
        string Bad(string name) => name == file && when == "in" ? "SELECT pg_terminate_backend(pg_backend_pid());\n" : name == file && when == "in the commit" ? "INSERT INTO public.mark VALUES (1);\n" : "";
        (string, string)[] Files(bool cut) =>
        [
            s_one, ("0002_a.sql", "CREATE TABLE a (x int);\n" + (cut ? Bad("0002_a.sql") : "")), ("0003_b.sql", "CREATE TABLE b (x int);\n" + (cut ? Bad("0003_b.sql") : "")),
        ];
        MigrationRequest request = shop.Request(one, shop.Release("v1.1.0", Files(cut: true)));
        await using (IMigration migration = await shop.Host().BeginAsync(request, shop.Messages, Cancel))
        {
            if (when == "before")
                await shop.ExecuteAsync($"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentd web-1 {request.Deployment}'");
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => migration.MigrateAsync(shop.Messages, Cancel));
            Assert.Equal(ExitCode.Unreachable, e.Code);
            if (when == "in the commit") Assert.Contains($"was lost in the commit of {file}; nothing of it was committed", e.Message, StringComparison.Ordinal);
        }
        string expected = file == "0002_a.sql" ? "0001_orders.sql" : "0001_orders.sql 0002_a.sql";
        Assert.Equal(expected, await shop.LedgerAsync());
        Assert.Equal(expected.Contains("0002", StringComparison.Ordinal), await shop.HasTableAsync("a"));
        Assert.False(await shop.HasTableAsync("b"));
        await Eventually.HoldsAsync(() => shop.OneAsync("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").GetAwaiter().GetResult() == "0");
        await shop.DeployAsync(one, shop.Release("v1.1.1", Files(cut: false)));
        Assert.Equal("0001_orders.sql 0002_a.sql 0003_b.sql", await shop.LedgerAsync());
    }
}

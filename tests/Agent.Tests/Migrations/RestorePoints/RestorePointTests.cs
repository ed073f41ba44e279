using System.Security.Cryptography;
using Agent.Artifacts;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.RestorePoints;

/// <summary>Taking, trying and putting back, with a real server.</summary>
public sealed partial class RestorePointTests(PostgresServer server)
{
    private const string Contents =
        """"
        CREATE EXTENSION pg_trgm;
        CREATE SCHEMA "Sales (old)";
        CREATE TYPE mood AS ENUM ('gut', 'schlecht');
        CREATE TABLE orders (id bigserial PRIMARY KEY, note text NOT NULL, how mood);
        CREATE INDEX ON orders USING gin (note gin_trgm_ops);
        INSERT INTO orders (note, how) SELECT 'Grüße — 你好 ' || i || E'\n\\.\n\tx', 'gut' FROM generate_series(1, 5000) i;
        CREATE TABLE "Sales (old)"."Ünïcode, ""quoted""" (a int, b bytea);
        INSERT INTO "Sales (old)"."Ünïcode, ""quoted""" VALUES (1, '\x00ff'), (NULL, NULL);
        CREATE TABLE parts (at date) PARTITION BY RANGE (at);
        CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
        INSERT INTO parts VALUES ('2026-11-21');
        CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM orders;
        SELECT setval('orders_id_seq', 7000);
        SELECT lo_from_bytea(0, 'large'), lo_from_bytea(0, '\x00');
        """";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_dumped_is_verified_and_comes_back()
    {
        using RestorePointHost host = await NewAsync(Contents);
        await server.ExecuteAsync("postgres", $"ALTER DATABASE {host.Database} SET search_path = public, \"Sales (old)\"", $"REVOKE CONNECT ON DATABASE {host.Database} FROM PUBLIC");
        RestorePoint point = await host.TakeAsync();
        Assert.Equal(("v1.0.0", null, "web-1", host.Database), (point.Release, point.Deployment, point.Host, point.Database));
        Assert.Equal([$"{point.Id}.dump.zst", $"{point.Id}.json"], host.Files());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(host.Directory, $"{point.Id}.dump.zst")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(host.Directory));

        Verification verified = await host.VerifyAsync(point);
        Assert.Empty(verified.Differences);
        Assert.Equal((3, 5003L, 2L), (verified.Tables, verified.Rows, verified.LargeObjects));

        await ExecuteAsync(host, "DROP TABLE orders CASCADE; SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
        Restored restored = await host.RestoreAsync(point.Id);
        Assert.Equal(["5000", "2", "5000"], [
            await OneAsync(host, "SELECT count(*) FROM public.orders WHERE note LIKE 'Grüße — 你好%x'"),
            await OneAsync(host, "SELECT count(*) FROM pg_largeobject_metadata"),
            await OneAsync(host, "SELECT count FROM public.counted")]);
        Assert.Equal("7001", await OneAsync(host, "SELECT nextval('orders_id_seq')"));
        Assert.Equal(host.Database, await OneAsync(host, "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'orders'"));
        Assert.Equal("public, \"Sales (old)\"", await OneAsync(host, "SHOW search_path"));
        Assert.Equal("false", (await OneAsync(host, "SELECT has_database_privilege('pg_monitor', current_database(), 'CONNECT')")).ToLowerInvariant());
        Assert.Equal([host.Database, restored.Former!], await host.DatabasesAsync());
        Assert.Equal("0", (await server.QueryAsync(restored.Former!, "SELECT count(*) FROM pg_class WHERE relname = 'orders'"))[0]);
        Assert.Equal(2, (await host.ListAsync()).Count);
        Assert.Equal(restored.Before.Id, (await host.ListAsync())[0].Point.Id);
    }

    [Fact]
    public async Task A_role_that_may_make_databases_needs_nobody_else()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await server.ExecuteAsync("postgres", $"ALTER ROLE {host.Database} CREATEDB");
        RestorePoint point = await host.TakeAsync();
        await ExecuteAsync(host, "INSERT INTO t VALUES (2)");
        await host.RestoreAsync(point.Id, "shop-7");
        Assert.Equal("1", await OneAsync(host, "SELECT count(*) FROM t"));
        Assert.True(await host.SwapBackAsync("shop-7"));
        Assert.Equal("2", await OneAsync(host, "SELECT count(*) FROM t"));
        Assert.Equal([host.Database], await host.DatabasesAsync());
    }

    [Fact]
    public async Task Several_jobs_restore_the_same()
    {
        using RestorePointHost host = await NewAsync(Contents);
        host.Options = host.Options with { RestorePoints = new() { Jobs = 2 } };
        Assert.Empty((await host.VerifyAsync(await host.TakeAsync())).Differences);
        Assert.Equal(2, host.Files().Count);
    }

    [Fact]
    public async Task It_says_what_the_ledger_had_at_that_moment()
    {
        using RestorePointHost host = await NewAsync(
            """
            CREATE SCHEMA agentd; CREATE TABLE agentd.migration (name text, finished timestamptz);
            INSERT INTO agentd.migration VALUES ('0001_a.sql', '2026-01-01'), ('0002_b.sql', '2026-01-02'), ('0003_c.sql', NULL)
            """);
        RestorePoint point = await host.TakeAsync("shop-12");
        Assert.Equal(("shop-12", "0002_b.sql", 2), (point.Id, point.LastMigration, point.Migrations));
        Assert.Equal("shop-12-2", (await host.TakeAsync("shop-12")).Id);
    }

    [Fact]
    public async Task A_dump_whose_server_ends_the_connection_leaves_nothing()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await using NpgsqlConnection blocker = await BlockAsync(host);
        Task<RestorePoint> taking = host.TakeAsync();
        await WaitingAsync(host);
        await server.ExecuteAsync("postgres", $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{host.Database}' AND wait_event_type = 'Lock'");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => taking);
        Assert.Equal(ExitCode.Unreachable, e.Code);
        Assert.Contains("terminating connection", e.Message, StringComparison.Ordinal);
        Assert.Empty(host.Files());
    }

    [Fact]
    public async Task A_dump_that_is_killed_leaves_nothing()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await using NpgsqlConnection blocker = await BlockAsync(host);
        Task<RestorePoint> taking = host.TakeAsync();
        await WaitingAsync(host);
        await KillAsync("pg_dump", host.Database + "\0");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => taking);
        Assert.Equal("pg_dump failed: exit status 137", e.Message);
        Assert.Empty(host.Files());
        Assert.Empty(await host.ListAsync());
    }

    [Fact]
    public async Task Cancelling_ends_the_dump_and_leaves_nothing()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await using NpgsqlConnection blocker = await BlockAsync(host);
        using var stop = new CancellationTokenSource();
        Task<RestorePoint> taking = host.TakeAsync(null, stop.Token);
        await WaitingAsync(host);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => taking);
        Assert.Empty(host.Files());
    }

    [Fact]
    public async Task Too_little_room_is_told_before_anything_is_written()
    {
        using RestorePointHost host = await RestorePointHost.NewAsync(server, new DiskWithRoom(RestorePointStore.Reserve + 1_000_000));
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.TakeAsync());
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.Contains("has room for 1 MB", e.Message, StringComparison.Ordinal);
        Assert.Empty(host.Files());
    }

    [Fact]
    public async Task A_wrong_password_and_a_server_that_is_away_are_told()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        host.Address = RestorePointHost.Of(server.UrlOf(host.Database).Replace($":{host.Database}@", ":secret-guess@", StringComparison.Ordinal));
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.TakeAsync());
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.Contains("28P01", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret-guess", e.ToString(), StringComparison.Ordinal);
        host.Address = RestorePointHost.Of("postgres://shop:shop@127.0.0.1:1/shop");
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => host.TakeAsync())).Code);
    }

    [Fact]
    public async Task What_the_role_may_not_read_is_told_by_name()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await server.ExecuteAsync(host.Database, "CREATE TABLE hidden (a int)");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.TakeAsync());
        Assert.Equal(ExitCode.Refused, e.Code);
        Assert.Contains("permission denied for table hidden", e.Message, StringComparison.Ordinal);
        Assert.Empty(host.Files());
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.9999)]
    public async Task One_changed_byte_is_found(double place)
    {
        using RestorePointHost host = await NewAsync(Contents);
        RestorePoint point = await host.TakeAsync();
        string path = Path.Combine(host.Directory, $"{point.Id}.dump.zst");
        byte[] dump = await File.ReadAllBytesAsync(path, Token);
        dump[(int)(dump.Length * place)] ^= 1;
        await File.WriteAllBytesAsync(path, dump, Token);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.VerifyAsync(point));
        Assert.Contains($"restore point {point.Id} is damaged", e.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<OperatorException>(() => host.RestoreAsync(point.Id));
        Assert.Throws<OperatorException>(() => host.Points.Store(RestorePointHost.Shop, host.Options).Read(point, _ => { }, null, Token));
        Assert.Equal([host.Database], await host.DatabasesAsync());
    }

    [Fact]
    public async Task A_restore_that_fails_half_way_leaves_the_database_as_it_was()
    {
        using RestorePointHost host = await NewAsync(Contents);
        RestorePoint point = await CutAsync(host, await host.TakeAsync());
        await ExecuteAsync(host, "INSERT INTO orders (note) VALUES ('since')");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.RestoreAsync(point.Id, "shop-3"));
        Assert.Contains("pg_restore failed", e.Message, StringComparison.Ordinal);
        Assert.Equal("5001", await OneAsync(host, "SELECT count(*) FROM orders"));
        Assert.Equal([host.Database], await host.DatabasesAsync());
        Assert.False(await host.SwapBackAsync("shop-3"));
    }

    [Theory]
    [InlineData("program")]
    [InlineData("connection")]
    public async Task A_restore_that_is_killed_half_way_leaves_the_database_as_it_was(string what)
    {
        using RestorePointHost host = await NewAsync(
            """
            CREATE TABLE t AS SELECT 1 AS a;
            CREATE FUNCTION slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
              'BEGIN IF pg_catalog.current_database() LIKE ''%restore%'' THEN PERFORM pg_catalog.pg_sleep(600); END IF; RETURN a; END';
            CREATE INDEX ON t (slow(a));
            """);
        RestorePoint point = await host.TakeAsync();
        Task<Restored> restoring = host.RestoreAsync(point.Id, "shop-6");
        string sleeps = $"datname LIKE '{host.Database}_agentd_restore%' AND wait_event = 'PgSleep'";
        for (int tries = 0; (await server.QueryAsync("postgres", $"SELECT pid FROM pg_stat_activity WHERE {sleeps}")).Count == 0; tries++)
        {
            Assert.True(tries < 600 && !restoring.IsCompleted, "pg_restore did not come to the index");
            await Task.Delay(50, Token);
        }
        if (what == "program") await KillAsync("pg_restore", host.Database + "_agentd_restore");
        else await server.ExecuteAsync("postgres", $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {sleeps}");
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => restoring);
        Assert.Contains("pg_restore failed", e.Message, StringComparison.Ordinal);
        Assert.Equal("1", await OneAsync(host, "SELECT count(*) FROM t"));
        Assert.Equal([host.Database], await host.DatabasesAsync());
        Assert.Equal(4, host.Files().Count);
    }

    [Fact]
    public async Task A_disk_that_becomes_full_leaves_nothing_and_is_told()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may mount a small disk");
        using var directory = new TemporaryDirectory();
        await MountAsync("mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", directory.Path);
        try
        {
            using RestorePointHost host = await RestorePointHost.NewAsync(server, data: directory.Path);
            await ExecuteAsync(host, "CREATE TABLE t AS SELECT 1 AS a; CREATE TABLE noise AS SELECT md5(random()::text) FROM generate_series(1, 100000)");
            await using NpgsqlConnection blocker = await BlockAsync(host);
            Task<RestorePoint> taking = host.TakeAsync();
            await WaitingAsync(host);
            directory.Write("others", new byte[new DriveInfo(directory.Path).AvailableFreeSpace]);
            await blocker.DisposeAsync();
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => taking);
            Assert.Equal(ExitCode.Refused, e.Code);
            Assert.Contains("No space left", e.Message, StringComparison.Ordinal);
            Assert.Empty(host.Files());
        }
        finally
        {
            await MountAsync("umount", "--lazy", directory.Path);
        }
    }

    [Fact]
    public async Task An_extension_that_takes_a_superuser_comes_back_too()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await server.ExecuteAsync(host.Database, "CREATE EXTENSION pageinspect WITH SCHEMA public");
        Assert.Empty((await host.VerifyAsync(await host.TakeAsync())).Differences);
    }

    [Fact]
    public async Task What_the_role_cannot_give_to_its_owner_is_not_given_to_another()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        await server.ExecuteAsync(host.Database, "CREATE TABLE others (a int)", $"GRANT SELECT ON others TO {host.Database}");
        RestorePoint point = await host.TakeAsync();
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => host.RestoreAsync(point.Id));
        Assert.Contains("others", e.Message, StringComparison.Ordinal);
        Assert.Equal("1", await OneAsync(host, "SELECT count(*) FROM t"));
        Assert.Equal([host.Database], await host.DatabasesAsync());
    }

    [Fact]
    public async Task Who_is_connected_stays_until_the_swap_and_finds_the_restored_database_after_it()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        RestorePoint point = await host.TakeAsync();
        await ExecuteAsync(host, "INSERT INTO t VALUES (2)");
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        int served = 0;
        // As an app's pool does: it connects again as soon as it is thrown out.
        Task[] app = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    await using var connection = new NpgsqlConnection(host.Address.ConnectionString + ";Pooling=false");
                    await connection.OpenAsync(stop.Token);
                    while (true)
                    {
                        await using var command = new NpgsqlCommand("SELECT count(*) FROM t", connection);
                        await command.ExecuteScalarAsync(stop.Token);
                        Interlocked.Increment(ref served);
                    }
                }
                catch (Exception e) when (e is NpgsqlException or OperationCanceledException)
                {
                    // Thrown out, or done.
                }
            }
        }, Token))];
        await Protos.Eventually.HoldsAsync(() => served > 0);
        await host.RestoreAsync(point.Id, "shop-4");
        int then = served;
        await Protos.Eventually.HoldsAsync(() => served > then);
        await stop.CancelAsync();
        await Task.WhenAll(app);
        Assert.Equal("1", await OneAsync(host, "SELECT count(*) FROM t"));
        Assert.True(await host.SwapBackAsync("shop-4"));
        Assert.Equal("2", await OneAsync(host, "SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task A_restore_that_was_killed_is_taken_back_from_wherever_it_was()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        var names = new BesideNames(host.Database, "web-1");
        string beside = names.Of(Beside.Restore, "shop-5"), before = names.Of(Beside.Before, "shop-5");
        // In the restore; after the swap; after the swap was taken back.
        foreach (string[] state in new[] { [beside], [before], new[] { before, beside } })
        {
            foreach (string name in state) await server.ExecuteAsync("postgres", $"CREATE DATABASE \"{name}\" OWNER {host.Database}");
            if (state.Contains(before)) await server.ExecuteAsync(before, "CREATE TABLE former (a int)", "GRANT SELECT ON former TO PUBLIC");
            Assert.Equal(state.Contains(before), await host.SwapBackAsync("shop-5"));
            Assert.False(await host.SwapBackAsync("shop-5"));
            Assert.Equal([host.Database], await host.DatabasesAsync());
            if (state.Contains(before)) await OneAsync(host, "SELECT count(*) FROM former");
        }
    }

    [Fact]
    public async Task Sweeping_leaves_what_a_person_replaced_for_a_day_and_what_is_of_other_hosts()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        string other = new BesideNames(host.Database, "web-2").Of(Beside.Before, "shop-5");
        await server.ExecuteAsync("postgres", $"CREATE DATABASE \"{other}\" OWNER {host.Database}");
        RestorePoint point = await host.TakeAsync();
        string byHand = (await host.RestoreAsync(point.Id)).Former!;
        await host.Points.SweepAsync(RestorePointHost.Shop, host.Options, host.Address, Token);
        Assert.Equal(new[] { host.Database, byHand, other }.Order(StringComparer.Ordinal), (await host.DatabasesAsync()).Order(StringComparer.Ordinal));
        Assert.StartsWith("goes with the next restore", Assert.Single(await host.Points.BesideAsync(RestorePointHost.Shop, host.Options, host.Address, Token)).Goes, StringComparison.Ordinal);
        host.Time.Advance(TimeSpan.FromHours(25));
        await host.Points.SweepAsync(RestorePointHost.Shop, host.Options, host.Address, Token);
        Assert.Equal([host.Database, other], await host.DatabasesAsync());
    }

    private async Task<RestorePointHost> NewAsync(string contents)
    {
        RestorePointHost host = await RestorePointHost.NewAsync(server);
        await ExecuteAsync(host, contents);
        return host;
    }

    /// <summary>Cuts the dump itself, and tells nobody.</summary>
    private static async Task<RestorePoint> CutAsync(RestorePointHost host, RestorePoint point)
    {
        RestorePointStore store = host.Points.Store(RestorePointHost.Shop, host.Options);
        using var whole = new MemoryStream();
        store.Read(point, chunk => whole.Write(chunk.Span), null, Token);
        using var cut = new MemoryStream();
        Zstd.Compress(new MemoryStream(whole.ToArray()[..(int)(whole.Length * 0.7)]), cut, 3, _ => { }, Token);
        await File.WriteAllBytesAsync(store.DumpPath(point), cut.ToArray(), Token);
        return await store.AddAsync(point with { Sha256 = Convert.ToHexStringLower(SHA256.HashData(cut.ToArray())), Size = cut.Length }, Token);
    }

    /// <summary>As kill -9 does: the one that works at a database whose name begins like this.</summary>
    private static async Task KillAsync(string program, string database)
    {
        foreach (System.Diagnostics.Process process in System.Diagnostics.Process.GetProcessesByName(program))
            if ((await File.ReadAllTextAsync($"/proc/{process.Id}/environ", Token)).Contains($"PGDATABASE={database}", StringComparison.Ordinal)) process.Kill();
    }

    private static async Task MountAsync(params string[] words)
    {
        using var process = System.Diagnostics.Process.Start(words[0], words[1..]);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.Equal(0, process.ExitCode);
    }

    private static async Task<NpgsqlConnection> BlockAsync(RestorePointHost host)
    {
        var connection = new NpgsqlConnection(host.Address.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand("BEGIN; LOCK TABLE t", connection);
        await command.ExecuteNonQueryAsync(Token);
        return connection;
    }

    private async Task WaitingAsync(RestorePointHost host)
    {
        for (int tries = 0; (await server.QueryAsync("postgres", $"SELECT pid FROM pg_stat_activity WHERE datname = '{host.Database}' AND wait_event_type = 'Lock'")).Count == 0; tries++)
        {
            Assert.True(tries < 600, "pg_dump did not come to the table");
            await Task.Delay(50, Token);
        }
    }

    private static async Task ExecuteAsync(RestorePointHost host, string sql)
    {
        await using var connection = new NpgsqlConnection(host.Address.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Token);
    }

    private static async Task<string> OneAsync(RestorePointHost host, string sql)
    {
        await using var connection = new NpgsqlConnection(host.Address.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Token);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(Token), System.Globalization.CultureInfo.InvariantCulture)!;
    }
}

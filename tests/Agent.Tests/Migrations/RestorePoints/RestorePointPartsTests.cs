using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations.RestorePoints;

public sealed class RestorePointPartsTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly ManualTime time = new();

    private RestorePointStore Store => RestorePointStore.In(Path.Combine(directory.Path, "shop"), new Disk(), time);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task The_newest_stays_whatever_the_limits_say()
    {
        await AddAsync("a", 100);
        time.Advance(TimeSpan.FromDays(30));
        Assert.Empty(await Store.RetireAsync(new RestorePointOptions { Keep = 1, MaxAge = TimeSpan.FromDays(1), MaxSize = 1 }, null, Cancel));
        Assert.Equal("newest", Assert.Single(await Store.ReasonsAsync(new RestorePointOptions { MaxSize = 1 }, null, Cancel)).Because);
    }

    [Theory]
    [InlineData(2, 0, 0, "c b")]
    [InlineData(9, 25, 0, "c b")]
    [InlineData(9, 0, 250, "c b")]
    [InlineData(9, 0, 0, "c b a")]
    public async Task Count_age_and_size_are_limits(int keep, int hours, long size, string left)
    {
        foreach (string id in new[] { "a", "b", "c" })
        {
            await AddAsync(id, 100);
            time.Advance(TimeSpan.FromHours(10));
        }
        await Store.RetireAsync(new RestorePointOptions { Keep = keep, MaxAge = hours > 0 ? TimeSpan.FromHours(hours) : null, MaxSize = size > 0 ? size : null }, null, Cancel);
        Assert.Equal(left, string.Join(' ', (await Store.ListAsync(Cancel)).Select(point => point.Id)));
        Assert.Equal(2 * left.Split(' ').Length, Directory.GetFiles(Store.Where).Length);
    }

    [Fact]
    public async Task What_a_deployment_under_way_made_stays()
    {
        await AddAsync("shop-3", 100, "shop-3");
        time.Advance(TimeSpan.FromHours(1));
        await AddAsync("b", 100);
        Assert.Empty(await Store.RetireAsync(new RestorePointOptions { Keep = 1 }, "shop-3", Cancel));
        Assert.Equal(["shop-3"], await Store.RetireAsync(new RestorePointOptions { Keep = 1 }, null, Cancel));
    }

    [Fact]
    public async Task Half_a_dump_is_never_listed_and_goes()
    {
        await AddAsync("a", 100);
        File.WriteAllText(Path.Combine(Store.Where, "b.dump.zst.agentd-tmp"), "half");
        File.WriteAllText(Path.Combine(Store.Where, "c.dump.zst"), "without its metadata");
        File.WriteAllText(Path.Combine(Store.Where, "d.json"), "{");
        File.Copy(Path.Combine(Store.Where, "a.json"), Path.Combine(Store.Where, "e.json"));
        Assert.Equal("a", Assert.Single(await Store.ListAsync(Cancel)).Id);
        await Store.RemoveLeftoversAsync(Cancel);
        Assert.Equal(["a.dump.zst", "a.json", "d.json", "e.json"], Directory.GetFiles(Store.Where).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public async Task A_write_that_fails_leaves_nothing()
    {
        await Assert.ThrowsAsync<IOException>(() => AddAsync("a", 100, write: file =>
        {
            file.Write(new byte[50]);
            throw new IOException("No space left on device");
        }));
        Assert.Empty(Directory.GetFiles(Store.Where));
    }

    [Fact]
    public async Task Writing_stops_before_the_disk_is_full()
    {
        var store = RestorePointStore.In(Path.Combine(directory.Path, "shop"), new DiskWithRoom(RestorePointStore.Reserve - 1), time);
        Directory.CreateDirectory(store.Where);
        await Assert.ThrowsAsync<IOException>(() => store.WriteAsync(Point("a", null), file =>
        {
            byte[] chunk = new byte[1 << 20];
            for (int i = 0; i < 40; i++) file.Write(chunk, 0, chunk.Length);
        }, Cancel));
        Assert.Empty(Directory.GetFiles(store.Where));
    }

    [Fact]
    public async Task Hosts_that_share_a_store_leave_each_others_alone()
    {
        RestorePointStore OfHost(string host) =>
            RestorePointStore.Of(new Disk(), Path.Combine(directory.Path, host), new AppName("shop"), host, new RestorePointOptions { Store = Directory.CreateDirectory(Path.Combine(directory.Path, "store")).FullName }, time);
        foreach (string host in new[] { "web-1", "web-2" })
        {
            RestorePointStore store = OfHost(host);
            await store.PrepareAsync(0, Cancel);
            Assert.Equal("shop-1", await store.FreeIdAsync("shop-1", Cancel));
            await store.WriteAsync(Point("shop-1", null), file => file.Write(new byte[10]), Cancel);
        }
        string half = Path.Combine(OfHost("web-2").Where, "shop-2.dump.zst");
        File.WriteAllText(half, "half");
        await OfHost("web-1").RemoveLeftoversAsync(Cancel);
        Assert.True(File.Exists(half));
        await OfHost("web-1").WriteAsync(Point("shop-3", null), file => file.Write(new byte[10]), Cancel);
        await OfHost("web-1").RetireAsync(new RestorePointOptions { Keep = 1 }, null, Cancel);
        Assert.Equal(["shop-3"], (await OfHost("web-1").ListAsync(Cancel)).Select(point => point.Id));
        Assert.Equal(["shop-1"], (await OfHost("web-2").ListAsync(Cancel)).Select(point => point.Id));
        await OfHost("web-2").RemoveLeftoversAsync(Cancel);
        Assert.False(File.Exists(half));
    }

    [Fact]
    public async Task A_link_in_a_store_is_not_followed()
    {
        string root = Directory.CreateDirectory(Path.Combine(directory.Path, "store")).FullName, elsewhere = Directory.CreateDirectory(Path.Combine(directory.Path, "elsewhere")).FullName;
        Directory.CreateSymbolicLink(Path.Combine(root, "restore-points"), elsewhere);
        var store = RestorePointStore.Of(new Disk(), directory.Path, new AppName("shop"), "web-1", new RestorePointOptions { Store = root }, time);
        await Assert.ThrowsAsync<OperatorException>(() => store.PrepareAsync(0, Cancel));
        await Assert.ThrowsAsync<OperatorException>(() => store.ListAsync(Cancel));
        Assert.Empty(Directory.GetFileSystemEntries(elsewhere));
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("a/../a")]
    [InlineData("b")]
    public async Task Only_what_is_listed_is_found(string id)
    {
        await AddAsync("a", 100);
        Assert.Equal(ExitCode.Usage, (await Assert.ThrowsAsync<OperatorException>(() => Store.FindAsync(id, Cancel))).Code);
        Assert.Equal("a", (await Store.FindAsync("", Cancel)).Id);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(131_072)]
    [InlineData(1_000_003)]
    public void What_is_compressed_comes_back(int size)
    {
        byte[] content = new byte[size];
        new Random(1).NextBytes(content.AsSpan(0, size / 2));
        using MemoryStream compressed = new(), back = new();
        Assert.Equal(size, Zstd.Compress(new MemoryStream(content), compressed, 3, _ => { }, TestContext.Current.CancellationToken));
        Assert.Equal(size, Zstd.Decompress(new MemoryStream(compressed.ToArray()), chunk => back.Write(chunk.Span), TestContext.Current.CancellationToken));
        Assert.Equal(content, back.ToArray());
        Assert.Throws<InvalidDataException>(() => Zstd.Decompress(new MemoryStream(compressed.ToArray()[..^1]), _ => { }, TestContext.Current.CancellationToken));
        Assert.Throws<InvalidDataException>(() => Zstd.Decompress(new MemoryStream([.. compressed.ToArray(), 1, 2, 3, 4, 5, 6, 7, 8]), _ => { }, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Rows_are_counted_as_the_script_has_them()
    {
        const string Script = "SET x = 1;\nCOPY public.a (id, note) FROM stdin;\n1\tCOPY b FROM stdin;\n2\t\\\\.\n3\t\\\\.x\n\\.\n\n"
            + "COPY \"S (old)\".\"t, \"\"q\"\"\" (a) FROM stdin;\n\\.\nCOPY public.\"none\" FROM stdin;\n\n\n\\.\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, '\\x');\n";
        // However the bytes come.
        foreach (int chunk in new[] { 1, 7, 4096 })
        {
            DumpCounts counts = DumpCounts.Of(new Trickle(Encoding.UTF8.GetBytes(Script), chunk));
            Assert.Equal([("\"S (old)\".\"t, \"\"q\"\"\"", 0L), ("public.\"none\"", 2), ("public.a", 3)], counts.Rows.Select(row => (row.Key, row.Value)).OrderBy(row => row.Key, StringComparer.Ordinal));
            Assert.Equal(1, counts.LargeObjects);
        }
    }

    [Fact]
    public void Names_beside_a_database_tell_what_for_which_and_whose_and_fit()
    {
        var names = new BesideNames("shop", "web-1");
        Assert.Matches(@"\Ashop_agentd_before_shop-12_[0-9a-f]{6}\z", names.Of(Beside.Before, "shop-12"));
        Assert.Equal("shop-12", names.IdOf(Beside.Before, names.Of(Beside.Before, "shop-12")));
        Assert.Null(names.IdOf(Beside.Restore, names.Of(Beside.Before, "shop-12")));
        Assert.Null(new BesideNames("shop", "web-2").IdOf(Beside.Before, names.Of(Beside.Before, "shop-12")));
        Assert.Null(new BesideNames("sho", "web-1").IdOf(Beside.Before, names.Of(Beside.Before, "shop-12")));
        Assert.Null(names.IdOf(Beside.Before, "shop"));
        string[] bases = [new string('ä', 31), new string('x', 63), new string('x', 62) + "y"];
        foreach (string database in bases)
        {
            var longer = new BesideNames(database, "web-1");
            string name = longer.Of(Beside.Restore, "a-rather-long-name-of-an-app-12345");
            Assert.InRange(Encoding.UTF8.GetByteCount(name), 1, 63);
            Assert.NotNull(longer.IdOf(Beside.Restore, name));
        }
        Assert.NotEqual(new BesideNames(bases[1], "web-1").Of(Beside.Restore, "a"), new BesideNames(bases[2], "web-1").Of(Beside.Restore, "a"));
        DateTimeOffset moment = new(2026, 11, 21, 8, 12, 35, TimeSpan.Zero);
        Assert.Equal(moment, BesideNames.MomentOf(names.IdOf(Beside.Before, names.Of(Beside.Before, BesideNames.IdOf(moment)))!));
        Assert.Null(BesideNames.MomentOf("shop-12"));
    }

    [Theory]
    [InlineData(15, 0, "usr/lib/postgresql/15/bin")]
    [InlineData(14, 0, "usr/lib/postgresql/15/bin")]
    [InlineData(14, 16, "usr/pgsql-16/bin")]
    [InlineData(12, 9, "usr/lib/postgresql/13/bin")]
    public async Task The_oldest_tools_that_are_new_enough_are_taken(int server, int archive, string expected)
    {
        foreach (string place in new[] { "usr/lib/postgresql/13/bin", "usr/lib/postgresql/15/bin", "usr/pgsql-16/bin" })
            foreach (string tool in new[] { "pg_dump", "pg_restore" }) directory.Write($"{place}/{tool}", "");
        directory.Write("usr/lib/postgresql/18/bin/psql", "");
        PostgresTools tools = await PostgresTools.FindAsync(server, archive, directory.Path, TestContext.Current.CancellationToken);
        Assert.Equal(Path.Combine(directory.Path, expected), tools.Directory);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => PostgresTools.FindAsync(17, 0, directory.Path, TestContext.Current.CancellationToken));
        Assert.Equal("pg_dump and pg_restore on this host are of PostgreSQL 16; those of 17 or later are needed", e.Message);
        Assert.Contains("postgresql-client-17", e.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_tools_and_an_old_server_are_told()
    {
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => PostgresTools.FindAsync(15, 0, directory.Path, TestContext.Current.CancellationToken));
        Assert.Contains("not on this host", e.Message, StringComparison.Ordinal);
        e = await Assert.ThrowsAsync<OperatorException>(() => PostgresTools.FindAsync(11, 0, "/", TestContext.Current.CancellationToken));
        Assert.Contains("12 or later", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tool_sees_nothing_of_the_agents_environment()
    {
        string said = "";
        await ToolProgram.RunAsync("/usr/bin/env", [], new Dictionary<string, string> { ["PGHOST"] = "db" }, null, output => said = new StreamReader(output).ReadToEnd(), TestContext.Current.CancellationToken);
        Assert.Equal("LC_ALL=C PATH=/usr/bin:/bin PGHOST=db", string.Join(' ', said.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)));
    }

    [Fact]
    public async Task What_a_tool_prints_cannot_move_the_cursor()
    {
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => ToolProgram.RunAsync(
            "/bin/sh", ["-c", "printf 'bad \\033[2J thing\\n' >&2; exit 3"], new Dictionary<string, string>(), null, ToolProgram.Ignore, TestContext.Current.CancellationToken));
        Assert.Equal("sh failed: bad ?[2J thing", e.Message);
    }

    private Task<RestorePoint> AddAsync(string id, int size, string? deployment = null, Action<Stream>? write = null)
    {
        Directory.CreateDirectory(Store.Where);
        return Store.WriteAsync(Point(id, deployment), write ?? (file => file.Write(new byte[size], 0, size)), Cancel);
    }

    private RestorePoint Point(string id, string? deployment) => new(id, "shop", time.GetUtcNow(), "shop", "web-1", "uid 0 (root)") { Deployment = deployment, Tool = 15 };

    private sealed class Trickle(byte[] content, int most) : Stream
    {
        private int at;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => at; set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            int length = Math.Min(Math.Min(most, count), content.Length - at);
            content.AsSpan(at, length).CopyTo(buffer.AsSpan(offset));
            at += length;
            return length;
        }

        public override void Flush() { }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

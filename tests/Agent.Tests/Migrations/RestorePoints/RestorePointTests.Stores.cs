using Agent.Artifacts;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations.RestorePoints;

// Where they lie, and what is told on the way there.
public sealed partial class RestorePointTests
{
    [Fact]
    public async Task A_store_that_holds_releases_keeps_them_for_nobody_else_to_read()
    {
        using var store = new TemporaryDirectory();
        File.SetUnixFileMode(store.Path, (UnixFileMode)0b111_101_101);
        store.Write("metadata/timestamp.json", "{}");
        using RestorePointHost host = await NewAsync(Contents);
        host.Options = host.Options with { RestorePoints = new() { Store = store.Path, Keep = 2, Jobs = 2 } };
        RestorePoint point = await host.TakeAsync();
        string place = Path.Combine(store.Path, "restore-points", "shop", "web-1");
        Assert.Equal((place, $"{point.Id}.dump.zst {point.Id}.json"), (host.Directory, string.Join(' ', host.Files())));
        Assert.All(host.Files(), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(place, file))));
        foreach (string directory in new[] { place, Path.GetDirectoryName(place)!, Path.Combine(store.Path, "restore-points") })
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(directory));
        Assert.Empty((await host.VerifyAsync(point)).Differences);
        await ExecuteAsync(host, "DROP TABLE orders CASCADE");
        await host.RestoreAsync(point.Id, "shop-9");
        Assert.Equal("5000", await OneAsync(host, "SELECT count(*) FROM public.orders"));
        Assert.True(await host.SwapBackAsync("shop-9"));
        host.Time.Advance(TimeSpan.FromHours(1));
        RestorePoint last = await host.TakeAsync();
        Assert.Equal([last.Id, "shop-9"], (await host.ListAsync()).Select(kept => kept.Point.Id));
        Assert.Equal(4, host.Files().Count);
        Assert.True(File.Exists(Path.Combine(store.Path, "metadata/timestamp.json")));
    }

    [Fact]
    public async Task A_store_that_is_not_mounted_is_told_and_nothing_is_written_in_its_place()
    {
        using var store = new TemporaryDirectory();
        string share = Path.Combine(store.Path, "share");
        using RestorePointHost host = await NewAsync("CREATE TABLE t AS SELECT 1 AS a");
        host.Options = host.Options with { RestorePoints = new() { Store = share } };
        foreach (Func<Task> ask in new Func<Task>[] { () => host.TakeAsync(), () => host.ListAsync(), () => host.RestoreAsync("shop-1") })
        {
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(ask);
            Assert.Equal((ExitCode.Unreachable, $"the store {share} cannot be read: there is no such directory", "check the directory and its mount"), (e.Code, e.Message, e.Remedy));
        }
        Assert.False(await host.SwapBackAsync("shop-1"));   // it needs no restore point
        host.Points.RemoveLeftovers(RestorePointHost.Shop, host.Options);
        Assert.Empty(Directory.GetFileSystemEntries(store.Path));
    }

    [Fact]
    public async Task How_far_dump_and_restore_are_is_told()
    {
        using RestorePointHost host = await NewAsync("CREATE TABLE noise AS SELECT md5(random()::text) || md5(random()::text) AS a FROM generate_series(1, 120000)");
        RestorePoint point = await host.TakeAsync();
        Rises($"dumping {host.Database}", 0.25);
        await host.RestoreAsync(point.Id, "shop-8");
        Rises($"restoring {point.Id}", 0.6, point.Size);

        void Rises(string what, double until, long? total = null)
        {
            (string What, long Done, long Total)[] told = [.. host.Transfers.Where(one => one.What == what)];
            Assert.True(told.Length >= 3, $"{what}: {told.Length} times");
            Assert.Equal(told.Select(one => one.Done), told.Select(one => one.Done).Order().Distinct());
            Assert.All(told, one => Assert.InRange(one.Done, 1, one.Total));
            Assert.True(told[^1].Done >= until * told[^1].Total, $"{what}: {told[^1]}");
            if (total is not null) Assert.All(told, one => Assert.Equal(total, one.Total));
        }
    }
}

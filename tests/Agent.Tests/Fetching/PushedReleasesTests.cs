using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Artifacts.Stores;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Fetching;

/// <summary>What was pushed lies on the host, and for how long.</summary>
public sealed class PushedReleasesTests : IAsyncLifetime
{
    private static readonly AppName Shop = PublishedStore.Shop;

    private readonly HashSet<string> installed = [];
    private readonly LaterTime time = new();
    private PublishedStore published = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Data => published.Scratch["host"];

    private string Directory => Path.Combine(Data, "pushed/shop");

    public async ValueTask InitializeAsync() => published = await PublishedStore.CreateAsync();

    public ValueTask DisposeAsync()
    {
        published.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task What_was_pushed_is_there_after_a_restart_until_it_was_deployed()
    {
        PushedRelease one = await PushAsync("v1.0.0");
        PushedReleases again = Start();
        again.SweepAll();
        Assert.Equal(one, again.Find(Shop, one.Id.Digest));
        Assert.Equal(one, again.Find(Shop, new ReleaseVersion("1.0.0")));
        Assert.Null(again.Find(Shop, new ReleaseVersion("v1.0.1")));
        FetchingHost.AssertWhole(again.Fetch(one.Id, Cancel)!, Files("v1.0.0"));
        installed.Add(one.Id.Digest.Hex);
        again.Sweep(Shop);
        Assert.Null(again.Find(Shop, one.Id.Digest));
        Assert.False(System.IO.Directory.Exists(Directory));
    }

    [Fact]
    public async Task Only_the_newest_few_are_kept_and_what_they_share_with_the_others_stays()
    {
        var all = new List<PushedRelease>();
        foreach (string version in new[] { "v1.0.0", "v1.0.1", "v1.0.2", "v1.0.3" })
        {
            all.Add(await PushAsync(version));
            time.Pass(TimeSpan.FromMinutes(1));
        }
        PushedReleases pushed = Start();
        Assert.Null(pushed.Find(Shop, all[0].Id.Digest));
        foreach (PushedRelease kept in all.Skip(1)) FetchingHost.AssertWhole(pushed.Fetch(kept.Id, Cancel)!, Files(kept.Id.Version.Text));
        Assert.Equal(PushedReleases.Most, System.IO.Directory.GetFiles(Directory, "*.json").Length);
        Assert.Equal(1 + (2 * PushedReleases.Most), System.IO.Directory.GetFiles(Path.Combine(Directory, "objects")).Length);   // bin/shop, and note and VERSION of each
    }

    [Fact]
    public async Task What_nobody_deploys_goes_after_a_week()
    {
        PushedRelease one = await PushAsync("v1.0.0");
        time.Pass(PushedReleases.WholeLife - TimeSpan.FromMinutes(1));
        PushedReleases pushed = Start();
        pushed.SweepAll();
        Assert.NotNull(pushed.Find(Shop, one.Id.Digest));
        time.Pass(TimeSpan.FromMinutes(1));
        pushed.SweepAll();
        Assert.False(System.IO.Directory.Exists(Directory));
    }

    [Fact]
    public async Task What_a_deployment_has_looked_through_stays_until_its_sweep()
    {
        PushedReleases pushed = Start();
        PushedRelease one = await PushAsync("v1.0.0", pushed);
        pushed.Fetch(one.Id, Cancel);
        time.Pass(2 * PushedReleases.WholeLife);
        await PushAsync("v1.0.1", pushed);
        Assert.NotNull(pushed.Find(Shop, one.Id.Digest));
        pushed.Sweep(Shop);
        Assert.Null(pushed.Find(Shop, one.Id.Digest));
    }

    [Fact]
    public async Task A_part_is_not_there_for_a_deployment_and_goes_after_a_day()
    {
        await published.PublishAsync("v1.0.0", Files("v1.0.0"));
        var dying = new CountingStore(published.Store) { DiesAfter = 100_000 };
        await Assert.ThrowsAnyAsync<Exception>(() => Start().ReceiveAsync(new Push(Shop, new ReleaseVersion("v1.0.0"), false, "ann"), dying, [], _ => Assert.Fail("it is not verified"), new Progress<TransferProgress>(), Cancel));
        string record = Assert.Single(System.IO.Directory.GetFiles(Directory, "*.json"));
        PushedReleases pushed = Start();
        pushed.SweepAll();
        Assert.Null(pushed.Find(Shop, new Digest(Path.GetFileNameWithoutExtension(record))));
        Assert.True(File.Exists(record));
        time.Pass(PushedReleases.PartLife);
        pushed.SweepAll();
        Assert.False(System.IO.Directory.Exists(Directory));
    }

    [Fact]
    public async Task A_second_push_that_breaks_off_does_not_take_back_what_is_whole()
    {
        PushedReleases pushed = Start();
        PushedRelease one = await PushAsync("v1.0.0", pushed);
        File.Delete(System.IO.Directory.GetFiles(Path.Combine(Directory, "objects")).MaxBy(file => new FileInfo(file).Length)!);
        var dying = new CountingStore(published.Store) { DiesAfter = 0 };
        await Assert.ThrowsAsync<OperatorException>(() => pushed.ReceiveAsync(new Push(Shop, one.Id.Version, false, "bob"), dying, [], _ => { }, new Progress<TransferProgress>(), Cancel));
        Assert.Equal("ann", pushed.Find(Shop, one.Id.Digest)!.By);
        // It was damaged before: that is told where it counts.
        var refused = Assert.Throws<OperatorException>(() => pushed.Fetch(one.Id, Cancel));
        Assert.Equal((ExitCode.Refused, "push it again"), (refused.Code, refused.Remedy));
        await PushAsync("v1.0.0", pushed);
        FetchingHost.AssertWhole(pushed.Fetch(one.Id, Cancel)!, Files("v1.0.0"));
    }

    [Fact]
    public async Task What_came_with_signatures_does_not_lose_them_by_the_same_without()
    {
        PushedReleases pushed = Start();
        PushedRelease one = await PushAsync("v1.0.0", pushed);
        using var build = new TemporaryDirectory();
        string manifest = Path.Combine(published.Root, "targets/shop/releases", $"{one.Id.Digest.Hex}.v1.0.0.json");
        File.Copy(manifest, Path.Combine(build.Path, "manifest"));
        var unsigned = new DirectoryStore(build.Path, new Disk(), TimeProvider.System);
        PushedRelease same = await pushed.ReceiveAsync(new Push(Shop, one.Id.Version, true, "bob"), unsigned, [], release => Assert.Equal(one, release), new Progress<TransferProgress>(), Cancel);
        Assert.Equal(one, same);
    }

    [Fact]
    public async Task What_an_installed_release_holds_is_not_asked_for()
    {
        await published.PublishAsync("v1.0.0", Files("v1.0.0"));
        using var host = new FetchingHost(published, "other");
        string directory = host.Install(await host.FetchAsync(FetchingHost.Exactly("v1.0.0")));
        await published.PublishAsync("v1.0.1", Files("v1.0.1"));
        var counting = new CountingStore(published.Store);
        await Start().ReceiveAsync(new Push(Shop, new ReleaseVersion("v1.0.1"), false, "ann"), counting, [directory], _ => { }, new Progress<TransferProgress>(), Cancel);
        Assert.InRange(counting.PackBytes, 1, 1000);
    }

    [Fact]
    public async Task A_full_disk_is_told_before_anything_is_asked_for()
    {
        await published.PublishAsync("v1.0.0", Files("v1.0.0"));
        var counting = new CountingStore(published.Store);
        var refused = await Assert.ThrowsAsync<OperatorException>(() =>
            Start(new DiskWithRoom(1 << 20)).ReceiveAsync(new Push(Shop, new ReleaseVersion("v1.0.0"), false, "ann"), counting, [], _ => { }, new Progress<TransferProgress>(), Cancel));
        Assert.Equal((ExitCode.Refused, "make room there"), (refused.Code, refused.Remedy));
        Assert.Equal(0, counting.PackBytes);
    }

    [Fact]
    public async Task What_does_not_belong_there_is_swept()
    {
        PushedRelease one = await PushAsync("v1.0.0");
        File.WriteAllText(Path.Combine(Directory, "stray"), "");
        File.WriteAllText(Path.Combine(Directory, "bad.json"), "{}");
        File.WriteAllText(Path.Combine(Directory, "objects", "0123"), "");
        File.WriteAllText(Path.Combine(Directory, $"{new string('0', 64)}.json"), "not json");
        System.IO.Directory.CreateDirectory(Path.Combine(Data, "pushed/Not an app"));
        PushedReleases pushed = Start();
        pushed.SweepAll();
        FetchingHost.AssertWhole(pushed.Fetch(one.Id, Cancel)!, Files("v1.0.0"));
        Assert.Equal(["manifest-" + one.Id.Digest.Hex, one.Id.Digest.Hex + ".json", "objects"], System.IO.Directory.GetFileSystemEntries(Directory).Select(Path.GetFileName).Order(StringComparer.Ordinal).OrderBy(name => name!.StartsWith("manifest", StringComparison.Ordinal) ? 0 : 1));
        Assert.Equal(3, System.IO.Directory.GetFiles(Path.Combine(Directory, "objects")).Length);
    }

    private static (string Path, byte[] Content)[] Files(string version) => [("bin/shop", PublishedStore.Noise(300_000, 1)), ("note", System.Text.Encoding.UTF8.GetBytes($"of {version}"))];

    private async Task<PushedRelease> PushAsync(string version, PushedReleases? to = null)
    {
        await published.PublishAsync(version, Files(version));
        PushedRelease? verified = null;
        PushedRelease received = await (to ?? Start()).ReceiveAsync(
            new Push(Shop, new ReleaseVersion(version), false, "ann"), published.Store, [], release => verified = release, new Progress<TransferProgress>(), Cancel);
        Assert.Equal(received, verified);
        return received;
    }

    /// <summary>As after a start of the agent.</summary>
    private PushedReleases Start(IDisk? disk = null)
    {
        var trust = new TrustClient(new NoStore(), new Disk(), Path.Combine(Data, "trust"), time);
        System.IO.Directory.CreateDirectory(Data);
        trust.Init(published.Keys.Root);
        return new PushedReleases(trust, disk ?? new Disk(), Data, (_, digest) => installed.Contains(digest.Hex), time, NullLogger<PushedReleases>.Instance);
    }

    /// <summary>The wall clock, some time ahead.</summary>
    private sealed class LaterTime : TimeProvider
    {
        private TimeSpan ahead;

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + ahead;

        public void Pass(TimeSpan time) => ahead += time;
    }
}

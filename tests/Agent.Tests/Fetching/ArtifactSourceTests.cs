using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Stores;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Artifacts.Stores;
using Agent.Tests.Fakes;

namespace Agent.Tests.Fetching;

public sealed class ArtifactSourceTests : IAsyncLifetime
{
    private static readonly (string Path, byte[] Content)[] First =
    [
        ("bin/shop", PublishedStore.Noise(400_000, 1)), ("empty", []), ("lib/a", PublishedStore.Noise(2_000, 2)), ("lib/b", PublishedStore.Noise(3_000, 3)),
        ("lib/shop", PublishedStore.Noise(400_000, 1)), ("zeros", new byte[3_000_000]),
    ];

    private static readonly (string Path, byte[] Content)[] Second = [.. First[..4], ("lib/new", PublishedStore.Noise(50_000, 4)), .. First[4..]];

    private PublishedStore store = null!;
    private FetchingHost host = null!;

    public async ValueTask InitializeAsync()
    {
        store = await PublishedStore.CreateAsync();
        host = new FetchingHost(store);
        await store.PublishAsync("v1.0.0", First);
    }

    public ValueTask DisposeAsync()
    {
        host.Dispose();
        store.Dispose();
        return ValueTask.CompletedTask;
    }

    private (CountingStore Counting, ArtifactSource Source) Counted()
    {
        var counting = new CountingStore(store.Store);
        return (counting, host.Source(counting));
    }

    private static async Task<OperatorException> FailureAsync(ExitCode code, Func<Task> action)
    {
        var failure = await Assert.ThrowsAnyAsync<OperatorException>(action);
        Assert.Equal(code, failure.Code);
        return failure;
    }

    [Fact]
    public async Task Lays_out_every_content_with_its_mode()
    {
        FetchedRelease fetched = await host.FetchAsync(FetchingHost.Exactly("v1.0.0"));
        FetchingHost.AssertWhole(fetched, [.. First, ("VERSION", "v1.0.0\n"u8.ToArray())]);
        // One content with two modes is two objects.
        Assert.Equal(6, fetched.Objects.Count);
        Assert.Equal(6, Directory.GetFiles(Path.Combine(host.Downloads, "shop/objects")).Length);
        Assert.Empty(Directory.GetFiles(Path.Combine(host.Downloads, "shop/parts")));
    }

    [Fact]
    public async Task Tells_how_far_it_is()
    {
        ArtifactSource source = host.Source();
        ReleaseId id = (await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Range("*"), CancellationToken.None))!;
        var seen = new Seen();
        await source.FetchAsync(id, [], seen, CancellationToken.None);
        Assert.Equal(0, seen.All[0].Done);
        Assert.Equal(seen.All[^1].Total, seen.All[^1].Done);
        Assert.InRange(seen.All[^1].Total, 405_000, 410_000);
        Assert.Equal(seen.All.OrderBy(progress => progress.Done), seen.All);
    }

    [Fact]
    public async Task What_was_fetched_before_is_not_fetched_again()
    {
        await host.FetchAsync(FetchingHost.Exactly("v1.0.0"));
        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.0.0")), First);
        Assert.Empty(counting.PackOffsets);
    }

    [Fact]
    public async Task What_an_installed_release_holds_is_not_fetched()
    {
        string installed = host.Install(await host.FetchAsync(FetchingHost.Exactly("v1.0.0")));
        host.Source().Sweep(PublishedStore.Shop);
        await store.PublishAsync("v1.1.0", Second);

        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.1.0"), installed), Second);
        Assert.InRange(counting.PackBytes, 50_000, 51_000);
        Assert.Single(counting.PackOffsets);
    }

    [Fact]
    public async Task An_installed_file_that_was_changed_is_fetched_instead()
    {
        string installed = host.Install(await host.FetchAsync(FetchingHost.Exactly("v1.0.0")));
        host.Source().Sweep(PublishedStore.Shop);
        await store.PublishAsync("v1.1.0", Second);
        string shop = Path.Combine(installed, "bin/shop");
        byte[] changed = await File.ReadAllBytesAsync(shop);
        changed[200_000] ^= 1;
        File.Delete(shop);
        await File.WriteAllBytesAsync(shop, changed);
        File.SetUnixFileMode(shop, Agent.Artifacts.Packs.FrameReader.Mode555);
        // A fifo would be waited for without end; a link leads elsewhere.
        File.Delete(Path.Combine(installed, "lib/a"));
        using (System.Diagnostics.Process fifo = System.Diagnostics.Process.Start("mkfifo", ["-m", "444", Path.Combine(installed, "lib/a")])!) await fifo.WaitForExitAsync();
        File.Move(Path.Combine(installed, "lib/b"), Path.Combine(installed, "moved"));
        File.CreateSymbolicLink(Path.Combine(installed, "lib/b"), "../moved");

        (CountingStore counting, ArtifactSource source) = Counted();
        FetchedRelease fetched = await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.1.0"), installed);
        FetchingHost.AssertWhole(fetched, Second);
        Assert.InRange(counting.PackBytes, 455_000, 456_000);
        Assert.All(fetched.Objects.Values, path => Assert.Equal(FileStatus.FileType.File, FileStatus.Of(path)!.Type));
    }

    [Theory]
    [InlineData("not a manifest")]
    [InlineData(null)]
    public async Task An_installed_release_without_a_readable_manifest_saves_nothing_and_harms_nothing(string? manifest)
    {
        string installed = host.Install(await host.FetchAsync(FetchingHost.Exactly("v1.0.0")));
        host.Source().Sweep(PublishedStore.Shop);
        File.Delete(Path.Combine(installed, ".agentd/manifest"));
        if (manifest is not null) await File.WriteAllTextAsync(Path.Combine(installed, ".agentd/manifest"), manifest);
        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.0.0"), installed, Path.Combine(host.Data, "missing")), First);
        Assert.True(counting.PackBytes > 400_000);
    }

    [Fact]
    public async Task Objects_and_a_manifest_that_a_crash_tore_are_found_by_their_hash()
    {
        FetchedRelease fetched = await host.FetchAsync(FetchingHost.Exactly("v1.0.0"));
        ManifestFile[] files = [.. fetched.Manifest.Files.OfType<ManifestFile>()];
        Tear(fetched.Objects[FetchedRelease.ObjectKey(files.Single(file => file.Path == "bin/shop"))], 100_000, 400_000);
        Tear(fetched.Objects[FetchedRelease.ObjectKey(files.Single(file => file.Path == "lib/b"))], 10, 10);
        Tear(fetched.ManifestPath, 20, 20);
        await File.WriteAllTextAsync(Path.Combine(host.Downloads, "shop/objects/half" + DurableOperations.TemporarySuffix), "x");

        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.0.0")), First);
        Assert.InRange(counting.PackBytes, 405_000, 406_000);
        Assert.Empty(Directory.GetFiles(host.Downloads, "*" + DurableOperations.TemporarySuffix, SearchOption.AllDirectories));

        static void Tear(string path, int keep, int padTo)
        {
            byte[] bytes = new byte[padTo];
            File.ReadAllBytes(path).AsSpan(0, keep).CopyTo(bytes);
            UnixFileMode mode = File.GetUnixFileMode(path);
            File.Delete(path);
            File.WriteAllBytes(path, bytes);
            File.SetUnixFileMode(path, mode);
        }
    }

    [Fact]
    public async Task Without_room_nothing_is_fetched_and_the_numbers_are_told()
    {
        ArtifactSource source = host.Source(new CountingStore(store.Store) { DiesAfter = 0 }, new DiskWithRoom(33 << 20));
        OperatorException refusal = await FailureAsync(ExitCode.Refused, () => FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.0.0")));
        Assert.Contains("needs 35 MiB", refusal.Message);
        Assert.Contains("33 MiB are free", refusal.Message);
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(host.Source(disk: new DiskWithRoom(36 << 20)), FetchingHost.Exactly("v1.0.0")), First);
    }

    [Fact]
    public async Task Sweep_removes_the_downloads_of_the_app_alone()
    {
        await host.FetchAsync(FetchingHost.Exactly("v1.0.0"));
        Directory.CreateDirectory(Path.Combine(host.Downloads, "other"));
        ArtifactSource source = host.Source();
        source.Sweep(PublishedStore.Shop);
        source.Sweep(PublishedStore.Shop);
        Assert.Equal(["other"], Directory.GetFileSystemEntries(host.Downloads).Select(Path.GetFileName));
    }

    [Fact]
    public async Task A_release_that_the_store_lists_no_more_is_refused()
    {
        ArtifactSource source = host.Source();
        ReleaseId id = (await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Range("*"), CancellationToken.None))!;
        var other = new ReleaseId(id.App, id.Version, Digest.Of("x"u8));
        Assert.Contains("no longer in the signed metadata", (await FailureAsync(ExitCode.Refused, () => source.FetchAsync(other, [], new Seen(), CancellationToken.None))).Message);
        Assert.False(Directory.Exists(host.Downloads));
    }

    [Fact]
    public async Task A_manifest_of_another_release_is_refused()
    {
        // As somebody who holds the release key can, and nobody else.
        byte[] manifest = ManifestFormat.Serialize((await host.FetchAsync(FetchingHost.Exactly("v1.0.0"))).Manifest);
        await store.Repository.PublishAsync("shop", async (_, token) => [await store.Repository.PutTargetAsync("shop/releases/v1.5.0.json", manifest, null, token)], CancellationToken.None);
        Assert.Contains("says that it is shop v1.0.0", (await FailureAsync(ExitCode.Refused, () => host.FetchAsync(FetchingHost.Exactly("v1.5.0")))).Message);
    }

    private static (string Path, byte[] Content)[] Several() =>
        [.. Enumerable.Range(0, 10).Select(number => ($"lib/{(char)('a' + number)}", PublishedStore.Noise(50_000, number)))];

    [Fact]
    public async Task What_came_before_a_cut_does_not_come_again()
    {
        (string, byte[])[] files = Several();
        await store.PublishAsync("v2.0.0", files);
        await FailureAsync(ExitCode.Unreachable, () => FetchingHost.FetchAsync(host.Source(new CountingStore(store.Store) { DiesAfter = 275_000 }), FetchingHost.Exactly("v2.0.0")));
        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v2.0.0")), files);
        Assert.InRange(counting.PackBytes, 225_000, 276_000);
    }

    [Fact]
    public async Task The_first_wrong_frame_is_named_and_leaves_no_file()
    {
        await store.PublishAsync("v2.0.0", Several());
        using var good = new FetchingHost(store, "good");
        FetchedRelease fetched = await good.FetchAsync(FetchingHost.Exactly("v2.0.0"));
        ManifestFile[] files = [.. fetched.Manifest.Files.OfType<ManifestFile>().Where(file => file.Path.StartsWith("lib/", StringComparison.Ordinal))];
        string pack = Path.Combine(store.Root, StorePath.Blob(fetched.Manifest.Packs[0].Sha256));
        byte[] bytes = await File.ReadAllBytesAsync(pack);
        foreach (int wrong in (int[])[3, 4, 6]) bytes[files[wrong].Place!.Offset + 25_000] ^= 1;
        await File.WriteAllBytesAsync(pack, bytes);

        OperatorException refusal = await FailureAsync(ExitCode.Refused, () => host.FetchAsync(FetchingHost.Exactly("v2.0.0")));
        Assert.Contains("lib/d has SHA-256", refusal.Message);
        string[] left = [.. Directory.GetFiles(Path.Combine(host.Downloads, "shop/objects")).Select(path => Path.GetFileName(path))];
        Assert.All(files[..3], file => Assert.Contains(file.Sha256.Hex, left));
        Assert.All((int[])[3, 4, 6], wrong => Assert.DoesNotContain(files[wrong].Sha256.Hex, left));
        Assert.All(left, name => Assert.False(name.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(1_048_576)]
    [InlineData(1_048_577)]
    [InlineData(4_194_303)]
    [InlineData(4_194_304)]
    [InlineData(9_000_000)]
    public async Task Contents_of_every_size_come_with_both_modes(int size)
    {
        byte[] content = [.. PublishedStore.Noise(10_000, 5), .. new byte[size - 10_000]];
        (string, byte[])[] files = [("bin/tool", content), ("lib/after", PublishedStore.Noise(20_000, 6)), ("lib/tool", content)];
        await store.PublishAsync("v2.0.0", files);
        FetchingHost.AssertWhole(await host.FetchAsync(FetchingHost.Exactly("v2.0.0")), files);
        Assert.Empty(Directory.GetFiles(Path.Combine(host.Downloads, "shop/parts")));
    }

    [Fact]
    public async Task A_large_frame_goes_on_where_the_agent_stopped()
    {
        byte[] large = PublishedStore.Noise(3_000_000, 9);
        await store.PublishAsync("v2.0.0", ("large", large));
        var dying = new CountingStore(store.Store) { DiesAfter = 2_000_000 };
        await FailureAsync(ExitCode.Unreachable, () => FetchingHost.FetchAsync(host.Source(dying), FetchingHost.Exactly("v2.0.0")));
        Assert.Equal(2_000_000, dying.PackBytes);

        (CountingStore counting, ArtifactSource source) = Counted();
        FetchingHost.AssertWhole(await FetchingHost.FetchAsync(source, FetchingHost.Exactly("v2.0.0")), ("large", large));
        Assert.InRange(counting.PackBytes, 1_000_000, 1_001_000);
        Assert.Empty(Directory.GetFiles(Path.Combine(host.Downloads, "shop/parts")));
    }

    [Theory]
    [InlineData(1_500_000, 1_500_000)]
    [InlineData(1_000_000, 2_000_000)]
    [InlineData(0, 3_000_000)]
    [InlineData(0, 4_000_000)]
    public async Task A_part_that_a_crash_tore_costs_bytes_and_nothing_else(int keep, int padTo)
    {
        byte[] large = PublishedStore.Noise(3_000_000, 9);
        await store.PublishAsync("v2.0.0", ("large", large));
        await FailureAsync(ExitCode.Unreachable, () => FetchingHost.FetchAsync(host.Source(new CountingStore(store.Store) { DiesAfter = 2_000_000 }), FetchingHost.Exactly("v2.0.0")));
        string part = Assert.Single(Directory.GetFiles(Path.Combine(host.Downloads, "shop/parts")));
        byte[] torn = new byte[padTo];
        File.ReadAllBytes(part).AsSpan(0, keep).CopyTo(torn);
        await File.WriteAllBytesAsync(part, torn);
        FetchingHost.AssertWhole(await host.FetchAsync(FetchingHost.Exactly("v2.0.0")), ("large", large));
    }

    [Fact]
    public async Task A_store_that_only_trickles_is_given_up()
    {
        var time = new InstantTime(1);
        var counting = new CountingStore(store.Store);
        counting.Around = stream => new PacedStream(new Trickle(stream, time), stream, "the pack", time);
        ArtifactSource source = host.Source(counting, time: new WallClock(time));
        OperatorException failure = await FailureAsync(ExitCode.Unreachable, () => FetchingHost.FetchAsync(source, FetchingHost.Exactly("v1.0.0")));
        Assert.Contains("too slowly", failure.Message);
        // Never more than an hour, however it is spread over requests.
        Assert.InRange(TimeSpan.FromTicks(time.GetTimestamp() - new InstantTime(1).GetTimestamp()).TotalMinutes, 1, 60);
    }

    private sealed class Seen : IProgress<TransferProgress>
    {
        public List<TransferProgress> All { get; } = [];

        public void Report(TransferProgress value) => All.Add(value);
    }

    /// <summary>A byte each second.</summary>
    private sealed class Trickle(Stream inner, TimeProvider time) : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), time, cancellationToken);
            return await inner.ReadAsync(buffer[..1], cancellationToken);
        }
    }

    /// <summary>Waits as the inner time does; the date is today's, so that nothing has expired.</summary>
    private sealed class WallClock(TimeProvider inner) : TimeProvider
    {
        public override long TimestampFrequency => inner.TimestampFrequency;

        public override long GetTimestamp() => inner.GetTimestamp();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => inner.CreateTimer(callback, state, dueTime, period);
    }
}

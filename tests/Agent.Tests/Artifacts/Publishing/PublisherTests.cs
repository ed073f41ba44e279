using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Publishing;

public sealed class PublisherTests : IAsyncLifetime
{
    private static readonly AppName Shop = PublishedStore.Shop;
    private PublishedStore store = null!;

    public async ValueTask InitializeAsync() => store = await PublishedStore.CreateAsync();

    public ValueTask DisposeAsync()
    {
        store.Dispose();
        return ValueTask.CompletedTask;
    }

    private static byte[] Noise(int size, int seed) => PublishedStore.Noise(size, seed);

    private static async Task<OperatorException> RefusalAsync(Func<Task> action, ExitCode code = ExitCode.Refused)
    {
        var refusal = await Assert.ThrowsAnyAsync<OperatorException>(action);
        Assert.Equal(code, refusal.Code);
        return refusal;
    }

    private async Task<Manifest> ManifestAsync(string version)
    {
        await store.Repository.Client.RefreshAsync(CancellationToken.None);
        TargetInfo target = (await store.Repository.Client.FindTargetAsync(StorePath.ReleaseTarget(Shop, new ReleaseVersion(version)), CancellationToken.None))!;
        return ManifestFormat.Parse(await store.Repository.Client.ReadTargetAsync(target, ManifestFormat.MaximumSize, CancellationToken.None));
    }

    private string[] Objects() => [.. Directory.GetFiles(store.Root, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    [Fact]
    public async Task What_is_published_and_promoted_is_listed()
    {
        PublishResult first = await store.PublishAsync("v1.0.0", ("bin/shop", Noise(20_000, 1)), ("note", "x"u8.ToArray()));
        PublishResult second = await store.PublishAsync("v1.10.0", ("bin/shop", Noise(20_000, 2)));
        await store.PublishAsync("v1.9.0", ("bin/shop", Noise(20_000, 3)));
        PromoteResult promoted = await store.PromoteAsync("v1.10.0", "v1.0.0");

        Assert.Equal((3, 20_000 + 1 + "v1.0.0\n".Length, false), (first.Files, first.TotalSize, first.AlreadyThere));
        Assert.Equal((null, "v1.10.0", 1L, false), (promoted.From, promoted.To.Text, promoted.Sequence, promoted.AlreadyThere));
        ListedApp app = Assert.Single(await store.Publisher.ListAsync(Shop, CancellationToken.None));
        Assert.Equal(["v1.10.0", "v1.9.0", "v1.0.0"], app.Releases.Select(release => release.Version.Text));
        Assert.Equal((second.Digest, 2, second.TotalSize), (app.Releases[0].Digest, app.Releases[0].Files, app.Releases[0].TotalSize));
        Assert.InRange((DateTimeOffset.UtcNow - app.Releases[0].Published!.Value).TotalMinutes, -1, 10);
        ListedChannel channel = Assert.Single(app.Channels);
        Assert.Equal(("stable", new ChannelTarget(new ReleaseVersion("v1.10.0"), second.Digest, 1, new ReleaseVersion("v1.0.0"))), (channel.Name, channel.Target));
        await RefusalAsync(() => store.Publisher.ListAsync(new AppName("other"), CancellationToken.None), ExitCode.Usage);
    }

    [Fact]
    public async Task The_same_content_again_is_there_already_and_writes_nothing()
    {
        PublishResult first = await store.PublishAsync("v1.0.0", ("bin/shop", Noise(20_000, 1)));
        string[] before = Objects();
        byte[] timestamp = await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json"));

        PublishResult again = await store.PublishAsync("v1.0.0", ("bin/shop", Noise(20_000, 1)));

        Assert.Equal((first with { UploadedBytes = 0, AlreadyThere = true }), again);
        Assert.Equal(before, Objects());
        Assert.Equal(timestamp, await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json")));
    }

    [Fact]
    public async Task Another_content_is_refused_and_the_first_difference_named()
    {
        await store.PublishAsync("v1.0.0", ("a", "1"u8.ToArray()), ("b", "1"u8.ToArray()), ("c", "1"u8.ToArray()));
        string before = await store.ListingAsync();

        Task<OperatorException> Refused(params (string Path, byte[] Content)[] files) => RefusalAsync(() => store.PublishAsync("v1.0.0", files));
        Assert.Contains("(b differs)", (await Refused(("a", "1"u8.ToArray()), ("b", "2"u8.ToArray()), ("c", "2"u8.ToArray()))).Message);
        Assert.Contains("(b is missing)", (await Refused(("a", "1"u8.ToArray()), ("c", "1"u8.ToArray()))).Message);
        Assert.Contains("(aa is new)", (await Refused(("a", "1"u8.ToArray()), ("aa", "1"u8.ToArray()), ("b", "1"u8.ToArray()), ("c", "1"u8.ToArray()))).Message);
        Assert.Contains("(d is new)", (await Refused(("a", "1"u8.ToArray()), ("b", "1"u8.ToArray()), ("c", "1"u8.ToArray()), ("d", "1"u8.ToArray()))).Message);
        OperatorException mode = await Refused(("a", "1"u8.ToArray()), ("b", "1"u8.ToArray()), ("bin/c", "1"u8.ToArray()));
        Assert.Contains("(bin/c is new)", mode.Message);
        Assert.Contains("new version", mode.Remedy);
        Assert.Equal(before, await store.ListingAsync());
    }

    [Fact]
    public async Task A_second_version_uploads_only_what_is_new()
    {
        await store.PublishAsync("v1.0.0", ("bin/shop", Noise(500_000, 1)), ("lib", Noise(30_000, 2)));
        PublishResult second = await store.PublishAsync("v1.1.0", ("bin/shop", Noise(500_000, 1)), ("lib", Noise(30_000, 3)), ("copy/shop", Noise(500_000, 1)));

        Assert.InRange(second.UploadedBytes, 30_000, 35_000);
        Manifest manifest = await ManifestAsync("v1.1.0");
        Assert.Equal(2, manifest.Packs.Count);
        Assert.All(manifest.Packs, pack => Assert.Equal(pack.Size, new FileInfo(Path.Combine(store.Root, StorePath.Blob(pack.Sha256))).Length));
    }

    [Fact]
    public async Task After_eight_packs_comes_a_full_one()
    {
        (string, byte[]) big = ("big", Noise(400_000, 100));
        var packs = new List<int>();
        for (int i = 0; i < 10; i++)
        {
            // Each file stays, so that each pack stays alive.
            PublishResult result = await store.PublishAsync($"v1.{i}.0", [big, .. Enumerable.Range(0, i + 1).Select(n => ($"file-{n}", Noise(20_000, n)))]);
            packs.Add((await ManifestAsync($"v1.{i}.0")).Packs.Count);
            Assert.Equal(i is 0 or 8, result.UploadedBytes > 400_000);
        }
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 1, 2], packs);
    }

    [Fact]
    public async Task When_less_than_half_of_the_packs_is_live_comes_a_full_one()
    {
        await store.PublishAsync("v1.0.0", ("a", Noise(100_000, 1)), ("b", Noise(100_000, 2)), ("c", Noise(100_000, 3)));
        PublishResult most = await store.PublishAsync("v1.1.0", ("a", Noise(100_000, 1)), ("b", Noise(100_000, 2)));
        Assert.True(most.UploadedBytes < 10_000);
        PublishResult least = await store.PublishAsync("v1.2.0", ("a", Noise(100_000, 1)));
        Assert.True(least.UploadedBytes > 100_000);
        Assert.Single((await ManifestAsync("v1.2.0")).Packs);
    }

    [Fact]
    public async Task An_older_line_builds_on_the_release_below_it()
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(200_000, 1)));
        await store.PublishAsync("v2.0.0", ("shop", Noise(200_000, 2)));
        Assert.True((await store.PublishAsync("v1.0.1", ("shop", Noise(200_000, 1)))).UploadedBytes < 10_000);
        // Below all of them there is none: then the highest.
        Assert.True((await store.PublishAsync("v0.9.0", ("shop", Noise(200_000, 2)))).UploadedBytes < 10_000);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_publish_interrupted_at_any_write_leaves_the_store_as_it_was(bool after)
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(1_000, 1)));
        for (int version = 1; ; version++)
        {
            string before = await store.ListingAsync();
            byte[] timestamp = await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json"));
            var dying = new InterruptedStore(store.Store, version - 1, after);
            (string, byte[]) file = ("shop", Noise(1_000, 10 + version));
            Exception? death = await Record.ExceptionAsync(() => store.PublishAsync(store.NewPublisher(dying).Publisher, $"v1.{version}.0", file));

            if (!dying.Happened)
            {
                Assert.Null(death);
                Assert.InRange(version, 5, 20);   // pack, manifest, role, snapshot, timestamp, and then this round
                break;
            }
            Assert.IsType<InterruptedException>(death);
            byte[] now = await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json"));
            bool through = after && !now.AsSpan().SequenceEqual(timestamp);
            if (through)
            {
                Assert.Contains($"v1.{version}.0", await store.ListingAsync());
            }
            else
            {
                Assert.Equal(timestamp, now);
                Assert.Equal(before, await store.ListingAsync());
            }
            Assert.Equal(through, (await store.PublishAsync(store.NewPublisher().Publisher, $"v1.{version}.0", file)).AlreadyThere);
            Assert.Contains($"v1.{version}.0", await store.ListingAsync());
        }
    }

    [Fact]
    public async Task The_first_publish_of_an_app_interrupted_at_any_write_lists_nothing()
    {
        for (int survives = 0; ; survives++)
        {
            using PublishedStore fresh = await PublishedStore.CreateAsync();
            var dying = new InterruptedStore(fresh.Store, survives, after: false);
            Exception? death = await Record.ExceptionAsync(() => fresh.PublishAsync(fresh.NewPublisher(dying).Publisher, "v1.0.0", ("shop", Noise(1_000, 1))));
            if (!dying.Happened)
            {
                Assert.Null(death);
                break;
            }
            Assert.Equal("", await fresh.ListingAsync());
            Assert.False((await fresh.PublishAsync("v1.0.0", ("shop", Noise(1_000, 1)))).AlreadyThere);
            Assert.Contains("v1.0.0", await fresh.ListingAsync());
        }
    }

    [Fact]
    public async Task A_promote_interrupted_at_any_write_leaves_the_channel_as_it_was()
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(1_000, 1)));
        await store.PublishAsync("v1.1.0", ("shop", Noise(1_000, 2)));
        for (int survives = 0; ; survives++)
        {
            await store.PromoteAsync("v1.0.0");
            string before = await store.ListingAsync();
            var dying = new InterruptedStore(store.Store, survives, after: false);
            Exception? death = await Record.ExceptionAsync(() => store.NewPublisher(dying).Publisher.PromoteAsync(Shop, new ReleaseVersion("v1.1.0"), "stable", null, CancellationToken.None));
            if (!dying.Happened)
            {
                Assert.Null(death);
                Assert.InRange(survives, 4, 10);   // pointer, role, snapshot, timestamp
                break;
            }
            Assert.Equal(before, await store.ListingAsync());
            Assert.Equal(2 * survives + 2, (await store.PromoteAsync("v1.1.0")).Sequence);
        }
        Assert.Contains("stable=v1.1.0", await store.ListingAsync());
    }

    [Fact]
    public async Task Publishers_at_once_all_get_through()
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(1_000, 0)));
        Publisher[] publishers = [.. Enumerable.Range(1, 4).Select(_ => store.NewPublisher().Publisher)];
        await Task.WhenAll(Enumerable.Range(1, 4).Select(i => Task.Run(() => store.PublishAsync(publishers[i - 1], $"v1.{i}.0", ("shop", Noise(1_000, i))))));
        ListedApp app = Assert.Single(await store.Publisher.ListAsync(Shop, CancellationToken.None));
        Assert.Equal(["v1.4.0", "v1.3.0", "v1.2.0", "v1.1.0", "v1.0.0"], app.Releases.Select(release => release.Version.Text));
        foreach (ListedRelease release in app.Releases) Assert.Equal(2, (await ManifestAsync(release.Version.Text)).Files.Count);
    }

    [Fact]
    public async Task Of_two_publishers_of_one_version_the_slower_is_refused_unless_it_is_the_same()
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(1_000, 0)));
        // The quicker one comes between the slower one's look at the store and its signature.
        var slow = new MeanwhileStore(store.Store, "blobs/", () => store.PublishAsync("v1.1.0", ("shop", Noise(1_000, 1))));
        OperatorException refusal = await RefusalAsync(() => store.PublishAsync(store.NewPublisher(slow).Publisher, "v1.1.0", ("shop", Noise(1_000, 2))));
        Assert.Contains("(shop differs)", refusal.Message);

        // The same content in other packs, since a release between them was published meanwhile.
        slow = new MeanwhileStore(store.Store, "blobs/", async () =>
        {
            await store.PublishAsync("v1.1.5", ("shop", Noise(1_000, 3)));
            await store.PublishAsync("v1.2.0", ("shop", Noise(1_000, 3)));
        });
        PublishResult same = await store.PublishAsync(store.NewPublisher(slow).Publisher, "v1.2.0", ("shop", Noise(1_000, 3)));
        Assert.True(same.AlreadyThere);
        ListedApp app = Assert.Single(await store.Publisher.ListAsync(Shop, CancellationToken.None));
        Assert.Equal(same.Digest, app.Releases[0].Digest);
    }

    [Fact]
    public async Task Promotes_only_what_is_published()
    {
        await store.PublishAsync("v1.0.0", ("shop", Noise(1_000, 1)));
        string before = await store.ListingAsync();
        Assert.Contains("v1.1.0 is not published", (await RefusalAsync(() => store.PromoteAsync("v1.1.0"), ExitCode.Usage)).Message);
        await RefusalAsync(() => store.PromoteAsync("v1.0.0", channel: "../stable"), ExitCode.Usage);
        Assert.Equal(before, await store.ListingAsync());
    }

    [Fact]
    public async Task The_seq_rises_with_each_change_and_only_then()
    {
        foreach (string version in new[] { "v1.0.0", "v1.1.0" }) await store.PublishAsync(version, ("shop", Noise(1_000, version.Length)));
        Assert.Equal(1, (await store.PromoteAsync("v1.0.0")).Sequence);
        Assert.Equal(2, (await store.PromoteAsync("v1.1.0")).Sequence);
        byte[] timestamp = await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json"));
        PromoteResult again = await store.PromoteAsync("v1.1.0");
        Assert.Equal((2L, true), (again.Sequence, again.AlreadyThere));
        Assert.Equal(timestamp, await File.ReadAllBytesAsync(Path.Combine(store.Root, "metadata/timestamp.json")));
        PromoteResult back = await store.PromoteAsync("v1.0.0");
        Assert.Equal((3L, "v1.1.0", false), (back.Sequence, back.From!.Text, back.AlreadyThere));
        Assert.Equal(1, (await store.PromoteAsync("v1.1.0", channel: "canary")).Sequence);
    }

    [Fact]
    public async Task The_bound_of_a_channel_stays_and_only_rises()
    {
        foreach (string version in new[] { "v1.0.0", "v1.1.0", "v1.2.0" }) await store.PublishAsync(version, ("shop", Noise(1_000, version[3])));
        await RefusalAsync(() => store.PromoteAsync("v1.1.0", "v1.2.0"));
        Assert.Equal(1, (await store.PromoteAsync("v1.1.0", "v1.1.0")).Sequence);
        Assert.Contains("below v1.1.0", (await RefusalAsync(() => store.PromoteAsync("v1.0.0"))).Message);
        // Hosts that saw the bound keep it, so what lowers it would never reach them.
        Assert.Contains("only rises", (await RefusalAsync(() => store.PromoteAsync("v1.0.0", "v1.0.0"))).Message);
        await store.PromoteAsync("v1.2.0");
        PromoteResult raised = await store.PromoteAsync("v1.2.0", "v1.2.0");
        Assert.Equal((3L, false), (raised.Sequence, raised.AlreadyThere));
        Assert.Contains("stable=v1.2.0 3 v1.2.0", await store.ListingAsync());
    }

    /// <summary>Something else happens just before the first write to a path.</summary>
    private sealed class MeanwhileStore(IStoreWriter inner, string before, Func<Task> meanwhile) : IStoreWriter
    {
        private bool done;

        public string Description => inner.Description;

        public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) => inner.OpenAsync(path, offset, ifNoneMatch, cancellationToken);

        public async Task PutAsync(string path, Stream content, CancellationToken cancellationToken)
        {
            if (!done && path.StartsWith(before, StringComparison.Ordinal))
            {
                done = true;
                await meanwhile();
            }
            await inner.PutAsync(path, content, cancellationToken);
        }

        public Task<bool> ReplaceAsync(string path, byte[] content, byte[]? expected, CancellationToken cancellationToken) => inner.ReplaceAsync(path, content, expected, cancellationToken);

        public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);
    }
}

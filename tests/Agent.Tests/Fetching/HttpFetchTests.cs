using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Artifacts.Stores;

namespace Agent.Tests.Fetching;

public sealed class HttpFetchTests : IAsyncLifetime
{
    private static readonly (string Path, byte[] Content)[] Files =
    [
        ("bin/shop", PublishedStore.Noise(50_000, 1)), ("large", PublishedStore.Noise(3_000_000, 2)), ("lib/a", PublishedStore.Noise(2_000, 3)), ("zzz", PublishedStore.Noise(500_000, 4)),
    ];

    private static readonly long PackSize = Files.Sum(file => file.Content.Length);

    private PublishedStore store = null!;
    private FetchingHost host = null!;
    private StaticServer server = null!;
    private HttpStore http = null!;

    public async ValueTask InitializeAsync()
    {
        store = await PublishedStore.CreateAsync();
        host = new FetchingHost(store);
        await store.PublishAsync("v1.0.0", Files);
        await store.PromoteAsync("v1.0.0");
        server = await StaticServer.StartAsync(store.Root);
        http = new HttpStore(server.Url, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        host.Dispose();
        http.Dispose();
        await server.DisposeAsync();
        store.Dispose();
    }

    private async Task FetchAsync() => FetchingHost.AssertWhole(await FetchingHost.FetchAsync(host.Source(http), FetchingHost.Channel()), Files);

    private async Task<OperatorException> FailureAsync(ExitCode code)
    {
        var failure = await Assert.ThrowsAnyAsync<OperatorException>(FetchAsync);
        Assert.Equal(code, failure.Code);
        return failure;
    }

    private string[] PackRequests() => [.. server.Requests.Where(request => request.StartsWith("blobs/", StringComparison.Ordinal))];

    [Fact]
    public async Task An_update_is_one_request_for_content_and_an_idle_poll_two_in_all()
    {
        await FetchAsync();
        Assert.Single(PackRequests());

        ArtifactSource source = host.Source(http);
        await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Channel(), CancellationToken.None);
        server.Requests.Clear();
        await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Channel(), CancellationToken.None);
        Assert.Equal(["metadata/2.root.json", "metadata/timestamp.json"], server.Requests.Take(2));
        Assert.InRange(server.Requests.Count, 2, 3);   // and the pointer of the channel
    }

    [Fact]
    public async Task A_cut_costs_only_what_did_not_arrive()
    {
        (server.CutAfter, server.Cuts) = (2_000_000, 1);
        await FetchAsync();
        string[] requests = PackRequests();
        Assert.Equal(2, requests.Length);
        Assert.InRange(int.Parse(requests[1].Split("bytes=")[1].Split('-')[0]), 1_000_000, 2_000_000);
        Assert.InRange(server.BytesSent, PackSize, PackSize + 1_100_000);
    }

    [Fact]
    public async Task A_server_without_ranges_serves_all_the_same()
    {
        server.NoRanges = true;
        (server.CutAfter, server.Cuts) = (2_000_000, 1);
        await FetchAsync();
        Assert.Equal(2, PackRequests().Length);
    }

    [Fact]
    public async Task Few_places_of_a_pack_are_few_bytes()
    {
        await FetchAsync();
        foreach (string path in Directory.GetFiles(Path.Combine(host.Downloads, "shop/objects")))
            if (new FileInfo(path).Length is 2_000 or 50_000) File.Delete(path);
        long before = server.BytesSent;
        server.Requests.Clear();
        await FetchAsync();
        Assert.Equal(2, PackRequests().Length);
        Assert.InRange(server.BytesSent - before, 52_000, 70_000);
    }

    [Fact]
    public async Task A_server_that_fails_now_and_then_is_asked_again()
    {
        server.Failures = 2;
        await FetchAsync();
    }

    [Fact]
    public async Task A_server_that_always_fails_is_unreachable()
    {
        server.Failures = int.MaxValue;
        Assert.Contains("500", (await FailureAsync(ExitCode.Unreachable)).Message);
        Assert.False(Directory.Exists(host.Downloads));
    }

    [Fact]
    public async Task A_server_that_cuts_every_answer_is_unreachable()
    {
        server.CutAfter = 10;
        await FailureAsync(ExitCode.Unreachable);
        Assert.False(Directory.Exists(host.Downloads));
    }

    [Theory]
    [InlineData("metadata/timestamp.json", 20_000)]
    [InlineData("snapshot.json", 1)]
    [InlineData("targets.json", 1)]
    [InlineData("shop.json", 1)]
    [InlineData("shop-channels.json", 1)]
    [InlineData("stable.json", 1)]
    [InlineData("v1.0.0.json", 1)]
    public async Task A_body_longer_than_announced_is_refused(string name, int more)
    {
        server.Change = (path, bytes) => path.EndsWith(name, StringComparison.Ordinal) ? [.. bytes, .. new byte[more]] : bytes;
        var failure = Assert.IsType<TrustException>(await FailureAsync(ExitCode.Refused));
        Assert.Equal(TrustFailure.Length, failure.Failure);
        Assert.Contains(name, failure.Message);
        Assert.False(Directory.Exists(host.Downloads));
    }

    [Fact]
    public async Task A_pack_longer_than_announced_is_not_read_to_its_end()
    {
        server.Change = (path, bytes) => path.StartsWith("blobs/", StringComparison.Ordinal) ? [.. bytes, .. new byte[10_000_000]] : bytes;
        await FetchAsync();
        Assert.True(server.BytesSent < PackSize + 100_000);
    }

    [Fact]
    public async Task A_pack_with_other_bytes_is_refused_and_named()
    {
        server.Change = (path, bytes) => path.StartsWith("blobs/", StringComparison.Ordinal) ? [.. bytes.Select(b => (byte)(b ^ 1))] : bytes;
        OperatorException failure = await FailureAsync(ExitCode.Refused);
        Assert.Contains("is not what the signed manifest names", failure.Message);
        Assert.All(Directory.GetFiles(Path.Combine(host.Downloads, "shop/objects")), path => Assert.EndsWith(".agentd-tmp", path));
        server.Change = null;
        await FetchAsync();
    }

    [Fact]
    public async Task A_pack_cut_short_in_the_store_is_unreachable()
    {
        server.Change = (path, bytes) => path.StartsWith("blobs/", StringComparison.Ordinal) ? bytes[..100_000] : bytes;
        await FailureAsync(ExitCode.Unreachable);
    }

    [Fact]
    public async Task A_server_that_is_gone_is_unreachable()
    {
        await server.DisposeAsync();
        await FailureAsync(ExitCode.Unreachable);
        server = await StaticServer.StartAsync(store.Root);
    }
}

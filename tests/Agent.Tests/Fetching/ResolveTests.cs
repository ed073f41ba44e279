using Agent.Artifacts;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Configuration;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;

namespace Agent.Tests.Fetching;

public sealed class ResolveTests : IAsyncLifetime
{
    private PublishedStore store = null!;
    private FetchingHost host = null!;

    public async ValueTask InitializeAsync()
    {
        store = await PublishedStore.CreateAsync();
        host = new FetchingHost(store);
        foreach (string version in new[] { "v1.2.0", "v1.10.0", "v2.0.0-rc.1", "2.1.0" }) await store.PublishAsync(version, ("shop", PublishedStore.Noise(100, version.Length)));
    }

    public ValueTask DisposeAsync()
    {
        host.Dispose();
        store.Dispose();
        return ValueTask.CompletedTask;
    }

    private Task<string?> ResolveAsync(Track wanted) => FetchingHost.ResolveAsync(host.Source(), wanted);

    private async Task<OperatorException> RefusalAsync(Track wanted)
    {
        var refusal = await Assert.ThrowsAnyAsync<OperatorException>(() => ResolveAsync(wanted));
        Assert.Equal(ExitCode.Refused, refusal.Code);
        return refusal;
    }

    // As somebody who holds the promote key can.
    private Task SignChannelAsync(string version, Digest manifest, long sequence, string? minimum = null) => store.Repository.PublishAsync(
        TrustRepository.ChannelRole(PublishedStore.Shop),
        async (_, token) =>
        {
            var target = new ChannelTarget(new ReleaseVersion(version), manifest, sequence, minimum is null ? null : new ReleaseVersion(minimum));
            return [await store.Repository.PutTargetAsync(StorePath.ChannelTarget(PublishedStore.Shop, "stable"), target.Serialize(), null, token)];
        },
        CancellationToken.None);

    private async Task<Digest> DigestAsync(string version) =>
        (await store.Repository.Client.FindTargetAsync(StorePath.ReleaseTarget(PublishedStore.Shop, new ReleaseVersion(version)), CancellationToken.None))!.Sha256;

    [Theory]
    [InlineData("*", "2.1.0")]
    [InlineData("^1.0.0", "v1.10.0")]
    [InlineData("~1.2.0", "v1.2.0")]
    [InlineData(">=2.0.0-0 <2.0.0", "v2.0.0-rc.1")]
    [InlineData(">=1.0.0 <2.0.0", "v1.10.0")]
    [InlineData("^3.0.0", null)]
    public async Task A_range_is_its_highest_release_and_no_prerelease_unless_asked_for(string range, string? version) =>
        Assert.Equal(version, await ResolveAsync(FetchingHost.Range(range)));

    [Theory]
    [InlineData("v1.2.0", "v1.2.0")]
    [InlineData("1.2.0", "v1.2.0")]
    [InlineData("v2.1.0", "2.1.0")]
    [InlineData("v2.0.0-rc.1", "v2.0.0-rc.1")]
    [InlineData("v2.0.0", null)]
    public async Task A_version_is_found_with_or_without_its_v(string asked, string? version) =>
        Assert.Equal(version, await ResolveAsync(FetchingHost.Exactly(asked)));

    [Fact]
    public async Task A_channel_is_what_it_points_at_also_backwards()
    {
        Assert.Null(await ResolveAsync(FetchingHost.Channel()));
        await store.PromoteAsync("v2.0.0-rc.1");
        Assert.Equal("v2.0.0-rc.1", await ResolveAsync(FetchingHost.Channel()));
        await store.PromoteAsync("v1.2.0");
        ArtifactSource source = host.Source();
        Assert.Equal(await DigestAsync("v1.2.0"), (await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Channel(), CancellationToken.None))!.Digest);
        Assert.Null(await source.ResolveAsync(new AppName("other"), FetchingHost.Channel(), CancellationToken.None));
    }

    [Fact]
    public async Task A_lower_seq_is_refused_also_after_a_restart()
    {
        await SignChannelAsync("v1.10.0", await DigestAsync("v1.10.0"), 5);
        Assert.Equal("v1.10.0", await ResolveAsync(FetchingHost.Channel()));
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.2.0"), 4);
        Assert.Contains("its seq is 4, and 5 was seen", (await RefusalAsync(FetchingHost.Channel())).Message);
        // The same seq cannot mean two things either.
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.2.0"), 5);
        Assert.Contains("two things", (await RefusalAsync(FetchingHost.Channel())).Message);
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.2.0"), 6);
        Assert.Equal("v1.2.0", await ResolveAsync(FetchingHost.Channel()));
    }

    [Fact]
    public async Task An_old_copy_of_the_store_is_refused()
    {
        await store.PromoteAsync("v1.2.0");
        string old = Path.Combine(store.Root, "metadata/timestamp.json");
        byte[] timestamp = await File.ReadAllBytesAsync(old);
        await store.PromoteAsync("v1.10.0");
        Assert.Equal("v1.10.0", await ResolveAsync(FetchingHost.Channel()));
        await File.WriteAllBytesAsync(old, timestamp);
        var refusal = Assert.IsType<TrustException>(await RefusalAsync(FetchingHost.Channel()));
        Assert.Equal(TrustFailure.Rollback, refusal.Failure);
    }

    [Fact]
    public async Task The_release_key_and_the_promote_key_must_agree()
    {
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.10.0"), 1);
        Assert.Contains("the release key signed", (await RefusalAsync(FetchingHost.Channel())).Message);
        await SignChannelAsync("v7.0.0", await DigestAsync("v1.10.0"), 1);
        Assert.Contains("did not sign", (await RefusalAsync(FetchingHost.Channel())).Message);
        // What was refused is not remembered.
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.2.0"), 1);
        Assert.Equal("v1.2.0", await ResolveAsync(FetchingHost.Channel()));
    }

    [Fact]
    public async Task A_bound_that_was_seen_stays()
    {
        await SignChannelAsync("v1.10.0", await DigestAsync("v1.10.0"), 1, "v1.10.0");
        Assert.Equal("v1.10.0", await ResolveAsync(FetchingHost.Channel()));
        await SignChannelAsync("v1.2.0", await DigestAsync("v1.2.0"), 2);
        Assert.Contains("below its min_release v1.10.0", (await RefusalAsync(FetchingHost.Channel())).Message);
        Assert.Contains("below its min_release v2.0.0", (await Assert.ThrowsAsync<OperatorException>(async () =>
        {
            await SignChannelAsync("v1.10.0", await DigestAsync("v1.10.0"), 3, "v2.0.0");
            await ResolveAsync(FetchingHost.Channel());
        })).Message);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("""{"shop/stable":null}""")]
    [InlineData("""{"shop/stable":{"Sequence":5,"Manifest":null,"MinimumRelease":null}}""")]
    [InlineData("""{"shop/stable":{"Sequence":5,"Manifest":"","MinimumRelease":"latest"}}""")]
    public async Task A_damaged_memory_of_channels_is_not_taken_for_an_empty_one(string content)
    {
        await store.PromoteAsync("v1.2.0");
        await File.WriteAllTextAsync(Path.Combine(host.Data, "channels"), content);
        Assert.Contains("is damaged", (await RefusalAsync(FetchingHost.Channel())).Message);
    }

    [Fact]
    public async Task A_store_that_is_gone_is_unreachable()
    {
        await ResolveAsync(FetchingHost.Range("*"));
        Directory.Move(store.Root, store.Root + "-gone");
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAnyAsync<OperatorException>(() => ResolveAsync(FetchingHost.Range("*")))).Code);
        Directory.CreateDirectory(store.Root);   // as a mount that did not happen
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAnyAsync<OperatorException>(() => ResolveAsync(FetchingHost.Range("*")))).Code);
        Directory.Delete(store.Root);
        Directory.Move(store.Root + "-gone", store.Root);
        Assert.Equal("2.1.0", await ResolveAsync(FetchingHost.Range("*")));
    }
}

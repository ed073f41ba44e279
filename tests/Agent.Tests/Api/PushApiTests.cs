using System.Net;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Cli;
using Agent.Cli.Hosts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Daemon.Releases;
using Agent.Protos.Access;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Artifacts.Stores;
using Agent.Tests.Fakes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Api;

/// <summary>Pushes over the real transport, from agentctl's side to the host's disk; the engine is that of a simulated world.</summary>
public sealed class PushApiTests : IAsyncLifetime
{
    private readonly World world = World.New();
    private PublishedStore published = null!;
    private WebApplication? app;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Data => published.Scratch["host"];

    private string SocketPath => Path.Combine(Data, "agentd.sock");

    private string Pushed => Path.Combine(Data, "pushed/shop");

    public async ValueTask InitializeAsync()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may push: run the tests as root");
        published = await PublishedStore.CreateAsync();
        published.Scratch.MakeDirectory("host");
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.AddAgentApi(world.Configuration.Agent with { Socket = SocketPath, Data = Data, Listener = new ListenerOptions(new IPEndPoint(IPAddress.Loopback, 0)) });
        builder.Services.AddSingleton<IDisk, Disk>().AddSingleton(TimeProvider.System).AddSingleton<Agent.Daemon.Configuration.IConfiguration>(world.Configuration)
            .AddSingleton(world.Engine)
            .AddSingleton(new InstalledReleases(new Disk(), Path.Combine(Data, "srv")))
            .AddSingleton(new TrustClient(new NoStore(), new Disk(), Path.Combine(Data, "trust"), TimeProvider.System))
            .AddSingleton(services => new PushedReleases(
                services.GetRequiredService<TrustClient>(), new Disk(), Data, (_, _) => false, TimeProvider.System, services.GetRequiredService<ILogger<PushedReleases>>()));
        app = builder.Build().MapAgentApi();
        await app.StartAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }
        world.Dispose();
        published?.Dispose();
    }

    [Fact]
    public async Task Brings_a_release_from_the_callers_store_and_then_only_what_changed()
    {
        Pin();
        byte[] program = PublishedStore.Noise(3_000_000, 1);
        await published.PublishAsync("v1.0.0", ("bin/shop", program), ("note", "one"u8.ToArray()));
        JsonElement first = await PushAsync("v1.0.0");
        Assert.InRange(first.GetProperty("received_bytes").GetInt64(), program.Length, program.Length + 100_000);
        Assert.Equal("v1.0.0", first.GetProperty("version").GetString());

        await published.PublishAsync("v1.0.1", ("bin/shop", program), ("note", "two"u8.ToArray()));
        JsonElement second = await PushAsync("v1.0.1");
        Assert.InRange(second.GetProperty("received_bytes").GetInt64(), 1, 20_000);

        PushedReleases pushed = app!.Services.GetRequiredService<PushedReleases>();
        PushedRelease release = pushed.Find(PublishedStore.Shop, new Digest(second.GetProperty("digest").GetString()!))!;
        Assert.Equal(("v1.0.1", false, "uid 0 (root)"), (release.Id.Version.Text, release.Unsigned, release.By));
        Fetching.FetchingHost.AssertWhole(pushed.Fetch(release.Id, Cancel)!, ("bin/shop", program), ("note", "two"u8.ToArray()));
        Assert.Null(world.Engine.State(World.Shop).Unsigned);
        AuditEntry record = app.Services.GetRequiredService<AuditLog>().Read(1).Single();
        Assert.Equal(("push v1.0.1", "shop", false, $"v1.0.1 sha256:{release.Id.Digest.Short} is here"), (record.Wish, record.App, record.Refused, record.Outcome));
    }

    [Fact]
    public async Task Goes_over_TLS_for_who_is_deployer_there()
    {
        Pin();
        byte[] program = PublishedStore.Noise(3_000_000, 1);
        await published.PublishAsync("v1.0.0", ("bin/shop", program));
        var pushed = app!.Services.GetRequiredService<PushedReleases>();
        var address = new HostAddress.Tls("127.0.0.1", new Uri(app.Urls.Single(url => url.StartsWith("https", StringComparison.Ordinal))).Port);
        foreach ((string name, string role) in (List<(string, string)>)[("eve-laptop", "viewer"), ("ann-laptop", "deployer")])
            await AgentPairing.PairAsync(address, TlsRoom.Invite(app.Services, name, role), Machine(name), TimeProvider.System, Cancel);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => SendFromAsync("eve-laptop"));
        Assert.Equal((ExitCode.Refused, 0), (refused.Code, Directory.Exists(Pushed) ? Directory.GetFileSystemEntries(Pushed).Length : 0));
        V1.PushDone done = await SendFromAsync("ann-laptop");
        Assert.InRange(done.Received, program.Length, program.Length + 100_000);
        PushedRelease release = pushed.Find(PublishedStore.Shop, new Digest(done.Digest["sha256:".Length..]))!;
        Assert.Equal(("v1.0.0", "ann-laptop (tls)"), (release.Id.Version.Text, release.By));
        Fetching.FetchingHost.AssertWhole(pushed.Fetch(release.Id, Cancel)!, ("bin/shop", program));

        KeyFiles Machine(string name) => new(published.Scratch[name]);
        async Task<V1.PushDone> SendFromAsync(string name)
        {
            using var agent = new AgentConnection(new HostEntry("web1", address), new TlsDialer(address, null, Machine(name), TimeProvider.System, _ => null), TimeProvider.System);
            return await SendAsync(agent, published.Store, "v1.0.0");
        }
    }

    [Fact]
    public async Task Goes_on_where_a_push_was_cut()
    {
        Pin();
        byte[] program = PublishedStore.Noise(3_000_000, 1);
        await published.PublishAsync("v1.0.0", ("bin/shop", program), ("a", PublishedStore.Noise(200_000, 2)));
        var dying = new CountingStore(published.Store) { DiesAfter = 2_000_000 };
        var cut = await Assert.ThrowsAsync<OperatorException>(() => SendAsync(dying, "v1.0.0"));
        Assert.Equal(ExitCode.Unreachable, cut.Code);
        Assert.Single(Directory.GetFiles(Path.Combine(Pushed, "parts")));
        V1.PushDone done = await SendAsync(published.Store, "v1.0.0");
        Assert.InRange(done.Received, 1_000_000, 2_300_000);
        Assert.False(Directory.Exists(Path.Combine(Pushed, "parts")));
    }

    [Fact]
    public async Task A_caller_that_leaves_in_the_middle_leaves_room_for_the_next_one()
    {
        Pin();
        await published.PublishAsync("v1.0.0", ("bin/shop", PublishedStore.Noise(3_000_000, 1)));
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var leaving = new CountingStore(published.Store) { Around = stream => { leave.Cancel(); return stream; } };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => SendAsync(leaving, "v1.0.0", leave.Token));
        V1.PushDone? done = null;
        await Protos.Eventually.HoldsAsync(async () =>
        {
            try
            {
                done = await SendAsync(published.Store, "v1.0.0");
                return true;
            }
            catch (OperatorException e) when (e.Message.Contains("is being pushed to this host already, by uid 0 (root)", StringComparison.Ordinal))
            {
                return false;   // it has not noticed yet
            }
        });
        Assert.Equal("v1.0.0", done!.Version);
    }

    [Fact]
    public async Task One_push_of_an_app_at_a_time()
    {
        Pin();
        await published.PublishAsync("v1.0.0", ("bin/shop", PublishedStore.Noise(500_000, 1)));
        using var goOn = new SemaphoreSlim(0);
        using var begun = new SemaphoreSlim(0);
        var slow = new CountingStore(published.Store) { Around = stream => { begun.Release(); goOn.Wait(Cancel); return stream; } };
        Task<V1.PushDone> first = Task.Run(() => SendAsync(slow, "v1.0.0"), Cancel);
        await begun.WaitAsync(Cancel);
        var refused = await Assert.ThrowsAsync<OperatorException>(() => SendAsync(published.Store, "v1.0.0"));
        Assert.Equal((ExitCode.Refused, "shop is being pushed to this host already, by uid 0 (root)"), (refused.Code, refused.Message));
        goOn.Release(1000);
        Assert.Equal("v1.0.0", (await first).Version);
    }

    [Fact]
    public async Task Nothing_older_than_what_was_seen_can_be_pushed()
    {
        Pin();
        await published.PublishAsync("v1.0.0", ("bin/shop", "one"u8.ToArray()));
        string old = published.Scratch["old"];
        Copy(published.Root, old);
        await published.PublishAsync("v1.1.0", ("bin/shop", "two"u8.ToArray()));
        await PushAsync("v1.1.0");
        (int exit, string text) = await RunAsync("push", "v1.0.0", "--app", "shop", "--store", old);
        Assert.Equal(5, exit);
        Assert.Contains("rollback", text, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetFiles(Pushed, "*.json"), record => File.ReadAllText(record).Contains("v1.0.0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_a_pinned_root_nothing_can_be_verified()
    {
        await published.PublishAsync("v1.0.0", ("bin/shop", "one"u8.ToArray()));
        (int exit, string text) = await RunAsync("push", "v1.0.0", "--app", "shop", "--store", published.Root);
        Assert.Equal(5, exit);
        Assert.Contains("no root of trust is pinned on this host", text, StringComparison.Ordinal);
        Assert.Contains("/etc/agentd/", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_that_the_callers_store_does_not_have_is_told()
    {
        Pin();
        await published.PublishAsync("v1.0.0", ("bin/shop", "one"u8.ToArray()));
        (int exit, string text) = await RunAsync("push", "v9.0.0", "--app", "shop", "--store", published.Root);
        Assert.Equal((2, true), (exit, text.StartsWith("error: the store that you push from has no shop v9.0.0\n", StringComparison.Ordinal)));
        Assert.False(Directory.Exists(Pushed));
    }

    [Fact]
    public async Task A_path_is_published_to_the_store_and_pushed_from_there()
    {
        Pin();
        string keys = published.Scratch["keys.json"];
        published.Keys.Write(new Disk(), keys);
        string tree = published.Tree(("bin/shop", "one"u8.ToArray()));
        (int exit, string text) = await RunAsync("push", tree, "--app", "shop", "--version", "v2.0.0", "--store", published.Root, "--key-file", keys);
        Assert.True(exit == 0, text);
        Assert.Matches("^shop  v2.0.0  pushed: .* sent  sha256:[0-9a-f]{64}\n$", text);
        Assert.Contains("v2.0.0", await published.ListingAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nobody", "this host takes no release of shop without signatures")]
    [InlineData("another app", "this host takes no release of shop without signatures")]
    [InlineData("somebody else", "uid 0 (root) may not bring releases of shop here without signatures")]
    public async Task Without_the_operators_leave_nothing_unsigned_is_taken(string let, string told)
    {
        Let(let switch { "nobody" => null, "another app" => new UnsignedPushOptions(["blog"], ["root"]), _ => new UnsignedPushOptions(["shop"], ["ann"]) });
        (int exit, string text) = await RunAsync("push", published.Tree(("bin/shop", "one"u8.ToArray())), "--app", "shop", "--unsigned");
        Assert.Equal(5, exit);
        Assert.StartsWith($"error: {told}\n", text, StringComparison.Ordinal);
        Assert.Null(world.Engine.State(World.Shop).Unsigned);
        Assert.True(app!.Services.GetRequiredService<AuditLog>().Read(1).Single().Refused);
        Assert.False(Directory.Exists(Pushed));
    }

    [Fact]
    public async Task An_unsigned_build_is_remembered_for_ever()
    {
        Let(new UnsignedPushOptions(["shop"], ["root"]));
        (int exit, string text) = await RunAsync("push", published.Tree(("bin/shop", "one"u8.ToArray())), "--app", "shop", "--unsigned", "--version", "v0.1.0", "-o", "json");
        Assert.True(exit == 0, text);
        JsonElement first = JsonDocument.Parse(text).RootElement;
        Assert.True(first.GetProperty("unsigned").GetBoolean());
        Assert.Equal(0, (await RunAsync("push", published.Tree(("bin/shop", "two"u8.ToArray())), "--app", "shop", "--unsigned")).Exit);
        Assert.Equal(("v0.1.0", "uid 0 (root)"), (world.Engine.State(World.Shop).Unsigned!.Version, world.Engine.State(World.Shop).Unsigned!.By));
        Assert.True(app!.Services.GetRequiredService<PushedReleases>().Find(PublishedStore.Shop, new Digest(first.GetProperty("digest").GetString()!))!.Unsigned);
    }

    [Fact]
    public async Task An_unsigned_manifest_goes_through_every_check_but_the_signature()
    {
        Let(new UnsignedPushOptions(["shop"], ["root"]));
        string evil = published.Scratch.MakeDirectory("evil");
        string json = """{"app":"shop","entries":[{"link":"out","target":"../../etc"}],"format":"agentd-manifest-1","packs":[],"version":"v1.0.0"}""";
        using (var stored = new FileStream(Path.Combine(evil, "manifest"), FileMode.CreateNew))
        using (var plain = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)))
            Agent.Artifacts.Packs.Brotli.Compress(plain, stored, 5, Cancel);
        var refused = await Assert.ThrowsAsync<OperatorException>(() => SendAsync(new DirectoryStore(evil, new Disk(), TimeProvider.System), "v1.0.0", unsigned: true));
        Assert.Equal(ExitCode.Refused, refused.Code);
        Assert.Contains("is not safe", refused.Message, StringComparison.Ordinal);
        Assert.Null(world.Engine.State(World.Shop).Unsigned);
        Assert.False(Directory.Exists(Pushed));
    }

    private void Pin() => app!.Services.GetRequiredService<TrustClient>().Init(published.Keys.Root);

    private void Let(UnsignedPushOptions? options) => world.Configuration.Agent = world.Configuration.Agent with { UnsignedPush = options };

    private async Task<V1.PushDone> SendAsync(IStoreReader store, string version, CancellationToken? cancellationToken = null, bool unsigned = false)
    {
        using var agent = new AgentConnection(SocketPath, TimeProvider.System);
        return await SendAsync(agent, store, version, cancellationToken, unsigned);
    }

    private async Task<V1.PushDone> SendAsync(AgentConnection agent, IStoreReader store, string version, CancellationToken? cancellationToken = null, bool unsigned = false)
    {
        var sender = new PushSender(store, ["metadata/", "targets/", "blobs/sha256/", "manifest"], published.Scratch.MakeDirectory($"sent-{Guid.NewGuid():N}"));
        return await agent.PushAsync(sender, new V1.PushStart { App = "shop", Version = version, Unsigned = unsigned }, new Progress<V1.PushProgress>(), cancellationToken ?? Cancel);
    }

    private async Task<JsonElement> PushAsync(string version)
    {
        (int exit, string text) = await RunAsync("push", version, "--app", "shop", "--store", published.Root, "-o", "json");
        Assert.True(exit == 0, text);
        return JsonDocument.Parse(text).RootElement;
    }

    private async Task<(int Exit, string Text)> RunAsync(params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync([.. words, "--socket", SocketPath], text, text, Cancel);
        return (exit, text.ToString());
    }

    private static void Copy(string from, string to)
    {
        foreach (string file in Directory.GetFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }
}

using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using Agent.Artifacts;
using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

/// <summary>A store with the app <c>shop</c> and its release v1.0.0, its publisher, and hosts.</summary>
internal sealed class TrustWorld
{
    public static readonly AppName Shop = new("shop");

    public const string V1 = "shop/releases/v1.0.0.json", V2 = "shop/releases/v1.1.0.json";

    public ManualTime Time { get; } = new();

    public MemoryStore Store { get; private set; } = new();

    public KeyFile Keys { get; private set; } = null!;

    /// <summary>Disk of the one host that remembers.</summary>
    public MemoryDisk HostDisk { get; } = new();

    public static async Task<TrustWorld> CreateAsync(RoleLives? lives = null)
    {
        var world = new TrustWorld();
        world.Keys = KeyFile.Generate(lives ?? RoleLives.Default, world.Time).WithApp(Shop);
        using TrustRepository repository = world.Repository();
        await repository.InitAsync(default);
        await repository.AddAppAsync(Shop, default);
        await world.PublishAsync(V1, "one");
        return world;
    }

    public TrustRepository Repository(MemoryStore? store = null, KeyFile? keys = null) => new(store ?? Store, keys ?? Keys, new MemoryDisk(), "/publisher", Time);

    public async Task<bool> PublishAsync(string path, string content, MemoryStore? store = null, KeyFile? keys = null)
    {
        using TrustRepository repository = Repository(store, keys);
        TargetInfo target = await repository.PutTargetAsync(path, Encoding.UTF8.GetBytes(content), null, default);
        return await repository.PublishAsync(path.Contains("/channels/") ? "shop-channels" : "shop", (_, _) => Task.FromResult<IReadOnlyList<TargetInfo>>([target]), default);
    }

    /// <summary>The host that remembers, or with a disk of its own a fresh one; pinned to the store's first root.</summary>
    public TrustClient Host(MemoryDisk? disk = null)
    {
        var client = new TrustClient(Store, disk ?? HostDisk, "/trust", Time);
        client.Init(Keys.Root);
        return client;
    }

    public async Task<string?> ReadAsync(string path, MemoryDisk? disk = null)
    {
        using TrustClient host = Host(disk);
        await host.RefreshAsync(default);
        return await host.FindTargetAsync(path, default) is { } target ? Encoding.UTF8.GetString(await host.ReadTargetAsync(target, 1000, default)) : null;
    }

    public async Task<TrustException> RefusedAsync(string path = V1, MemoryDisk? disk = null) => await Assert.ThrowsAsync<TrustException>(() => ReadAsync(path, disk));

    /// <summary>Puts the store back to (or forward to) another state.</summary>
    public void Swap(MemoryStore store) => Store = store;

    public SigningKey Key(string purpose) => Keys.Find(purpose)!;

    /// <summary>The content of a metadata file in the store.</summary>
    public JsonObject Signed(string name) => (JsonObject)JsonNode.Parse(Store.Objects[$"metadata/{name}"])!["signed"]!.DeepClone();

    /// <summary>Signs content and overwrites a metadata file with it, as whoever holds these keys and the store can.</summary>
    public byte[] Forge(string name, JsonObject signed, params SigningKey[] keys)
    {
        byte[] file = MetadataWriter.Sign(signed, keys);
        Store.Objects[$"metadata/{name}"] = file;
        return file;
    }

    /// <summary>Brings out a targets role, named by a new snapshot and timestamp, whatever is wrong with it.</summary>
    public void ForgeRole(string role, JsonObject signed, SigningKey[] keys, bool inSnapshot = true)
    {
        JsonObject timestamp = Signed("timestamp.json");
        long snapshotVersion = (long)timestamp["meta"]!["snapshot.json"]!["version"]!;
        JsonObject snapshot = Signed($"{snapshotVersion}.snapshot.json");
        long version = (long?)snapshot["meta"]![$"{role}.json"]?["version"] + 1 ?? 1;
        signed["version"] = version;
        byte[] file = Forge($"{Uri.EscapeDataString(role)}.json".Insert(0, $"{version}."), signed, keys);
        if (inSnapshot) MetadataWriter.Name(snapshot, role, version, file);
        ForgeSnapshot(snapshot, snapshotVersion + 1);
    }

    public void ForgeSnapshot(JsonObject snapshot, long version)
    {
        snapshot["version"] = version;
        byte[] file = Forge($"{version}.snapshot.json", snapshot, Key("online"));
        JsonObject timestamp = Signed("timestamp.json");
        timestamp["version"] = (long)timestamp["version"]! + 1;
        MetadataWriter.Name(timestamp, "snapshot", version, file);
        Forge("timestamp.json", timestamp, Key("online"));
    }

    /// <summary>Rotates the root: the next version, changed as asked.</summary>
    public void Rotate(Action<JsonObject> change, params SigningKey[] keys)
    {
        long version = Store.Objects.Keys.Where(path => path.EndsWith(".root.json", StringComparison.Ordinal)).Max(path => long.Parse(path["metadata/".Length..].Split('.')[0]));
        JsonObject root = Signed($"{version}.root.json");
        root["version"] = version + 1;
        change(root);
        Forge($"{version + 1}.root.json", root, keys);
    }

    public static void GiveRole(JsonObject root, string role, int threshold, params SigningKey[] keys)
    {
        foreach (SigningKey key in keys) root["keys"]![key.KeyId] = key.Public.DeepClone();
        root["roles"]![role] = new JsonObject { ["keyids"] = new JsonArray([.. keys.Select(key => (JsonNode)key.KeyId)]), ["threshold"] = threshold };
    }

    public static ImmutableArray<SigningKey> MakeKeys(int count) => [.. Enumerable.Range(0, count).Select(i => SigningKey.Generate($"key {i}"))];
}

using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Trust;

public class RootTests
{
    [Theory]
    [InlineData(2, 2, 2, true)]
    [InlineData(2, 2, 1, false)]   // the new root's own threshold is missed
    [InlineData(2, 0, 2, false)]   // nobody of the old root signed
    [InlineData(1, 1, 1, true)]
    public async Task A_root_needs_the_old_keys_and_its_own(int threshold, int byOld, int byNew, bool accepted)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        ImmutableArray<SigningKey> keys = TrustWorld.MakeKeys(3), next = TrustWorld.MakeKeys(3);
        world.Rotate(root => TrustWorld.GiveRole(root, "root", threshold, [.. keys]), [world.Key("root"), .. keys[..threshold]]);
        world.Rotate(root => TrustWorld.GiveRole(root, "root", threshold, [.. next]), [.. keys[..byOld], .. next[..byNew]]);
        if (accepted) Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
        else Assert.Equal(TrustFailure.Signature, (await world.RefusedAsync()).Failure);
        // What was accepted on the way stays accepted.
        Assert.Equal(world.Store.Objects[$"metadata/{(accepted ? 3 : 2)}.root.json"], world.HostDisk.Files["/trust/root.json"]);
    }

    [Fact]
    public async Task One_key_counts_once_under_one_name_or_two()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        SigningKey online = world.Key("online");
        byte[] file = world.Store.Objects["metadata/timestamp.json"];
        JsonNode signature = JsonNode.Parse(file)!["signatures"]![0]!;

        // Two ids for the same key, threshold 2, and a signature under each.
        world.Rotate(root =>
        {
            root["keys"]!["alias"] = online.Public.DeepClone();
            root["roles"]!["timestamp"] = new JsonObject { ["keyids"] = new JsonArray(online.KeyId, "alias"), ["threshold"] = 2 };
        }, world.Key("root"));
        JsonNode twice = JsonNode.Parse(file)!;
        JsonNode alias = signature.DeepClone();
        alias["keyid"] = "alias";
        twice["signatures"]!.AsArray().Add(alias);
        world.Store.Objects["metadata/timestamp.json"] = System.Text.Encoding.UTF8.GetBytes(twice.ToJsonString());
        Assert.Equal(TrustFailure.Signature, (await world.RefusedAsync()).Failure);

        // The same id twice is not even metadata.
        twice["signatures"]![1]!["keyid"] = online.KeyId;
        world.Store.Objects["metadata/timestamp.json"] = System.Text.Encoding.UTF8.GetBytes(twice.ToJsonString());
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync()).Failure);
    }

    [Fact]
    public async Task A_duplicate_key_id_in_a_role_counts_once()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        SigningKey online = world.Key("online");
        world.Rotate(root => root["roles"]!["timestamp"] = new JsonObject { ["keyids"] = new JsonArray(online.KeyId, online.KeyId), ["threshold"] = 2 }, world.Key("root"));
        Assert.Equal(TrustFailure.Signature, (await world.RefusedAsync()).Failure);
    }

    [Fact]
    public async Task Key_ids_are_names_and_unknown_fields_and_key_kinds_survive()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        SigningKey fresh = SigningKey.Generate("online");
        world.Rotate(root =>
        {
            root["keys"]!["any name at all"] = fresh.Public.DeepClone();
            root["keys"]!["from the future"] = new JsonObject { ["keytype"] = "lattice", ["scheme"] = "lattice-9", ["keyval"] = new JsonObject { ["matrix"] = new JsonArray(1, 2) } };
            root["roles"]!["timestamp"]!["keyids"]!.AsArray().Add("from the future");
            root["x-somebody"] = new JsonObject { ["é\n\"\\"] = new JsonArray(1, null, true) };
        }, world.Key("root"));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }

    [Fact]
    public async Task Refuses_a_root_that_skips_a_version()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Rotate(root => root["version"] = 3, world.Key("root"));
        Assert.Equal(TrustFailure.Rollback, (await world.RefusedAsync()).Failure);
    }

    [Fact]
    public async Task Follows_a_chain_of_roots_256_at_a_time()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        for (int i = 0; i < 258; i++) world.Rotate(_ => { }, world.Key("root"));
        await world.ReadAsync(TrustWorld.V1);
        Assert.Equal(world.Store.Objects["metadata/257.root.json"], world.HostDisk.Files["/trust/root.json"]);
        await world.ReadAsync(TrustWorld.V1);
        Assert.Equal(world.Store.Objects["metadata/259.root.json"], world.HostDisk.Files["/trust/root.json"]);
    }

    [Fact]
    public async Task Passes_over_an_expired_root_on_the_way_and_not_at_the_end()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Rotate(root => root["expires"] = "2020-01-01T00:00:00Z", world.Key("root"));
        Assert.Equal(TrustFailure.Stale, (await world.RefusedAsync()).Failure);
        world.Rotate(root => root["expires"] = "2030-01-01T00:00:00Z", world.Key("root"));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }

    // The way out after a stolen online key ran the versions up.
    [Fact]
    public async Task New_online_keys_make_lower_versions_acceptable_again()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        JsonObject good = world.Signed("timestamp.json"), snapshot = world.Signed("3.snapshot.json"), runUp = world.Signed("3.snapshot.json");
        world.ForgeSnapshot(runUp, 1_000_000);
        await world.ReadAsync(TrustWorld.V1);

        SigningKey fresh = SigningKey.Generate("online");
        world.Rotate(root =>
        {
            TrustWorld.GiveRole(root, "timestamp", 1, fresh);
            TrustWorld.GiveRole(root, "snapshot", 1, fresh);
        }, world.Key("root"));
        Assert.Equal(TrustFailure.Signature, (await world.RefusedAsync()).Failure);
        MetadataWriter.Name(good, "snapshot", 3, world.Forge("3.snapshot.json", snapshot, fresh));
        world.Forge("timestamp.json", good, fresh);
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }
}

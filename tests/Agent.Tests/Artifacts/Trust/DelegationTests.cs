using System.Text.Json.Nodes;
using Agent.Artifacts;
using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Trust;

public class DelegationTests
{
    private readonly SigningKey key = SigningKey.Generate("any");

    [Fact]
    public async Task The_first_role_that_lists_a_target_wins_and_depth_comes_first()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        Role(world, "c", "from c", [], "x");
        Role(world, "a", null, [Delegate("c", "*")]);
        Role(world, "b", "from b", [], "x", "y");
        Top(world, Delegate("a", "*"), Delegate("b", "*"));
        Assert.Equal("from c", await CustomAsync(world, "x"));
        Assert.Equal("from b", await CustomAsync(world, "y"));
        Assert.Equal(["x", "y"], await ListAsync(world));
    }

    [Fact]
    public async Task A_terminating_delegation_ends_the_search()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        Role(world, "a", null, []);
        Role(world, "b", "from b", [], "x");
        Top(world, Delegate("a", "*", terminating: true), Delegate("b", "*"));
        Assert.Null(await CustomAsync(world, "x"));
        Assert.Empty(await ListAsync(world));
    }

    [Fact]
    public async Task Hashed_bins_hold_what_hashes_into_them()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        string bin = Digest.Of("x"u8).Hex[..2];
        Role(world, "bin", "from the bin", [], "x", "y");
        JsonObject delegation = Delegate("bin", "");
        delegation.Remove("paths");
        delegation["path_hash_prefixes"] = new JsonArray(bin);
        Top(world, delegation);
        Assert.Equal("from the bin", await CustomAsync(world, "x"));
        Assert.NotEqual(bin, Digest.Of("y"u8).Hex[..2]);
        Assert.Null(await CustomAsync(world, "y"));
        Assert.Equal(["x"], await ListAsync(world));
    }

    [Fact]
    public async Task A_cycle_ends_and_no_more_than_32_roles_are_visited()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        for (int i = 0; i < 40; i++) Role(world, $"r{i}", $"from {i}", [Delegate("r0", "*"), Delegate($"r{i + 1}", "*")], $"t{i}");
        Top(world, Delegate("r0", "*"));
        Assert.Equal("from 31", await CustomAsync(world, "t31"));
        Assert.Null(await CustomAsync(world, "t32"));
        Assert.Equal(32, (await ListAsync(world)).Count);
    }

    [Fact]
    public async Task A_role_believed_through_one_delegator_is_not_through_another()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        SigningKey other = SigningKey.Generate("other");
        Role(world, "shared", "content", [], "a", "b");
        Role(world, "by-a", null, [Delegate("shared", "a")]);
        Role(world, "by-b", null, [Delegate("shared", "b", other)], otherKey: other);
        Top(world, Delegate("by-a", "a"), Delegate("by-b", "b"));
        using TrustClient host = world.Host();
        Assert.NotNull(await host.FindTargetAsync("a", default));
        Assert.Equal(TrustFailure.Signature, (await Assert.ThrowsAsync<TrustException>(() => host.FindTargetAsync("b", default))).Failure);
        Assert.NotNull(await host.FindTargetAsync("a", default));
    }

    [Fact]
    public async Task Role_names_are_quoted_in_the_store_and_on_this_disk()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        Role(world, "../up/.", "quoted", [], "x");
        Top(world, Delegate("../up/.", "*"));
        Assert.Equal("quoted", await CustomAsync(world, "x"));
        Assert.Contains("/trust/..%2Fup%2F..json", world.HostDisk.Files.Keys);
    }

    [Theory]
    [InlineData("root")]
    [InlineData("timestamp")]
    [InlineData("")]
    public async Task Refuses_a_delegation_to_a_name_that_is_taken(string name)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        Top(world, Delegate(name, "*"));
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync("x")).Failure);
    }

    [Fact]
    public async Task A_role_that_the_snapshot_does_not_list_is_not_even_asked_for()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        Top(world, Delegate("ghost", "*"));
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync("x")).Failure);
        Assert.DoesNotContain(world.Store.Requests, path => path.Contains("ghost"));
    }

    private JsonObject Delegate(string role, string pattern, SigningKey? by = null, bool terminating = false) => new()
    {
        ["name"] = role,
        ["keyids"] = new JsonArray((by ?? key).KeyId),
        ["threshold"] = 1,
        ["terminating"] = terminating,
        ["paths"] = new JsonArray(pattern),
    };

    private void Role(TrustWorld world, string name, string? custom, JsonObject[] delegations, params string[] targets) => Role(world, name, custom, delegations, null, targets);

    private void Role(TrustWorld world, string name, string? custom, JsonObject[] delegations, SigningKey? otherKey, params string[] targets)
    {
        JsonObject signed = MetadataWriter.Renew(MetadataWriter.NewTargets(), TimeSpan.FromDays(90), world.Time.GetUtcNow());
        foreach (string target in targets) MetadataWriter.List(signed, new TargetInfo(target, 0, Digest.Of([]), new JsonObject { ["by"] = custom }));
        if (delegations.Length > 0) signed["delegations"] = Delegations(delegations, otherKey);
        world.ForgeRole(name, signed, [key]);
    }

    private void Top(TrustWorld world, params JsonObject[] delegations)
    {
        JsonObject targets = world.Signed("2.targets.json");
        targets["delegations"] = Delegations(delegations, null);
        world.ForgeRole("targets", targets, [world.Key("root")]);
    }

    private JsonObject Delegations(JsonObject[] roles, SigningKey? otherKey)
    {
        var keys = new JsonObject { [key.KeyId] = key.Public.DeepClone() };
        if (otherKey is not null) keys[otherKey.KeyId] = otherKey.Public.DeepClone();
        return new JsonObject { ["keys"] = keys, ["roles"] = new JsonArray([.. roles]) };
    }

    private static async Task<string?> CustomAsync(TrustWorld world, string path)
    {
        using TrustClient host = world.Host();
        await host.RefreshAsync(default);
        return (string?)(await host.FindTargetAsync(path, default))?.Custom!["by"];
    }

    private static async Task<IReadOnlyList<string>> ListAsync(TrustWorld world)
    {
        using TrustClient host = world.Host();
        return [.. (await host.ListTargetsAsync("", default)).Select(target => target.Path)];
    }
}

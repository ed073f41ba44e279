using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

public class TrustRepositoryTests
{
    [Fact]
    public async Task A_new_store_warns_of_a_single_root_key_and_is_not_made_twice()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository again = world.Repository();
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => again.InitAsync(default))).Code);
        using TrustRepository fresh = world.Repository(new MemoryStore());
        Assert.Contains("one key alone", Assert.Single(await fresh.InitAsync(default)));
        KeyFile others = KeyFile.Generate(RoleLives.Default, world.Time);
        using TrustRepository stranger = world.Repository(keys: others);
        await Assert.ThrowsAnyAsync<OperatorException>(() => stranger.InitAsync(default));
    }

    [Fact]
    public async Task A_store_that_somebody_else_begun_is_refused()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        var begun = new MemoryStore { WritesLeft = 1 };
        using TrustRepository first = world.Repository(begun);
        await Assert.ThrowsAsync<OperatorException>(() => first.InitAsync(default));
        begun.WritesLeft = null;
        using TrustRepository stranger = world.Repository(begun, KeyFile.Generate(RoleLives.Default, world.Time));
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => stranger.InitAsync(default))).Code);
        await first.InitAsync(default);
    }

    [Fact]
    public async Task Apps_are_added_once_and_listed()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository repository = world.Repository(keys: world.Keys.WithApp(new AppName("bank")));
        Assert.False(await repository.AddAppAsync(TrustWorld.Shop, default));
        Assert.True(await repository.AddAppAsync(new AppName("bank"), default));
        Assert.Equal([new AppName("bank"), TrustWorld.Shop], await repository.AppsAsync(default));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }

    [Theory]
    [InlineData("root")]
    [InlineData("targets")]
    [InlineData("shop-channels")]
    public async Task Refuses_an_app_whose_name_is_a_role_of_somebody_else(string name)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository repository = world.Repository();
        Assert.Equal(ExitCode.Usage, (await Assert.ThrowsAsync<OperatorException>(() => repository.AddAppAsync(new AppName(name), default))).Code);
    }

    [Fact]
    public async Task A_key_file_may_hold_only_what_one_job_needs()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        KeyFile ci = world.Keys with { Keys = [world.Key("release shop"), world.Key("online")] };
        Assert.Same(ci, ci.WithApp(new AppName("bank")));
        Assert.True(await world.PublishAsync(TrustWorld.V2, "two", keys: ci));
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2));

        MemoryStore before = world.Store.Copy();
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => world.PublishAsync("shop/channels/stable.json", "{}", keys: ci))).Code);
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => world.PublishAsync("shop/releases/v3.0.0.json", "3", keys: ci with { Keys = [world.Key("release shop")] }))).Code);
        Assert.Equal(before.Objects.Keys.Where(IsMetadata).Order(), world.Store.Objects.Keys.Where(IsMetadata).Order());

        using TrustRepository repository = world.Repository(keys: ci);
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => repository.AddAppAsync(new AppName("bank"), default))).Code);
    }

    [Fact]
    public async Task Refuses_a_target_outside_the_role_and_a_role_that_is_not_there()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository repository = world.Repository();
        TargetInfo target = await repository.PutTargetAsync("bank/releases/v1.0.0.json", [1], null, default);
        foreach (string role in new[] { "shop", "bank" })
            Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => repository.PublishAsync(role, (_, _) => Task.FromResult<IReadOnlyList<TargetInfo>>([target]), default))).Code);
    }

    [Fact]
    public async Task A_change_that_refuses_or_has_nothing_leaves_no_trace()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository repository = world.Repository();
        MemoryStore before = world.Store.Copy();
        Assert.False(await repository.PublishAsync("shop", (present, _) =>
        {
            Assert.Equal([TrustWorld.V1], present.Keys);
            return Task.FromResult<IReadOnlyList<TargetInfo>>([]);
        }, default));
        await Assert.ThrowsAsync<OperatorException>(() => repository.PublishAsync("shop", (_, _) => throw new OperatorException(ExitCode.Refused, "other content", "new version"), default));
        Assert.Equal(before.Objects.Keys.Order(), world.Store.Objects.Keys.Order());
    }

    [Fact]
    public async Task An_init_interrupted_between_any_two_writes_can_be_run_again()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        for (int cut = 0; ; cut++)
        {
            var store = new MemoryStore { WritesLeft = cut };
            using TrustRepository repository = world.Repository(store);
            bool finished = true;
            try
            {
                await repository.InitAsync(default);
            }
            catch (OperatorException)
            {
                finished = false;
                store.WritesLeft = null;
                await repository.InitAsync(default);
            }
            store.WritesLeft = null;
            await repository.AddAppAsync(TrustWorld.Shop, default);
            await world.PublishAsync(TrustWorld.V1, "one", store);
            world.Swap(store);
            Assert.Equal("one", await world.ReadAsync(TrustWorld.V1, new MemoryDisk()));
            if (!finished) continue;
            Assert.Equal(4, cut);
            break;
        }
    }

    [Fact]
    public async Task A_publish_interrupted_between_any_two_writes_leaves_the_store_as_it_was_and_the_next_one_works()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        MemoryStore good = world.Store.Copy();
        for (int cut = 0; ; cut++)
        {
            MemoryStore store = good.Copy();
            store.WritesLeft = cut;
            world.Swap(store);
            bool finished = true;
            try
            {
                await world.PublishAsync(TrustWorld.V2, "interrupted");
            }
            catch (OperatorException)
            {
                finished = false;
            }
            store.WritesLeft = null;
            // Each host that sees the store now sees the one before or the one after, whole.
            Assert.Equal(finished ? "interrupted" : null, await world.ReadAsync(TrustWorld.V2, new MemoryDisk()));
            Assert.Equal("one", await world.ReadAsync(TrustWorld.V1, new MemoryDisk()));

            var seen = new MemoryDisk();
            await world.ReadAsync(TrustWorld.V1, seen);
            await world.PublishAsync("shop/releases/v1.2.0.json", "next");
            Assert.Equal("next", await world.ReadAsync("shop/releases/v1.2.0.json", seen));
            Assert.Equal("next", await world.ReadAsync("shop/releases/v1.2.0.json", new MemoryDisk()));
            Assert.Equal(finished ? "interrupted" : null, await world.ReadAsync(TrustWorld.V2, seen));
            if (!finished) continue;
            Assert.Equal(4, cut);   // target, role, snapshot, timestamp
            break;
        }
    }

    [Fact]
    public async Task A_leftover_of_any_length_under_the_next_number_is_passed_over()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.Objects["metadata/3.shop.json"] = [1];
        world.Store.Objects["metadata/4.shop.json"] = new byte[1 << 20];
        world.Store.Objects["metadata/4.snapshot.json"] = [];
        await world.PublishAsync(TrustWorld.V2, "two");
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2));
        Assert.Equal(5, (int)world.Signed("5.snapshot.json")["meta"]!["shop.json"]!["version"]!);
    }

    [Fact]
    public async Task Who_loses_a_race_starts_again_and_neither_publish_is_lost()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.BeforeReplace = () => world.PublishAsync("shop/channels/stable.json", "winner");
        await world.PublishAsync(TrustWorld.V2, "loser");
        Assert.Equal("winner", await world.ReadAsync("shop/channels/stable.json"));
        Assert.Equal("loser", await world.ReadAsync(TrustWorld.V2));
        // The role was not part of the race, so it was uploaded once.
        Assert.False(world.Store.Objects.ContainsKey("metadata/4.shop.json"));

        world.Store.BeforeReplace = () => world.PublishAsync("shop/releases/v1.2.0.json", "winner");
        await world.PublishAsync("shop/releases/v1.3.0.json", "loser");
        Assert.Equal("winner", await world.ReadAsync("shop/releases/v1.2.0.json"));
        Assert.Equal("loser", await world.ReadAsync("shop/releases/v1.3.0.json"));
    }

    [Fact]
    public async Task The_change_decides_again_on_what_the_winner_published()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.BeforeReplace = () => world.PublishAsync(TrustWorld.V2, "winner");
        using TrustRepository repository = world.Repository();
        TargetInfo mine = await repository.PutTargetAsync(TrustWorld.V2, "mine"u8.ToArray(), null, default);
        await Assert.ThrowsAsync<OperatorException>(() => repository.PublishAsync("shop", (present, _) => present.ContainsKey(TrustWorld.V2)
            ? throw new OperatorException(ExitCode.Refused, "already published with other content", "use a new version")
            : Task.FromResult<IReadOnlyList<TargetInfo>>([mine]), default));
        Assert.Equal("winner", await world.ReadAsync(TrustWorld.V2));
    }

    [Fact]
    public async Task Two_publishers_at_once_both_get_through()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => world.PublishAsync($"shop/releases/v2.0.{i}.json", $"{i}"))));
        for (int i = 0; i < 8; i++) Assert.Equal($"{i}", await world.ReadAsync($"shop/releases/v2.0.{i}.json"));
    }

    [Fact]
    public async Task A_publisher_builds_on_nothing_that_it_cannot_verify()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.ForgeRole("shop", world.Signed("2.shop.json"), [world.Key("online")]);
        Assert.Equal(TrustFailure.Signature, (await Assert.ThrowsAsync<TrustException>(() => world.PublishAsync(TrustWorld.V2, "two"))).Failure);
    }

    [Fact]
    public async Task A_store_that_was_put_back_is_not_published_to_by_who_remembers()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        MemoryStore before = world.Store.Copy();
        var memory = new MemoryDisk();
        await world.PublishAsync(TrustWorld.V2, "two");
        using (var repository = new TrustRepository(world.Store, world.Keys, memory, "/publisher", world.Time)) await repository.AppsAsync(default);
        using var later = new TrustRepository(before, world.Keys, memory, "/publisher", world.Time);
        Assert.Equal(TrustFailure.Rollback, (await Assert.ThrowsAsync<TrustException>(() => later.RefreshAsync(default))).Failure);
    }

    [Fact]
    public async Task Refresh_renews_what_is_past_half_of_its_life_and_publish_works_on_an_expired_store()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustRepository repository = world.Repository();
        Assert.Equal(["timestamp", "snapshot"], await repository.RefreshAsync(default));
        world.Time.Advance(TimeSpan.FromDays(16));
        Assert.Equal(["timestamp", "snapshot", "shop-channels"], await repository.RefreshAsync(default));
        world.Time.Advance(TimeSpan.FromDays(170));
        Assert.True(await world.PublishAsync(TrustWorld.V2, "two"));
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2, new MemoryDisk()));
        Assert.Equal(["root", "timestamp", "snapshot", "targets", "shop-channels"], await repository.RefreshAsync(default));
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2, new MemoryDisk()));
        Assert.True(world.Store.Objects.ContainsKey("metadata/2.root.json"));
    }

    [Fact]
    public async Task Fields_that_others_added_survive_a_publish()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        JsonObject role = world.Signed("2.shop.json");
        role["x-somebody"] = new JsonObject { ["kept"] = true };
        world.ForgeRole("shop", role, [world.Key("release shop")]);
        await world.PublishAsync(TrustWorld.V2, "two");
        Assert.True((bool)world.Signed("4.shop.json")["x-somebody"]!["kept"]!);
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2));
    }

    [Fact]
    public async Task Other_content_under_the_name_of_a_hash_is_refused()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.Objects[$"targets/shop/releases/{Digest.Of("two"u8)}.v1.1.0.json"] = [1, 2, 3];
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => world.PublishAsync(TrustWorld.V2, "two"))).Code);
    }

    private static bool IsMetadata(string path) => path.StartsWith("metadata/", StringComparison.Ordinal);
}

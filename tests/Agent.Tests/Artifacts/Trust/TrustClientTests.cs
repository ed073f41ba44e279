using System.Text;
using System.Text.Json.Nodes;
using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

public class TrustClientTests
{
    [Fact]
    public async Task Finds_lists_and_reads_what_the_publisher_signed()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.PublishAsync(TrustWorld.V2, "two");
        await world.PublishAsync("shop/channels/stable.json", "{}");
        using TrustClient host = world.Host();
        Assert.True(await host.RefreshAsync(default));
        Assert.Equal([TrustWorld.V1, TrustWorld.V2], (await host.ListTargetsAsync("shop/releases/", default)).Select(target => target.Path));
        TargetInfo target = (await host.FindTargetAsync(TrustWorld.V2, default))!;
        Assert.Equal((3L, Digest.Of("two"u8)), (target.Length, target.Sha256));
        Assert.Equal("two"u8.ToArray(), await host.ReadTargetAsync(target, 10, default));
        Assert.Null(await host.FindTargetAsync("shop/releases/v9.9.9.json", default));
        Assert.Empty(await host.ListTargetsAsync("other/releases/", default));
    }

    [Fact]
    public async Task Keeps_the_metadata_byte_for_byte_and_nothing_else_that_ends_in_json()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        Assert.Equal(
            ["root.json", "shop.json", "snapshot.json", "targets.json", "timestamp.json"],
            world.HostDisk.Files.Keys.Where(path => path.EndsWith(".json", StringComparison.Ordinal)).Select(path => path["/trust/".Length..]).Order(StringComparer.Ordinal));
        Assert.Equal(world.Store.Objects["metadata/timestamp.json"], world.HostDisk.Files["/trust/timestamp.json"]);
        Assert.Equal(world.Store.Objects["metadata/2.shop.json"], world.HostDisk.Files["/trust/shop.json"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_idle_poll_is_two_requests_and_writes_nothing(bool etags)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.GivesETags = etags;
        using TrustClient host = world.Host();
        await host.RefreshAsync(default);
        world.Store.Requests.Clear();
        world.HostDisk.EffectsLeft = 0;
        Assert.False(await host.RefreshAsync(default));
        Assert.Equal(["metadata/2.root.json", "metadata/timestamp.json"], world.Store.Requests);
        using TrustClient restarted = world.Host();
        Assert.False(await restarted.RefreshAsync(default));
        Assert.Equal(4, world.Store.Requests.Count);
    }

    [Fact]
    public async Task Nothing_is_believed_before_a_root_is_pinned_and_then_no_other()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using var unpinned = new TrustClient(world.Store, new MemoryDisk(), "/trust", world.Time);
        Assert.Equal(TrustFailure.Pinned, (await Assert.ThrowsAsync<TrustException>(() => unpinned.RefreshAsync(default))).Failure);

        using TrustClient host = world.Host();
        KeyFile other = KeyFile.Generate(RoleLives.Default, world.Time);
        Assert.Equal(TrustFailure.Pinned, Assert.Throws<TrustException>(() => host.Init(other.Root)).Failure);
        JsonObject unsigned = world.Signed("1.root.json");
        Assert.Equal(TrustFailure.Signature, Assert.Throws<TrustException>(() => unpinned.Init(MetadataWriter.Sign(unsigned, [world.Key("online")]))).Failure);
        Assert.Equal(TrustFailure.Length, Assert.Throws<TrustException>(() => unpinned.Init(new byte[513 * 1024])).Failure);
        host.Init(world.Keys.Root);
    }

    [Fact]
    public async Task The_pinned_root_may_be_given_again_after_a_rotation()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Rotate(_ => { }, world.Key("root"));
        await world.ReadAsync(TrustWorld.V1);
        using TrustClient host = world.Host();
        Assert.False(await host.RefreshAsync(default));
    }

    // Attack: arbitrary software, by whoever owns the store.
    [Fact]
    public async Task Refuses_changed_target_content()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        string place = world.Store.Objects.Keys.Single(path => path.StartsWith("targets/", StringComparison.Ordinal));
        foreach ((string content, TrustFailure failure) in new[] { ("One", TrustFailure.Hash), ("on", TrustFailure.Length), ("ones", TrustFailure.Length) })
        {
            world.Store.Objects[place] = Encoding.ASCII.GetBytes(content);
            Assert.Equal(failure, (await world.RefusedAsync()).Failure);
        }
        world.Store.Objects.TryRemove(place, out _);
        TrustException missing = await world.RefusedAsync();
        Assert.Equal((TrustFailure.Missing, ExitCode.Unreachable), (missing.Failure, missing.Code));
    }

    // Attack: the online key is stolen and with it the store.
    [Fact]
    public async Task Refuses_a_role_that_the_online_key_signed()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.ForgeRole("shop", world.Signed("2.shop.json"), [world.Key("online")]);
        TrustException refused = await world.RefusedAsync();
        Assert.Equal((TrustFailure.Signature, ExitCode.Refused), (refused.Failure, refused.Code));
    }

    // Attack: CI's release key is stolen.
    [Fact]
    public async Task The_release_key_signs_neither_channels_nor_another_app()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.ForgeRole("shop-channels", world.Signed("1.shop-channels.json"), [world.Key("release shop")]);
        Assert.Equal(TrustFailure.Signature, (await world.RefusedAsync("shop/channels/stable.json")).Failure);

        JsonObject greedy = world.Signed("2.shop.json");
        MetadataWriter.List(greedy, new TargetInfo("shop/channels/stable.json", 3, Digest.Of("bad"u8), null));
        MetadataWriter.List(greedy, new TargetInfo("bank/releases/v1.0.0.json", 3, Digest.Of("bad"u8), null));
        TrustWorld fresh = await TrustWorld.CreateAsync();
        JsonObject role = fresh.Signed("2.shop.json");
        role["targets"] = greedy["targets"]!.DeepClone();
        fresh.ForgeRole("shop", role, [fresh.Key("release shop")]);
        Assert.Null(await fresh.ReadAsync("shop/channels/stable.json"));
        Assert.Null(await fresh.ReadAsync("bank/releases/v1.0.0.json"));
        using TrustClient host = fresh.Host();
        Assert.DoesNotContain(await host.ListTargetsAsync("", default), target => target.Path != TrustWorld.V1);
    }

    // Attack: freeze.
    [Fact]
    public async Task Refuses_a_store_whose_timestamp_has_expired_and_says_stale()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustClient host = world.Host();
        Assert.False(host.IsStale);
        await host.RefreshAsync(default);
        Assert.Equal((false, 0), (host.IsStale, host.Warnings().Count));
        world.Time.Advance(TimeSpan.FromDays(16));
        Assert.False(host.IsStale);
        Assert.Equal(["timestamp", "snapshot"], host.Warnings().Select(warning => warning.Split(' ')[0]));
        Assert.NotNull(await host.FindTargetAsync(TrustWorld.V1, default));
        world.Time.Advance(TimeSpan.FromDays(15));
        Assert.True(host.IsStale);
        Assert.Equal(TrustFailure.Stale, (await Assert.ThrowsAsync<TrustException>(() => host.RefreshAsync(default))).Failure);
        Assert.Equal(TrustFailure.Stale, (await Assert.ThrowsAsync<TrustException>(() => host.FindTargetAsync(TrustWorld.V1, default))).Failure);

        using TrustRepository repository = world.Repository();
        await repository.RefreshAsync(default);
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
        Assert.False(host.IsStale);
    }

    [Theory]
    [InlineData("root")]
    [InlineData("targets")]
    [InlineData("snapshot")]
    [InlineData("timestamp")]
    [InlineData("shop")]
    public async Task Refuses_each_role_when_it_has_expired(string role)
    {
        TimeSpan hour = TimeSpan.FromHours(1);
        TrustWorld world = await TrustWorld.CreateAsync(role switch
        {
            "root" => RoleLives.Default with { Root = hour },
            "targets" => RoleLives.Default with { Targets = hour },
            "snapshot" => RoleLives.Default with { Snapshot = hour },
            "timestamp" => RoleLives.Default with { Timestamp = hour },
            _ => RoleLives.Default with { Release = hour },
        });
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
        world.Time.Advance(hour);
        foreach (MemoryDisk disk in new[] { world.HostDisk, new MemoryDisk() })
        {
            TrustException refused = await world.RefusedAsync(disk: disk);
            Assert.Equal(TrustFailure.Stale, refused.Failure);
            Assert.Contains(role, refused.Message);
        }
    }

    // Attack: rollback.
    [Fact]
    public async Task Refuses_the_whole_store_as_it_was()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        MemoryStore before = world.Store.Copy();
        await world.PublishAsync(TrustWorld.V2, "two");
        Assert.Equal("two", await world.ReadAsync(TrustWorld.V2));
        world.Swap(before);
        Assert.Equal(TrustFailure.Rollback, (await world.RefusedAsync()).Failure);
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1, new MemoryDisk()));
    }

    [Fact]
    public async Task Refuses_an_older_snapshot_role_version_or_a_role_that_is_gone()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.PublishAsync(TrustWorld.V2, "two");
        await world.ReadAsync(TrustWorld.V2);
        JsonObject older = world.Signed("3.snapshot.json"), newest = world.Signed("4.snapshot.json");

        world.ForgeSnapshot(older, 5);   // names shop version 2, after 3
        Assert.Equal(TrustFailure.Rollback, (await world.RefusedAsync()).Failure);
        ((JsonObject)newest["meta"]!).Remove("shop.json");
        world.ForgeSnapshot(newest, 6);
        Assert.Equal(TrustFailure.Rollback, (await world.RefusedAsync()).Failure);

        JsonObject timestamp = world.Signed("timestamp.json");
        timestamp["version"] = 100;
        MetadataWriter.Name(timestamp, "snapshot", 3, world.Store.Objects["metadata/3.snapshot.json"]);
        world.Forge("timestamp.json", timestamp, world.Key("online"));
        Assert.Equal(TrustFailure.Rollback, (await world.RefusedAsync()).Failure);
    }

    // Attack: mix and match.
    [Fact]
    public async Task Refuses_files_that_were_never_together()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.PublishAsync(TrustWorld.V2, "two");
        MemoryStore good = world.Store.Copy();
        foreach ((string name, string other) in new[] { ("3.shop.json", "2.shop.json"), ("4.snapshot.json", "3.snapshot.json"), ("2.targets.json", "1.targets.json"), ("3.shop.json", "1.shop-channels.json") })
        {
            world.Swap(good.Copy());
            world.Store.Objects[$"metadata/{name}"] = world.Store.Objects[$"metadata/{other}"];
            Assert.Contains((await world.RefusedAsync(disk: new MemoryDisk())).Failure, new[] { TrustFailure.Length, TrustFailure.Hash });
        }
    }

    [Fact]
    public async Task Refuses_a_file_of_another_type_although_the_key_signed_it()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        JsonObject snapshot = world.Signed("3.snapshot.json");
        snapshot["version"] = 9;
        snapshot["meta"] = new JsonObject { ["snapshot.json"] = new JsonObject { ["version"] = 3 } };
        world.Forge("timestamp.json", snapshot, world.Key("online"));
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync()).Failure);
    }

    // Attack: endless data.
    [Theory]
    [InlineData("metadata/2.root.json", 512 * 1024 + 1)]
    [InlineData("metadata/timestamp.json", 16 * 1024 + 1)]
    [InlineData("metadata/3.snapshot.json", null)]
    [InlineData("metadata/2.targets.json", null)]
    [InlineData("metadata/2.shop.json", null)]
    public async Task Stops_reading_at_the_cap_or_at_the_signed_length(string path, int? cap)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        long limit = cap ?? world.Store.Objects[path].Length + 1;
        var endless = new Endless();
        world.Store.Serve = (asked, stored) => asked == path ? endless : stored is null ? null : new MemoryStream(stored);
        Assert.Equal(TrustFailure.Length, (await world.RefusedAsync()).Failure);
        Assert.Equal(limit, endless.Sent);
    }

    [Fact]
    public async Task Refuses_a_signed_length_above_the_cap_without_asking()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        JsonObject timestamp = world.Signed("timestamp.json");
        timestamp["version"] = 100;
        timestamp["meta"]!["snapshot.json"]!["version"] = 50;
        timestamp["meta"]!["snapshot.json"]!["length"] = 3 * 1024 * 1024;
        world.Forge("timestamp.json", timestamp, world.Key("online"));
        Assert.Equal(TrustFailure.Length, (await world.RefusedAsync()).Failure);
        Assert.DoesNotContain("metadata/50.snapshot.json", world.Store.Requests);
        using TrustClient host = (await TrustWorld.CreateAsync()).Host();
        TargetInfo target = (await host.FindTargetAsync(TrustWorld.V1, default))!;
        Assert.Equal(TrustFailure.Length, (await Assert.ThrowsAsync<TrustException>(() => host.ReadTargetAsync(target, target.Length - 1, default))).Failure);
    }

    // Attack: a clock that was set back, or a restored snapshot of a machine with one.
    [Fact]
    public async Task Refuses_to_work_by_a_clock_that_is_more_than_a_day_behind()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        world.Time.StepWallClock(TimeSpan.FromHours(-23));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
        world.Time.StepWallClock(TimeSpan.FromHours(-2));
        Assert.Equal(TrustFailure.Clock, (await world.RefusedAsync()).Failure);
        world.Time.StepWallClock(TimeSpan.FromHours(25));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }

    [Fact]
    public async Task A_clock_that_once_ran_years_ahead_is_not_remembered()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        world.Time.StepWallClock(TimeSpan.FromDays(4000));
        Assert.Equal(TrustFailure.Stale, (await world.RefusedAsync()).Failure);
        world.Time.StepWallClock(TimeSpan.FromDays(-4000));
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
    }

    [Fact]
    public async Task A_store_that_is_gone_is_not_called_forged_and_comes_back()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        using TrustClient host = world.Host();
        await host.RefreshAsync(default);
        world.Store.Serve = (_, _) => throw new OperatorException(ExitCode.Unreachable, "the store is gone", "try again");
        OperatorException gone = await Assert.ThrowsAsync<OperatorException>(() => host.RefreshAsync(default));
        Assert.Equal(ExitCode.Unreachable, gone.Code);
        world.Store.Serve = (path, _) => path.EndsWith("root.json", StringComparison.Ordinal) ? null : throw new StoreObjectMissingException("memory", path);
        Assert.Equal(TrustFailure.Missing, (await Assert.ThrowsAsync<TrustException>(() => host.RefreshAsync(default))).Failure);
        world.Store.Serve = null;
        Assert.NotNull(await host.FindTargetAsync(TrustWorld.V1, default));
    }

    [Fact]
    public async Task A_damaged_memory_against_rollback_is_told_and_a_damaged_cache_is_fetched_again()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        foreach (string cache in new[] { "targets", "shop" }) world.HostDisk.Files[$"/trust/{cache}.json"] = [];
        Assert.Equal("one", await world.ReadAsync(TrustWorld.V1));
        foreach (string memory in new[] { "timestamp", "snapshot", "root" })
        {
            world.HostDisk.Files[$"/trust/{memory}.json"] = [];
            using var host = new TrustClient(world.Store, world.HostDisk, "/trust", world.Time);
            Assert.Equal(TrustFailure.Pinned, (await Assert.ThrowsAsync<TrustException>(() => host.RefreshAsync(default))).Failure);
        }
    }

    [Fact]
    public async Task Power_lost_at_any_write_of_a_refresh_leaves_a_directory_that_works()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        await world.ReadAsync(TrustWorld.V1);
        world.Rotate(_ => { }, world.Key("root"));
        await world.PublishAsync(TrustWorld.V2, "two");
        for (int cut = 0; ; cut++)
        {
            var disk = new MemoryDisk();
            foreach ((string path, byte[] content) in world.HostDisk.Files) disk.Files[path] = content;
            disk.EffectsLeft = cut;
            bool finished = true;
            try
            {
                await world.ReadAsync(TrustWorld.V2, disk);
            }
            catch (IOException)
            {
                finished = false;
            }
            disk.EffectsLeft = null;
            Assert.Equal("two", await world.ReadAsync(TrustWorld.V2, disk));
            if (!finished) continue;
            Assert.Equal(16, cut);   // root, timestamp, snapshot and role: write, sync, rename, sync
            break;
        }
    }

    private sealed class Endless() : MemoryStream(new byte[1 << 20])
    {
        public long Sent { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await base.ReadAsync(buffer, cancellationToken);
            Sent += read;
            return read;
        }
    }
}

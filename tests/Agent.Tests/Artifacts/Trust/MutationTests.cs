using Agent.Artifacts;
using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

/// <summary>Every single byte of a small store, changed: refused, or without effect.</summary>
public class MutationTests
{
    [Theory]
    [InlineData("metadata/2.root.json")]
    [InlineData("metadata/timestamp.json")]
    [InlineData("metadata/4.snapshot.json")]
    [InlineData("metadata/2.targets.json")]
    [InlineData("metadata/3.shop.json")]
    [InlineData("targets/")]
    public async Task No_changed_byte_changes_what_is_believed(string path)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Rotate(_ => { }, world.Key("root"));
        await world.PublishAsync(TrustWorld.V2, "two");
        MemoryStore good = world.Store.Copy();
        path = good.Objects.Keys.Single(stored => stored.StartsWith(path, StringComparison.Ordinal) && (!path.EndsWith('/') || good.Objects[stored].AsSpan().SequenceEqual("two"u8)));
        byte[] original = good.Objects[path];

        // Only where the second root itself is under test must each host come to it by the first.
        byte[] pinned = path.EndsWith("root.json", StringComparison.Ordinal) ? world.Keys.Root : good.Objects["metadata/2.root.json"];
        int refused = 0;
        for (int i = 0; i < original.Length; i++)
        {
            byte[] changed = [.. original];
            changed[i] ^= (byte)(i % 2 == 0 ? 0x01 : 0x20);
            world.Store.Objects[path] = changed;
            try
            {
                var disk = new MemoryDisk();
                disk.Files["/trust/root.json"] = pinned;
                using var host = new TrustClient(world.Store, disk, "/trust", world.Time);
                Assert.Equal("two"u8.ToArray(), await host.ReadTargetAsync((await host.FindTargetAsync(TrustWorld.V2, default))!, 1000, default));
            }
            catch (OperatorException)
            {
                refused++;
            }
        }
        // In files that a parent names by hash every byte counts; in the two that nothing names, those of the signature's own wrapping may not.
        Assert.InRange(refused, path.EndsWith("root.json", StringComparison.Ordinal) || path.EndsWith("timestamp.json", StringComparison.Ordinal) ? original.Length * 9 / 10 : original.Length, original.Length);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"signed":{},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":null}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"2.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":0,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"tomorrow","meta":{"snapshot.json":{"version":1}}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"version":2,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1,"hashes":{"md5":"00"}}}},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"x":1.5},"signatures":[]}""")]
    [InlineData("""{"signed":{"_type":"timestamp","spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}}},"signatures":[{"keyid":null,"sig":""}]}""")]
    public async Task What_is_no_metadata_is_called_malformed(string content)
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.Objects["metadata/timestamp.json"] = System.Text.Encoding.UTF8.GetBytes(content);
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync()).Failure);
    }

    [Fact]
    public async Task Deeply_nested_data_is_refused_before_it_costs_a_stack()
    {
        TrustWorld world = await TrustWorld.CreateAsync();
        world.Store.Objects["metadata/timestamp.json"] = System.Text.Encoding.UTF8.GetBytes(new string('[', 16_000));
        Assert.Equal(TrustFailure.Malformed, (await world.RefusedAsync()).Failure);
    }
}

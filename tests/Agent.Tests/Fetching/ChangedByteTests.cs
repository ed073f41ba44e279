using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Artifacts.Stores;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Fetching;

/// <summary>Each byte that a host reads from a store is changed in turn.</summary>
public sealed class ChangedByteTests
{
    private static readonly (string Path, byte[] Content)[] Files = [("bin/shop", "a program"u8.ToArray()), ("note", PublishedStore.Noise(20_000, 1)[..200])];

    [Fact]
    public async Task One_changed_byte_anywhere_is_refused_or_harmless()
    {
        using PublishedStore store = await PublishedStore.CreateAsync();
        await store.PublishAsync("v1.0.0", Files);
        await store.PromoteAsync("v1.0.0");

        var honest = new CountingStore(store.Store);
        Assert.Null(await FetchAsync(store, honest));
        int changed = 0, noticed = 0;
        foreach (string file in honest.Opened.Select(path => Path.Combine(store.Root, path)).Where(File.Exists))
        {
            byte[] good = await File.ReadAllBytesAsync(file);
            for (int at = 0; at < good.Length; at++)
            {
                byte[] bad = [.. good];
                bad[at] ^= (byte)(1 << (at % 8));
                await File.WriteAllBytesAsync(file, bad);
                OperatorException? failure = await FetchAsync(store, store.Store);
                Assert.True(failure?.Code is null or ExitCode.Refused or ExitCode.Unreachable, $"{file} at {at}: {failure}");
                changed++;
                if (failure is not null) noticed++;
            }
            await File.WriteAllBytesAsync(file, good);
        }
        Assert.True(changed > 3_000, $"{changed} bytes");
        Assert.True(noticed > changed * 95L / 100, $"{noticed} of {changed}");
        Assert.Null(await FetchAsync(store, store.Store));
    }

    // A new host each time. Null: the right content arrived.
    private static async Task<OperatorException?> FetchAsync(PublishedStore store, IStoreReader through)
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        using var source = new ArtifactSource(through, new TrustClient(through, disk, "/data/trust", TimeProvider.System), disk, "/data", TimeProvider.System, NullLogger<ArtifactSource>.Instance);
        source.Trust.Init(store.Keys.Root);
        OperatorException? failure = null;
        try
        {
            ReleaseId? id = await source.ResolveAsync(PublishedStore.Shop, FetchingHost.Channel(), CancellationToken.None);
            FetchedRelease fetched = await source.FetchAsync(id!, [], new Progress<TransferProgress>(), CancellationToken.None);
            Assert.Equal("v1.0.0", fetched.Id.Version.Text);
            Assert.Equal(["VERSION", "bin/shop", "note"], fetched.Manifest.Files.Select(entry => entry.Path));
            foreach ((string path, byte[] content) in Files)
            {
                ManifestFile entry = fetched.Manifest.Files.OfType<ManifestFile>().Single(file => file.Path == path);
                Assert.Equal(content, disk.ReadAll(fetched.Objects[FetchedRelease.ObjectKey(entry)]));
                Assert.Equal(path == "bin/shop", entry.Executable);
            }
        }
        catch (OperatorException e)
        {
            failure = e;
            foreach (string path in disk.AllPaths.Where(path => path.StartsWith("/data/downloads/shop/objects/", StringComparison.Ordinal) && !path.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal)))
                Assert.Equal(Path.GetFileName(path).Split('.')[0], Digest.Of(disk.ReadAll(path)).Hex);
        }
        Assert.All(disk.AllPaths, path => Assert.True(path is "/" or "/data" or "/data/channels" || path.StartsWith("/data/trust", StringComparison.Ordinal) || path.StartsWith("/data/downloads", StringComparison.Ordinal), path));
        return failure;
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Tests.Artifacts.Publishing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Fetching;

/// <summary>The data directory of a host, and sources that read into it.</summary>
internal sealed class FetchingHost(PublishedStore published, string name = "host") : IDisposable
{
    private readonly List<ArtifactSource> sources = [];

    public string Data { get; } = published.Scratch.MakeDirectory(name);

    public string Downloads => Path.Combine(Data, "downloads");

    public static Track Exactly(string version) => new Track.Exactly(new ReleaseVersion(version));

    public static Track Range(string range) => new Track.Range(new VersionRange(range));

    public static Track Channel(string channel = "stable") => new Track.Channel(channel);

    /// <summary>A source as after a start of the agent.</summary>
    public ArtifactSource Source(IStoreReader? store = null, IDisk? disk = null, TimeProvider? time = null)
    {
        store ??= published.Store;
        disk ??= new Disk();
        time ??= TimeProvider.System;
        var source = new ArtifactSource(store, new TrustClient(store, disk, Path.Combine(Data, "trust"), time), disk, Data, time, NullLogger<ArtifactSource>.Instance);
        source.Trust.Init(published.Keys.Root);
        sources.Add(source);
        return source;
    }

    public static async Task<string?> ResolveAsync(ArtifactSource source, Track wanted) =>
        (await source.ResolveAsync(PublishedStore.Shop, wanted, CancellationToken.None))?.Version.Text;

    public static async Task<FetchedRelease> FetchAsync(ArtifactSource source, Track wanted, params string[] installed)
    {
        ReleaseId id = (await source.ResolveAsync(PublishedStore.Shop, wanted, CancellationToken.None))!;
        return await source.FetchAsync(id, installed, new Progress<TransferProgress>(), CancellationToken.None);
    }

    public Task<FetchedRelease> FetchAsync(Track wanted, params string[] installed) => FetchAsync(Source(), wanted, installed);

    /// <summary>Fails unless every file of the release lies there whole and with its mode, and equals what was published.</summary>
    public static void AssertWhole(FetchedRelease fetched, params (string Path, byte[] Content)[] files)
    {
        foreach ((string path, byte[] content) in files.Where(file => file.Content.Length > 0))
        {
            ManifestFile entry = Assert.Single(fetched.Manifest.Files.OfType<ManifestFile>(), file => file.Path == path);
            string at = fetched.Objects[FetchedRelease.ObjectKey(entry)];
            Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(at)), path);
            bool executable = path.StartsWith("bin/", StringComparison.Ordinal);
            Assert.Equal(executable ? "555" : "444", Convert.ToString((int)File.GetUnixFileMode(at), 8));
        }
        Assert.Equal(fetched.Id.Digest, Digest.Of(File.ReadAllBytes(fetched.ManifestPath)));
    }

    /// <summary>Lays a fetched release out, as an installed one lies.</summary>
    public string Install(FetchedRelease fetched)
    {
        string directory = Path.Combine(Data, "installed", fetched.Id.Version.Text);
        foreach (ManifestFile file in fetched.Manifest.Files.OfType<ManifestFile>().Where(file => file.Size > 0))
        {
            string path = Path.Combine(directory, file.Path);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.Copy(fetched.Objects[FetchedRelease.ObjectKey(file)], path);
        }
        Directory.CreateDirectory(Path.Combine(directory, ".agentd"));
        File.Copy(fetched.ManifestPath, Path.Combine(directory, ".agentd/manifest"));
        return directory;
    }

    public void Dispose()
    {
        foreach (ArtifactSource source in sources) source.Dispose();
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

/// <summary>
/// Releases from one store. What a name means is decided by the signed metadata in <c>DATA/trust</c>, where the root must be pinned;
/// contents come to <c>DATA/downloads/APP</c> and are verified there.
/// </summary>
/// <param name="dataDirectory">Absolute.</param>
internal sealed class ArtifactSource(IStoreReader store, IDisk disk, string dataDirectory, TimeProvider time, ILogger<ArtifactSource> logger) : IArtifactSource, IDisposable
{
    private const long SpareRoom = 32 << 20;

    private readonly TrustClient trust = new(store, disk, Path.Combine(dataDirectory, "trust"), time);
    private readonly ChannelMemory channels = new(disk, Path.Combine(dataDirectory, "channels"));
    private readonly Lock remembering = new();

    /// <summary>The store's signed metadata as this host knows it, for health and doctor.</summary>
    public TrustClient Trust => trust;

    public async Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken)
    {
        await trust.RefreshAsync(cancellationToken);
        switch (wanted)
        {
            case Track.Channel channel:
                return await ResolveChannelAsync(app, channel.Name, cancellationToken);
            case Track.Range range:
                return (await ReleasesAsync(app, cancellationToken)).Where(id => range.Versions.Contains(id.Version)).MaxBy(id => id.Version);
            case Track.Exactly exactly:
                // People leave the v out, or write it where there is none.
                IReadOnlyList<ReleaseId> releases = await ReleasesAsync(app, cancellationToken);
                return releases.FirstOrDefault(id => id.Version == exactly.Version)
                    ?? releases.FirstOrDefault(id => id.Version.Text.TrimStart('v') == exactly.Version.Text.TrimStart('v'));
            default:
                throw new ArgumentOutOfRangeException(nameof(wanted), wanted, null);
        }
    }

    public async Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        try
        {
            Manifest manifest = await ManifestAsync(release, cancellationToken);
            return await FetchAsync(release, manifest, installed, progress, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Refused, $"{release} cannot be written to {dataDirectory}: {e.Message}", "make room there, and let the agent write to it", e);
        }
    }

    public void Sweep(AppName app) => disk.RemoveDurable(DownloadsOf(app));

    public void Dispose() => trust.Dispose();

    private async Task<ReleaseId?> ResolveChannelAsync(AppName app, string name, CancellationToken cancellationToken)
    {
        ChannelTarget.CheckedName(name);
        if (await trust.FindTargetAsync(StorePath.ChannelTarget(app, name), cancellationToken) is not { } pointer) return null;
        ChannelTarget channel = ChannelTarget.Parse(await trust.ReadTargetAsync(pointer, ChannelTarget.MaximumSize, cancellationToken));
        TargetInfo? release = await trust.FindTargetAsync(StorePath.ReleaseTarget(app, channel.Release), cancellationToken);
        if (release is null)
            throw Refused($"channel {name} of {app} points at {channel.Release}, which the release key did not sign", "publish it, or promote another");
        // Two keys must agree before anything runs.
        if (release.Sha256 != channel.Manifest)
            throw Refused($"channel {name} of {app} points at {channel.Release} with manifest {channel.Manifest.Short}, and the release key signed {release.Sha256.Short}", "promote it again; if nobody published it anew, find out who did");
        lock (remembering) channels.Accept(app, name, channel);
        return new ReleaseId(app, channel.Release, channel.Manifest);
    }

    private async Task<IReadOnlyList<ReleaseId>> ReleasesAsync(AppName app, CancellationToken cancellationToken)
    {
        string prefix = StorePath.ReleasePrefix(app);
        var releases = new List<ReleaseId>();
        foreach (TargetInfo target in await trust.ListTargetsAsync(prefix, cancellationToken))
        {
            if (target.Path.EndsWith(".json", StringComparison.Ordinal) && ReleaseVersion.TryParse(target.Path[prefix.Length..^".json".Length], out ReleaseVersion? version))
                releases.Add(new ReleaseId(app, version, target.Sha256));
        }
        return releases;
    }

    private async Task<Manifest> ManifestAsync(ReleaseId release, CancellationToken cancellationToken)
    {
        TargetInfo? target = await trust.FindTargetAsync(StorePath.ReleaseTarget(release.App, release.Version), cancellationToken);
        if (target?.Sha256 != release.Digest)
            throw Refused($"{release} with manifest {release.Digest.Short} is no longer in the signed metadata", "deploy a release that 'agentctl store list' shows");
        string kept = ManifestPath(release);
        byte[]? stored = disk.Kind(kept) == EntryKind.File ? disk.ReadAll(kept) : null;
        if (stored is null || Digest.Of(stored) != release.Digest)
        {
            stored = await trust.ReadTargetAsync(target!, ManifestFormat.MaximumSize, cancellationToken);
            disk.MakeDirectories(DownloadsOf(release.App), DurableOperations.Mode700);
            disk.WriteAtomic(kept, stored);
        }
        Manifest manifest = ManifestFormat.Parse(stored);
        if (manifest.App != release.App || manifest.Version != release.Version)
            throw Refused($"the manifest of {release} says that it is {manifest.App} {manifest.Version}", "publish the release again; if it was not you who published it, check who holds the release key");
        return manifest;
    }

    private async Task<FetchedRelease> FetchAsync(ReleaseId release, Manifest manifest, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        string downloads = DownloadsOf(release.App);
        var objects = new ObjectDirectory(disk, Path.Combine(downloads, "objects"));
        objects.Prepare();
        ManifestFile[] wanted = [.. manifest.Files.OfType<ManifestFile>().Where(file => file.Size > 0).DistinctBy(FetchedRelease.ObjectKey)];
        List<ManifestFile> missing = [.. wanted.Where(file => !objects.Has(file, cancellationToken))];
        // Copies count too: where a link is not possible, they take the same room as what is downloaded.
        CheckRoom(release, downloads, missing);
        int before = missing.Count;
        if (before > 0) TakeInstalled(objects, installed, missing, cancellationToken);
        logger.FetchPlanned(release.App, release.Version, missing.Count, wanted.Length, missing.Sum(file => file.Size), store.Description, before - missing.Count);

        var download = new PackDownload(store, disk, objects, Path.Combine(downloads, "parts"), time, logger);
        await download.RunAsync(manifest.Packs, missing, progress, cancellationToken);
        logger.Fetched(release.App, release.Version);
        return new FetchedRelease(release, manifest, ManifestPath(release), wanted.ToDictionary(FetchedRelease.ObjectKey, objects.PathOf));
    }

    // Removes from the missing what an installed release of this app still holds unchanged.
    private void TakeInstalled(ObjectDirectory objects, IReadOnlyList<string> installed, List<ManifestFile> missing, CancellationToken cancellationToken)
    {
        var candidates = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (string directory in installed)
        {
            if (InstalledManifest(directory) is not { } manifest) continue;
            foreach (ManifestFile file in manifest.Files.OfType<ManifestFile>().Where(file => file.Size > 0))
            {
                string key = FetchedRelease.ObjectKey(file);
                if (!candidates.TryGetValue(key, out List<string>? paths)) candidates.Add(key, paths = []);
                paths.Add(Path.Combine(directory, file.Path));
            }
        }
        missing.RemoveAll(file => candidates.TryGetValue(FetchedRelease.ObjectKey(file), out List<string>? paths) && paths.Exists(path => objects.TryTake(path, file, cancellationToken)));
    }

    private Manifest? InstalledManifest(string directory)
    {
        string path = Path.Combine(directory, ReleasePath.Reserved, "manifest");
        try
        {
            if (FileStatus.Of(path)?.Type != FileStatus.FileType.File) throw new FileNotFoundException("there is none");
            using Stream stream = disk.OpenRead(path);
            if (stream.Length > ManifestFormat.MaximumSize) throw new InvalidDataException("it is too large");
            return ManifestFormat.Parse(disk.ReadAll(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException or OperatorException)
        {
            logger.InstalledUnreadable(directory, e.Message);
            return null;
        }
    }

    private void CheckRoom(ReleaseId release, string downloads, List<ManifestFile> missing)
    {
        long largestPart = missing.Select(file => file.Place!).Where(PackDownload.IsLarge).Select(place => place.Length).DefaultIfEmpty().Max();
        long needed = missing.Sum(file => file.Size) + largestPart + SpareRoom;
        long free = disk.FreeBytes(downloads);
        if (missing.Count > 0 && free < needed)
            throw Refused($"{release} needs {needed >> 20} MiB in {downloads}, and {free >> 20} MiB are free", "make room there");
    }

    private string ManifestPath(ReleaseId release) => Path.Combine(DownloadsOf(release.App), $"manifest-{release.Digest.Hex}");

    private string DownloadsOf(AppName app) => Path.Combine(dataDirectory, "downloads", app.Value);

    private static OperatorException Refused(string what, string remedy) => new(ExitCode.Refused, what, remedy);
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Stores;
using Agent.Daemon.Deployments;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

/// <summary>Brings the contents of one release into the directory of its manifest; what lies there or is installed is not asked for again. The store is not trusted.</summary>
internal sealed class ReleaseDownload(IStoreReader store, IDisk disk, TimeProvider time, ILogger logger)
{
    private const long SpareRoom = 32 << 20;

    public static string ManifestPath(string directory, Digest digest) => Path.Combine(directory, $"manifest-{digest.Hex}");

    public static ObjectDirectory ObjectsOf(IDisk disk, string directory) => new(disk, Path.Combine(directory, "objects"));

    public static string PartsOf(string directory) => Path.Combine(directory, "parts");

    /// <summary>The files that need an object, one for each content and mode.</summary>
    public static ManifestFile[] Contents(Manifest manifest) => [.. manifest.Files.OfType<ManifestFile>().Where(file => file.Size > 0).DistinctBy(FetchedRelease.ObjectKey)];

    /// <summary>The manifest of a release, whose origin may be hostile.</summary>
    /// <exception cref="OperatorException">It is not safe, or of another release (<see cref="ExitCode.Refused"/>).</exception>
    public static Manifest Parse(ReleaseId release, ReadOnlySpan<byte> stored)
    {
        Manifest manifest = ManifestFormat.Parse(stored);
        if (manifest.App == release.App && manifest.Version == release.Version) return manifest;
        throw new OperatorException(
            ExitCode.Refused, $"the manifest of {release} says that it is {manifest.App} {manifest.Version}", "publish the release again; if it was not you who published it, check who holds the release key");
    }

    /// <param name="installed">Directories of installed releases of the app.</param>
    /// <exception cref="OperatorException">As <see cref="IArtifactSource.FetchAsync"/>.</exception>
    public async Task<FetchedRelease> RunAsync(ReleaseId release, Manifest manifest, string manifestPath, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        string downloads = Path.GetDirectoryName(manifestPath)!;
        ObjectDirectory objects = ObjectsOf(disk, downloads);
        objects.Prepare();
        ManifestFile[] wanted = Contents(manifest);
        List<ManifestFile> missing = [.. wanted.Where(file => !objects.Has(file, cancellationToken))];
        // Copies count too: where a link is not possible, they take the same room as what is downloaded.
        CheckRoom(release, downloads, missing);
        int before = missing.Count;
        if (before > 0) TakeInstalled(objects, installed, missing, cancellationToken);
        logger.FetchPlanned(release.App, release.Version, missing.Count, wanted.Length, missing.Sum(file => file.Size), store.Description, before - missing.Count);

        var download = new PackDownload(store, disk, objects, PartsOf(downloads), time, logger);
        await download.RunAsync(manifest.Packs, missing, progress, cancellationToken);
        logger.Fetched(release.App, release.Version);
        return new FetchedRelease(release, manifest, manifestPath, wanted.ToDictionary(FetchedRelease.ObjectKey, objects.PathOf));
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
            throw new OperatorException(ExitCode.Refused, $"{release} needs {needed >> 20} MiB in {downloads}, and {free >> 20} MiB are free", "make room there");
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Fetching;

/// <summary>The verified contents of one app's downloads, a file each, named by <see cref="FetchedRelease.ObjectKey"/>.</summary>
internal sealed class ObjectDirectory(IDisk disk, string directory)
{
    public string PathOf(ManifestFile file) => Path.Combine(directory, FetchedRelease.ObjectKey(file));

    /// <summary>Takes away what an interrupted write left.</summary>
    public void Prepare()
    {
        disk.MakeDirectories(directory, DurableOperations.Mode700);
        disk.RemoveLeftovers(directory);
    }

    /// <summary>Whether an earlier run left this content whole. What a crash tore, or somebody changed, is removed.</summary>
    public bool Has(ManifestFile file, CancellationToken cancellationToken)
    {
        string path = PathOf(file);
        if (!disk.Exists(path)) return false;
        if (IsIntact(path, file, cancellationToken)) return true;
        disk.RemoveTree(path);
        return false;
    }

    /// <summary>Takes a content over from an installed release, if it is there unchanged.</summary>
    public bool TryTake(string installed, ManifestFile file, CancellationToken cancellationToken)
    {
        if (!IsIntact(installed, file, cancellationToken)) return false;
        string path = PathOf(file), beside = path + DurableOperations.TemporarySuffix;
        disk.RemoveFile(beside);
        disk.LinkOrCopy(installed, beside, ModeOf(file));
        disk.Rename(beside, path);
        return true;
    }

    /// <summary>Whether exactly this content lies at a path, in a plain file of the right mode.</summary>
    private bool IsIntact(string path, ManifestFile file, CancellationToken cancellationToken)
    {
        try
        {
            // Not by IDisk alone: it does not tell a fifo, which would be waited for, from a file.
            if (FileStatus.Of(path) is not { Type: FileStatus.FileType.File } status || status.Mode != ModeOf(file)) return false;
            using Stream stream = disk.OpenRead(path);
            return stream.Length == file.Size && ReleaseTree.Hash(stream, cancellationToken) == file.Sha256;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static UnixFileMode ModeOf(ManifestFile file) => file.Executable ? FrameReader.Mode555 : FrameReader.Mode444;
}

namespace Agent.Artifacts.Manifests;

/// <summary>The list of a release's files and of the packs that hold them. Parsed from hostile bytes by <c>ManifestFormat</c>, which refuses anything unsafe.</summary>
/// <param name="Files">Sorted by path (ordinal); every parent directory is implied or listed.</param>
internal sealed record Manifest(AppName App, ReleaseVersion Version, IReadOnlyList<ManifestEntry> Files, IReadOnlyList<PackReference> Packs)
{
    /// <summary>Bytes of all files together, uncompressed.</summary>
    public long TotalSize => Files.OfType<ManifestFile>().Sum(file => file.Size);
}

/// <param name="Path">Relative, <c>/</c> between segments, no empty segment, no <c>.</c> or <c>..</c>.</param>
internal abstract record ManifestEntry(string Path);

/// <summary>A directory; listed only where it is empty.</summary>
internal sealed record ManifestDirectory(string Path) : ManifestEntry(Path);

/// <param name="Target">Relative and inside the release.</param>
internal sealed record ManifestLink(string Path, string Target) : ManifestEntry(Path);

/// <param name="Executable">Mode 555 on the host, else 444. There are no other modes.</param>
/// <param name="Size">Bytes, uncompressed.</param>
/// <param name="Place">Where the content lies; null for an empty file.</param>
internal sealed record ManifestFile(string Path, bool Executable, long Size, Digest Sha256, FramePlace? Place) : ManifestEntry(Path);

/// <summary>Where a file's content lies: one frame of a pack, and the place inside the decompressed frame.</summary>
/// <param name="Pack">Index in <see cref="Manifest.Packs"/>.</param>
/// <param name="Offset">Of the frame in the pack, bytes.</param>
/// <param name="Length">Of the compressed frame, bytes.</param>
/// <param name="FrameSize">Of the decompressed frame, bytes.</param>
/// <param name="Start">Of the file in the decompressed frame, bytes.</param>
internal sealed record FramePlace(int Pack, long Offset, long Length, long FrameSize, long Start);

/// <summary>A pack in the store, at <c>blobs/sha256/HEX</c>.</summary>
/// <param name="Size">Bytes.</param>
internal sealed record PackReference(Digest Sha256, long Size);

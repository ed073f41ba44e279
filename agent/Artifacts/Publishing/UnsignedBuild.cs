using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Stores;

namespace Agent.Artifacts.Publishing;

/// <summary>A release that nobody signs, in the form in which it is pushed: <c>manifest</c>, and its pack where a store has it.</summary>
internal static class UnsignedBuild
{
    public const string ManifestObject = "manifest";

    /// <summary>Packs a directory or .tar.gz.</summary>
    /// <param name="directory">An existing directory, that <see cref="DirectoryStore"/> then reads.</param>
    /// <param name="scratch">Another one on the same file system, for large intermediate files.</param>
    /// <param name="progress">Uncompressed bytes packed, of all.</param>
    /// <exception cref="OperatorException">As <see cref="ReleaseTree.Read"/>.</exception>
    public static void Write(
        IDisk disk, string path, AppName app, ReleaseVersion version, string directory, string scratch, IProgress<(long Done, long Total)> progress, CancellationToken cancellationToken)
    {
        ReleaseTree tree = ReleaseTree.Read(disk, path, version, scratch, cancellationToken);
        List<TreeFile> files = [.. tree.Files.Where(file => file.Size > 0)];
        long total = files.DistinctBy(file => file.Sha256).Sum(file => file.Size);
        string packFile = Path.Combine(scratch, "pack");
        WrittenPack? pack = new PackWriter(disk, scratch).Write(packFile, files, new Publisher.Packed(done => progress.Report((done, total))), cancellationToken);
        if (pack is not null)
        {
            string blob = Path.Combine(directory, StorePath.Blob(pack.Reference.Sha256));
            disk.MakeDirectories(Path.GetDirectoryName(blob)!);
            disk.Rename(packFile, blob);
        }
        byte[] manifest = ManifestFormat.Serialize(Publisher.Describe(tree, app, version, [], pack));
        disk.WriteFile(Path.Combine(directory, ManifestObject), DurableOperations.Mode644, stream => stream.Write(manifest));
    }
}

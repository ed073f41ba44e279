using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>Reads a directory to be published.</summary>
internal static class DirectoryTree
{
    private const UnixFileMode SetId = UnixFileMode.SetUser | UnixFileMode.SetGroup;
    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    public static List<TreeEntry> Read(string root, CancellationToken cancellationToken)
    {
        var found = new List<(string Path, FileStatus Status)>();
        Walk(root, "", found);
        var entries = new TreeEntry[found.Count];
        // Hashing is what takes the time.
        Parallel.For(0, found.Count, new ParallelOptions { CancellationToken = cancellationToken, MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
        {
            (string path, FileStatus status) = found[i];
            string full = Path.Combine(root, path);
            entries[i] = status.Type switch
            {
                FileStatus.FileType.Directory => new TreeDirectory(path),
                FileStatus.FileType.Link => new TreeLink(path, new FileInfo(full).LinkTarget ?? ""),
                _ => ReadFile(full, path, (status.Mode & AnyExecute) != 0, cancellationToken),
            };
        });
        return [.. entries];
    }

    private static void Walk(string root, string below, List<(string Path, FileStatus Status)> found)
    {
        bool empty = true;
        foreach (FileSystemInfo entry in new DirectoryInfo(Path.Combine(root, below)).EnumerateFileSystemInfos("*", new EnumerationOptions { AttributesToSkip = 0, MatchType = MatchType.Simple }))
        {
            empty = false;
            string path = below.Length == 0 ? entry.Name : $"{below}/{entry.Name}";
            // .NET shows bytes that are no UTF-8 as this character, and cannot open such a file.
            if (path.Contains('\uFFFD')) throw ReleaseTree.Refused($"the name {ReleasePath.Show(path)} is not valid UTF-8", "rename it");
            // Before going below it: the depth is bounded here.
            if (ReleasePath.Problem(path) is { } problem) throw ReleaseTree.Refused($"{ReleasePath.Show(path)} {problem}", "take it out of what you publish");
            if (found.Count >= TreeRules.MaximumEntries) throw ReleaseTree.Refused($"the release has more than {TreeRules.MaximumEntries} entries", "publish less");
            FileStatus status = FileStatus.Of(entry.FullName) ?? throw new IOException($"{path} vanished while it was read");
            switch (status.Type)
            {
                case FileStatus.FileType.Special:
                    throw ReleaseTree.Refused($"{ReleasePath.Show(path)} is a device, a fifo or a socket", "take it out of what you publish");
                case FileStatus.FileType.File when (status.Mode & SetId) != 0:
                    throw ReleaseTree.Refused($"{ReleasePath.Show(path)} is setuid or setgid", $"chmod ug-s {ReleasePath.Show(path)}");
                case FileStatus.FileType.Directory:
                    Walk(root, path, found);
                    break;
                default:
                    found.Add((path, status));
                    break;
            }
        }
        if (empty && below.Length > 0) found.Add((below, new FileStatus(FileStatus.FileType.Directory, 0)));
    }

    private static TreeFile ReadFile(string full, string path, bool executable, CancellationToken cancellationToken)
    {
        using FileStream stream = File.OpenRead(full);
        Digest digest = ReleaseTree.Hash(stream, cancellationToken);
        return new TreeFile(path, executable, stream.Position, digest, () => File.OpenRead(full));
    }
}

using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>
/// The tree that somebody wants to publish, read from a directory or a .tar.gz and checked by the same rules that the agent applies.
/// It holds a VERSION file: the one it brought, or one that is added.
/// </summary>
/// <param name="Entries">Sorted by path (ordinal).</param>
internal sealed record ReleaseTree(IReadOnlyList<TreeEntry> Entries)
{
    private const string VersionFile = "VERSION";
    private const int LongestVersionFile = 256;

    public IEnumerable<TreeFile> Files => Entries.OfType<TreeFile>();

    public long TotalSize => Files.Sum(file => file.Size);

    /// <summary>Reads a directory or a .tar.gz.</summary>
    /// <param name="scratch">An existing directory where the contents of an archive are kept while the tree is in use; the caller removes it.</param>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Usage"/>: there is nothing to read; <see cref="ExitCode.Refused"/>: it holds what a release may not hold, or a VERSION file that says otherwise.
    /// </exception>
    public static ReleaseTree Read(IDisk disk, string path, ReleaseVersion version, string scratch, CancellationToken cancellationToken)
    {
        List<TreeEntry> entries = ReadEntries(disk, path, scratch, cancellationToken);
        if (entries.Find(entry => entry.Path == VersionFile) is { } present) CheckVersion(present, version);
        else entries.Add(VersionEntry(version));
        entries.Sort((left, right) => string.CompareOrdinal(left.Path, right.Path));
        if (TreeRules.Problem([.. entries.Select(Outline)]) is var (at, reason))
            throw Refused($"{ReleasePath.Show(at)} {reason}", "take it out of what you publish");
        var tree = new ReleaseTree(entries);
        if (tree.TotalSize > TreeRules.MaximumTotalSize)
            throw Refused($"the release is larger than {TreeRules.MaximumTotalSize >> 30} GiB", "publish the application without its data");
        return tree;
    }

    /// <summary>What the VERSION file at the top of a directory or .tar.gz says; null when there is none.</summary>
    /// <exception cref="OperatorException">As <see cref="Read"/>.</exception>
    public static ReleaseVersion? FindVersion(string path, CancellationToken cancellationToken)
    {
        string? text = Directory.Exists(path)
            ? File.Exists(Path.Combine(path, VersionFile)) ? Limited(() => File.OpenRead(Path.Combine(path, VersionFile))) : null
            : TarTree.ReadText(path, VersionFile, LongestVersionFile, cancellationToken);
        return text is null ? null : new ReleaseVersion(text.Trim());
    }

    internal static Digest Hash(Stream content, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[1 << 16];
        for (int read; (read = content.Read(buffer)) > 0;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            hash.AppendData(buffer.AsSpan(0, read));
        }
        return new Digest(Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    internal static OperatorException Refused(string what, string remedy) => new(ExitCode.Refused, what, remedy);

    private static List<TreeEntry> ReadEntries(IDisk disk, string path, string scratch, CancellationToken cancellationToken)
    {
        try
        {
            return FileStatus.Of(path)?.Type is null or FileStatus.FileType.Special ? throw new OperatorException(ExitCode.Usage, $"{path} is no directory and no archive", "name a directory or a .tar.gz")
                : Directory.Exists(path) ? DirectoryTree.Read(path, cancellationToken)
                : TarTree.Read(disk, path, scratch, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Usage, $"{path} cannot be read: {e.Message}", "make it readable, or name another", e);
        }
    }

    private static void CheckVersion(TreeEntry present, ReleaseVersion version)
    {
        if (present is not TreeFile file) throw Refused("VERSION is not a file", "make it a file that holds the version, or leave it out: it is added");
        string text = Limited(file.Open).Trim();
        if (text.TrimStart('v') != version.Text.TrimStart('v'))
            throw Refused($"the VERSION file says '{ReleasePath.Show(text)}', not {version}", $"publish with --version {ReleasePath.Show(text)}, or leave the file out: it is added");
    }

    private static string Limited(Func<Stream> open)
    {
        using Stream stream = open();
        byte[] bytes = new byte[LongestVersionFile];
        return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }

    private static TreeFile VersionEntry(ReleaseVersion version)
    {
        byte[] content = Encoding.UTF8.GetBytes(version.Text + "\n");
        return new TreeFile(VersionFile, Executable: false, content.Length, Digest.Of(content), () => new MemoryStream(content, writable: false));
    }

    private static ManifestEntry Outline(TreeEntry entry) => entry switch
    {
        TreeLink link => new ManifestLink(link.Path, link.Target),
        TreeFile file => new ManifestFile(file.Path, file.Executable, file.Size, file.Sha256, null),
        _ => new ManifestDirectory(entry.Path),
    };
}

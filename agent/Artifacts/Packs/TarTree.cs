using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>Reads a .tar.gz to be published, in one pass: contents go to scratch files, since packs want them in another order.</summary>
internal static class TarTree
{
    private const UnixFileMode SetId = UnixFileMode.SetUser | UnixFileMode.SetGroup;
    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    public static List<TreeEntry> Read(IDisk disk, string archive, string scratch, CancellationToken cancellationToken)
    {
        var entries = new Dictionary<string, TreeEntry>(StringComparer.Ordinal);
        long total = 0;
        ForEach(archive, (tar, path) =>
        {
            if (entries.Count >= TreeRules.MaximumEntries) throw ReleaseTree.Refused($"the archive has more than {TreeRules.MaximumEntries} entries", "publish less");
            TreeEntry entry;
            switch (tar.EntryType)
            {
                case TarEntryType.Directory:
                    // The same directory may come again, and nearly all get entries below: both are sorted out at the end.
                    if (entries.TryGetValue(path, out TreeEntry? same) && same is TreeDirectory) return;
                    entry = new TreeDirectory(path);
                    break;
                case TarEntryType.SymbolicLink:
                    entry = new TreeLink(path, tar.LinkName);
                    break;
                case TarEntryType.HardLink:
                    string first = Normal(tar.LinkName);
                    entry = entries.TryGetValue(first, out TreeEntry? linked) && linked is TreeFile content
                        ? content with { Path = path }
                        : throw Refused(path, $"is a hard link to {ReleasePath.Show(tar.LinkName)}, which is no file before it in the archive");
                    break;
                case TarEntryType.RegularFile or TarEntryType.V7RegularFile or TarEntryType.ContiguousFile:
                    if ((tar.Mode & SetId) != 0) throw Refused(path, "is setuid or setgid");
                    total += tar.Length;
                    if (tar.Length > TreeRules.MaximumTotalSize || total > TreeRules.MaximumTotalSize) throw Refused(path, $"brings the archive above {TreeRules.MaximumTotalSize >> 30} GiB");
                    entry = Spool(disk, tar, path, Path.Combine(scratch, $"tar-{entries.Count}"), cancellationToken);
                    break;
                default:
                    throw Refused(path, $"is of type {tar.EntryType}, which a release cannot hold");
            }
            if (!entries.TryAdd(path, entry)) throw Refused(path, "is in the archive twice");
        }, cancellationToken);
        HashSet<string> parents = [.. entries.Keys.Select(path => path.LastIndexOf('/') is var slash and > 0 ? path[..slash] : "")];
        return [.. entries.Values.Where(entry => entry is not TreeDirectory || !parents.Contains(entry.Path))];
    }

    /// <summary>The first <paramref name="limit"/> bytes of a file at the top of an archive, as text; null when it is not there.</summary>
    public static string? ReadText(string archive, string name, int limit, CancellationToken cancellationToken)
    {
        string? text = null;
        ForEach(archive, (tar, path) =>
        {
            if (path != name || tar.DataStream is not { } data) return;
            byte[] bytes = new byte[limit];
            text = Encoding.UTF8.GetString(bytes, 0, data.ReadAtLeast(bytes, limit, throwOnEndOfStream: false));
        }, cancellationToken);
        return text;
    }

    private static void ForEach(string archive, Action<TarEntry, string> action, CancellationToken cancellationToken)
    {
        try
        {
            using FileStream file = File.OpenRead(archive);
            using var gzip = new GZipStream(file, CompressionMode.Decompress);
            using var reader = new TarReader(gzip);
            while (reader.GetNextEntry() is { } tar)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (tar.EntryType == TarEntryType.GlobalExtendedAttributes) continue;
                string path = Normal(tar.Name);
                if (path is "" or ".") continue;
                if (ReleasePath.Problem(path) is { } problem) throw Refused(path, problem);
                if (path.Contains('\uFFFD')) throw Refused(path, "is not valid UTF-8");
                action(tar, path);
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or NotSupportedException)
        {
            throw new OperatorException(ExitCode.Usage, $"{archive} is not a whole .tar.gz: {e.Message}", "name a directory or a .tar.gz, as 'tar -czf' makes it", e);
        }
    }

    private static TreeFile Spool(IDisk disk, TarEntry tar, string path, string spool, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = 0;
        disk.WriteFile(spool, DurableOperations.Mode600, output =>
        {
            byte[] buffer = new byte[1 << 16];
            while (tar.DataStream?.Read(buffer) is { } read and > 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
                hash.AppendData(buffer.AsSpan(0, read));
                output.Write(buffer, 0, read);
                size += read;
            }
        });
        return new TreeFile(path, (tar.Mode & AnyExecute) != 0, size, new Digest(Convert.ToHexStringLower(hash.GetHashAndReset())), () => disk.OpenRead(spool));
    }

    // tar itself writes "./name" and "name/".
    private static string Normal(string name)
    {
        while (name.StartsWith("./", StringComparison.Ordinal)) name = name[2..];
        return name.Length > 1 ? name.TrimEnd('/') : name;
    }

    private static OperatorException Refused(string path, string problem) =>
        ReleaseTree.Refused($"{ReleasePath.Show(path)} {problem}", "take it out of the archive");
}

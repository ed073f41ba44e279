using Agent.Artifacts.Durable;

namespace Agent.Tests.Artifacts.Trust;

/// <summary>As much of a disk as trusted metadata needs, without waiting for a real one's syncs; it can fail at any effect.</summary>
internal sealed class MemoryDisk : IDisk
{
    private readonly HashSet<string> directories = ["/"];

    public Dictionary<string, byte[]> Files { get; } = [];

    /// <summary>Effects that still work; null: all.</summary>
    public int? EffectsLeft { get; set; }

    public EntryKind Kind(string path) => directories.Contains(path) ? EntryKind.Directory : Files.ContainsKey(path) ? EntryKind.File : EntryKind.Missing;

    public FileStatus? Status(string path) => Kind(path) switch
    {
        EntryKind.Directory => new FileStatus(FileStatus.FileType.Directory, DurableOperations.Mode755),
        EntryKind.File => new FileStatus(FileStatus.FileType.File, DurableOperations.Mode600),
        _ => null,
    };

    public Stream OpenRead(string path) => new MemoryStream(Files[path], writable: false);

    public IReadOnlyList<string> List(string directory) => [.. Files.Keys.Where(path => Path.GetDirectoryName(path) == directory).Select(path => Path.GetFileName(path))];

    public void MakeDirectory(string path, UnixFileMode mode)
    {
        Effect();
        directories.Add(path);
    }

    public void WriteFile(string path, UnixFileMode mode, Action<Stream> write)
    {
        Effect();
        using var memory = new MemoryStream();
        write(memory);
        Files[path] = memory.ToArray();
    }

    public void Rename(string from, string to)
    {
        Effect();
        Files.Remove(from, out byte[]? content);
        Files[to] = content!;
    }

    public void SetOwner(string path, uint user, uint group) => throw new NotSupportedException();

    public void SetMode(string path, UnixFileMode mode) => throw new NotSupportedException();

    public void SyncFile(string path) => Effect();

    public void SyncDirectory(string path) => Effect();

    public string? ReadLink(string path) => throw new NotSupportedException();

    public long FreeBytes(string path) => throw new NotSupportedException();

    public void Append(string path, ReadOnlySpan<byte> content) => throw new NotSupportedException();

    public void Truncate(string path, long length) => throw new NotSupportedException();

    public void LinkOrCopy(string from, string to, UnixFileMode mode) => throw new NotSupportedException();

    public void MakeLink(string path, string target) => throw new NotSupportedException();

    public void RemoveFile(string path) => throw new NotSupportedException();

    public void RemoveDirectory(string path) => throw new NotSupportedException();

    public void SyncTree(string path) => throw new NotSupportedException();

    private void Effect()
    {
        if (EffectsLeft is { } left && (EffectsLeft = left - 1) < 0) throw new IOException("power is gone");
    }
}

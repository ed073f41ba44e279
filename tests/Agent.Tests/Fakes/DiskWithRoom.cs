using Agent.Artifacts.Durable;

namespace Agent.Tests.Fakes;

/// <summary>The machine's disk, with as much room as a test says.</summary>
internal sealed class DiskWithRoom(long free) : IDisk
{
    private readonly Disk disk = new();

    public long FreeBytes(string path) => free;

    public EntryKind Kind(string path) => disk.Kind(path);

    public FileStatus? Status(string path) => disk.Status(path);

    public Stream OpenRead(string path) => disk.OpenRead(path);

    public IReadOnlyList<string> List(string directory) => disk.List(directory);

    public string? ReadLink(string path) => disk.ReadLink(path);

    public void MakeDirectory(string path, UnixFileMode mode) => disk.MakeDirectory(path, mode);

    public void WriteFile(string path, UnixFileMode mode, Action<Stream> write) => disk.WriteFile(path, mode, write);

    public void Append(string path, ReadOnlySpan<byte> content) => disk.Append(path, content);

    public void Truncate(string path, long length) => disk.Truncate(path, length);

    public void Rename(string from, string to) => disk.Rename(from, to);

    public void LinkOrCopy(string from, string to, UnixFileMode mode) => disk.LinkOrCopy(from, to, mode);

    public void MakeLink(string path, string target) => disk.MakeLink(path, target);

    public void RemoveFile(string path) => disk.RemoveFile(path);

    public void RemoveDirectory(string path) => disk.RemoveDirectory(path);

    public void SetOwner(string path, uint user, uint group) => disk.SetOwner(path, user, group);

    public void SetMode(string path, UnixFileMode mode) => disk.SetMode(path, mode);

    public void SyncFile(string path) => disk.SyncFile(path);

    public void SyncDirectory(string path) => disk.SyncDirectory(path);

    public void SyncTree(string path) => disk.SyncTree(path);
}

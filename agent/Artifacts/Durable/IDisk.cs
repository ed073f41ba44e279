namespace Agent.Artifacts.Durable;

/// <summary>What lies at a path; links are not followed.</summary>
internal enum EntryKind
{
    Missing,
    File,
    Directory,
    Link,
}

/// <summary>
/// The primitive operations through which all state is read and written. Each mutation is one effect: power may fail
/// between any two, and until <see cref="SyncFile"/>, <see cref="SyncDirectory"/> or <see cref="SyncTree"/> returned, what was
/// written may survive, vanish or tear. So a simulated disk can stand in and try every moment.
/// <see cref="DurableOperations"/> composes them; use that where it has what you need.
/// </summary>
/// <remarks>All fail with <see cref="IOException"/> (disk full, read-only, missing parent). Paths are absolute.</remarks>
internal interface IDisk
{
    EntryKind Kind(string path);

    /// <summary>Type, mode and owner; null when there is nothing, or it cannot be looked at.</summary>
    FileStatus? Status(string path);

    Stream OpenRead(string path);

    /// <summary>Names (not paths) of the entries of a directory, in no order; none when it is missing.</summary>
    IReadOnlyList<string> List(string directory);

    /// <summary>Target of a symbolic link; null when <paramref name="path"/> is none.</summary>
    string? ReadLink(string path);

    /// <summary>Free bytes for this process on the file system that holds <paramref name="path"/>.</summary>
    long FreeBytes(string path);

    /// <summary>Makes one directory; nothing when it exists.</summary>
    void MakeDirectory(string path, UnixFileMode mode);

    /// <summary>Creates or truncates a file (a link there is replaced, never followed) and lets <paramref name="write"/> fill it. Not synced.</summary>
    void WriteFile(string path, UnixFileMode mode, Action<Stream> write);

    /// <summary>Appends to a file, making it (mode 600) where it is missing. Not synced.</summary>
    void Append(string path, ReadOnlySpan<byte> content);

    void Truncate(string path, long length);

    /// <summary>Renames over whatever file or link is there; a directory only onto nothing.</summary>
    void Rename(string from, string to);

    /// <summary>A second name for a file; copies where the file system cannot link. Fails when <paramref name="to"/> exists.</summary>
    void LinkOrCopy(string from, string to, UnixFileMode mode);

    void MakeLink(string path, string target);

    /// <summary>Removes a file or link; nothing when it is missing.</summary>
    void RemoveFile(string path);

    /// <summary>Removes an empty directory; nothing when it is missing.</summary>
    void RemoveDirectory(string path);

    /// <summary>In place of a user or group: it stays. Source: chown(2).</summary>
    const uint Unchanged = uint.MaxValue;

    /// <summary>Gives a file or directory to a user and a group; a link is not followed. Not synced.</summary>
    void SetOwner(string path, uint user, uint group);

    /// <summary>Sets the mode of a file or directory. Not synced.</summary>
    void SetMode(string path, UnixFileMode mode);

    void SyncFile(string path);

    void SyncDirectory(string path);

    /// <summary>Makes durable all that was written so far on the file system that holds <paramref name="path"/> (syncfs(2)).</summary>
    void SyncTree(string path);
}

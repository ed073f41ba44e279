using System.Text;

namespace Agent.Artifacts.Durable;

/// <summary>The durable operations that everything is made of. On return their effect survives a power cut.</summary>
internal static class DurableOperations
{
    /// <summary>Suffix of files and links that a crash may leave behind; <see cref="RemoveLeftovers"/> takes them away.</summary>
    public const string TemporarySuffix = ".agentd-tmp";

    public const UnixFileMode Mode600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    public const UnixFileMode Mode644 = Mode600 | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    public const UnixFileMode Mode700 = Mode600 | UnixFileMode.UserExecute;
    public const UnixFileMode Mode755 = Mode700 | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    /// <summary>Replaces a whole file: write beside, sync, rename, sync the directory.</summary>
    public static void WriteAtomic(this IDisk disk, string path, ReadOnlyMemory<byte> content, UnixFileMode mode = Mode644)
    {
        string beside = path + TemporarySuffix;
        disk.WriteFile(beside, mode, stream => stream.Write(content.Span));
        disk.SyncFile(beside);
        disk.Rename(beside, path);
        disk.SyncDirectory(Parent(path));
    }

    public static void WriteAtomic(this IDisk disk, string path, string content, UnixFileMode mode = Mode644) =>
        disk.WriteAtomic(path, Encoding.UTF8.GetBytes(content), mode);

    /// <summary>Points a symbolic link at a new target in one step that readers cannot see half-done.</summary>
    public static void ReplaceLink(this IDisk disk, string path, string target)
    {
        string beside = path + TemporarySuffix;
        disk.RemoveFile(beside);
        disk.MakeLink(beside, target);
        disk.Rename(beside, path);
        disk.SyncDirectory(Parent(path));
    }

    public static void AppendDurable(this IDisk disk, string path, ReadOnlySpan<byte> content)
    {
        bool isNew = disk.Kind(path) == EntryKind.Missing;
        disk.Append(path, content);
        disk.SyncFile(path);
        if (isNew) disk.SyncDirectory(Parent(path));
    }

    public static void RemoveDurable(this IDisk disk, string path)
    {
        if (disk.Kind(path) == EntryKind.Missing) return;
        disk.RemoveTree(path);
        disk.SyncDirectory(Parent(path));
    }

    /// <summary>Removes a file, a link (never what it points to) or a directory with all below it. Not synced.</summary>
    public static void RemoveTree(this IDisk disk, string path)
    {
        switch (disk.Kind(path))
        {
            case EntryKind.Directory:
                foreach (string name in disk.List(path)) disk.RemoveTree(Path.Combine(path, name));
                disk.RemoveDirectory(path);
                break;
            case EntryKind.File or EntryKind.Link:
                disk.RemoveFile(path);
                break;
        }
    }

    /// <summary>Makes a directory and the missing ones above it, durably.</summary>
    public static void MakeDirectories(this IDisk disk, string path, UnixFileMode mode = Mode755)
    {
        if (disk.Kind(path) == EntryKind.Directory) return;
        string parent = Parent(path);
        disk.MakeDirectories(parent, mode);
        disk.MakeDirectory(path, mode);
        disk.SyncDirectory(parent);
    }

    /// <summary>Removes what interrupted operations left directly in a directory.</summary>
    public static void RemoveLeftovers(this IDisk disk, string directory)
    {
        foreach (string name in disk.List(directory))
            if (name.EndsWith(TemporarySuffix, StringComparison.Ordinal)) disk.RemoveDurable(Path.Combine(directory, name));
    }

    public static byte[] ReadAll(this IDisk disk, string path)
    {
        using Stream stream = disk.OpenRead(path);
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    }

    public static string ReadText(this IDisk disk, string path) => Encoding.UTF8.GetString(disk.ReadAll(path));

    public static bool Exists(this IDisk disk, string path) => disk.Kind(path) != EntryKind.Missing;

    private static string Parent(string path) => Path.GetDirectoryName(path) ?? "/";
}

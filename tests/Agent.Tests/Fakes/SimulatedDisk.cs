using Agent.Artifacts.Durable;

namespace Agent.Tests.Fakes;

/// <summary>What a power cut does to what was written and not synced.</summary>
public enum Loss
{
    /// <summary>Only the agent dies: the kernel keeps everything, and applications run on.</summary>
    AgentKilled,

    /// <summary>Power fails, and everything happened to be on the disk.</summary>
    Kept,

    /// <summary>Power fails; nothing that was not synced is there.</summary>
    Dropped,

    /// <summary>Power fails; of what was not synced every other change is there, and files are cut half-way and padded with zeros.</summary>
    Torn,
}

/// <summary>The world ended at this moment.</summary>
internal sealed class PowerLostException() : Exception("power is lost");

/// <summary>Counts effects in the whole world and ends it at a chosen one.</summary>
internal sealed class Fuse(int effects)
{
    public bool Blown { get; private set; }

    /// <summary>Effects so far.</summary>
    public int Used { get; private set; }

    /// <summary>Called before each effect.</summary>
    public void Burn()
    {
        Check();
        if (Used++ < effects) return;
        Blown = true;
        Check();
    }

    public void Check()
    {
        if (Blown) throw new PowerLostException();
    }
}

/// <summary>
/// A disk in memory that knows what was synced. Directory changes become durable by SyncDirectory of the directory (or SyncTree),
/// contents of files by SyncFile (or SyncTree): as ext4 and XFS promise, and no more.
/// </summary>
internal sealed class SimulatedDisk(Fuse fuse) : IDisk
{
    private readonly Dictionary<string, Node> now = new() { ["/"] = Node.Directory(DurableOperations.Mode755) };
    private readonly Dictionary<string, Node> durable = new() { ["/"] = Node.Directory(DurableOperations.Mode755) };

    /// <summary>Directory changes since the last sync, oldest first: path and what is there then (null: nothing).</summary>
    private readonly List<(string Path, Node? Node)> pending = [];

    private (int After, int Lasts) trouble = (int.MaxValue, 0);
    private int written;

    private sealed class Node
    {
        public required EntryKind Kind { get; init; }
        public UnixFileMode Mode { get; init; }
        public string? Target { get; init; }
        public byte[] Content { get; set; } = [];
        public byte[] Synced { get; set; } = [];
        public static Node Directory(UnixFileMode mode) => new() { Kind = EntryKind.Directory, Mode = mode };
    }

    /// <summary>An error that every write gives from now on; null: none.</summary>
    public IOException? Fault { get; set; }

    /// <summary>Some write was refused since the last <see cref="TroubleFrom"/>.</summary>
    public bool Refused { get; private set; }

    public long Free { get; set; } = long.MaxValue;

    /// <summary>Writes fail after so many more that work, for so many.</summary>
    public void TroubleFrom(int after, int lasts) => (trouble, written, Refused) = ((after, lasts), 0, false);

    public IEnumerable<string> AllPaths => now.Keys.Order(StringComparer.Ordinal);

    /// <summary>The disk as it is found at the next start.</summary>
    public SimulatedDisk After(Loss loss, Fuse next)
    {
        var disk = new SimulatedDisk(next);
        if (loss is Loss.AgentKilled or Loss.Kept)
        {
            CopyTree(now, disk, node => node.Content);
            return disk;
        }
        var tree = new Dictionary<string, Node>(durable);
        if (loss == Loss.Torn)
            for (int i = 0; i < pending.Count; i += 2) Set(tree, pending[i].Path, pending[i].Node);
        // An entry whose directory did not survive is gone too.
        foreach (string path in tree.Keys.ToList())
            for (string? up = Path.GetDirectoryName(path); up is not null; up = Path.GetDirectoryName(up))
                if (!tree.ContainsKey(up)) tree.Remove(path);
        CopyTree(tree, disk, node => loss == Loss.Dropped || node.Content.AsSpan().SequenceEqual(node.Synced) ? node.Synced : Tear(node));
        return disk;
    }

    public EntryKind Kind(string path)
    {
        fuse.Check();
        return now.TryGetValue(path, out Node? node) ? node.Kind : EntryKind.Missing;
    }

    /// <summary>All is root's.</summary>
    public FileStatus? Status(string path)
    {
        fuse.Check();
        return !now.TryGetValue(path, out Node? node) ? null : node.Kind switch
        {
            EntryKind.Directory => new FileStatus(FileStatus.FileType.Directory, node.Mode),
            EntryKind.Link => new FileStatus(FileStatus.FileType.Link, node.Mode),
            _ => new FileStatus(FileStatus.FileType.File, node.Mode),
        };
    }

    public Stream OpenRead(string path)
    {
        fuse.Check();
        for (int hops = 0; hops < 8 && now.TryGetValue(Resolve(path), out Node? node); hops++)
        {
            if (node.Kind == EntryKind.File) return new MemoryStream(node.Content, writable: false);
            if (node.Kind != EntryKind.Link) break;
            path = Path.GetFullPath(node.Target!, Path.GetDirectoryName(path)!);
        }
        throw new FileNotFoundException(path);
    }

    public IReadOnlyList<string> List(string directory)
    {
        fuse.Check();
        string prefix = directory == "/" ? "/" : directory + "/";
        return [.. now.Keys.Where(p => p.Length > prefix.Length && p.StartsWith(prefix, StringComparison.Ordinal) && !p.AsSpan(prefix.Length).Contains('/')).Select(p => p[prefix.Length..])];
    }

    public string? ReadLink(string path)
    {
        fuse.Check();
        return now.TryGetValue(path, out Node? node) ? node.Target : null;
    }

    public long FreeBytes(string path) => Free;

    public void MakeDirectory(string path, UnixFileMode mode)
    {
        Effect();
        if (now.TryGetValue(path, out Node? there))
        {
            if (there.Kind != EntryKind.Directory) throw new IOException($"{path} exists");
            return;
        }
        Change(path, Node.Directory(mode));
    }

    public void WriteFile(string path, UnixFileMode mode, Action<Stream> write)
    {
        Effect();
        RequireNoDirectory(path);
        var content = new MemoryStream();
        write(content);
        Change(path, new Node { Kind = EntryKind.File, Mode = mode, Content = content.ToArray() });
    }

    public void Append(string path, ReadOnlySpan<byte> content)
    {
        Effect();
        if (!now.TryGetValue(path, out Node? node)) Change(path, node = new Node { Kind = EntryKind.File, Mode = DurableOperations.Mode600 });
        node.Content = [.. node.Content, .. content];
    }

    public void Truncate(string path, long length)
    {
        Effect();
        Node node = File(path);
        node.Content = node.Content[..(int)length];
    }

    public void Rename(string from, string to)
    {
        Effect();
        Node node = now.TryGetValue(from, out Node? found) ? found : throw new FileNotFoundException(from);
        if (node.Kind == EntryKind.Directory)
        {
            if (now.ContainsKey(to)) throw new IOException($"{to} exists");
            foreach (string path in now.Keys.Where(p => p == from || p.StartsWith(from + "/", StringComparison.Ordinal)).ToList())
            {
                // One change for the disk: a directory moves with all that is durable in it.
                Node child = now[path];
                now.Remove(path);
                now[to + path[from.Length..]] = child;
            }
            pending.Add((from + "\0" + to, node));
            return;
        }
        RequireNoDirectory(to);
        now.Remove(from);
        now[to] = node;
        pending.Add((from + "\0" + to, node));
    }

    public void LinkOrCopy(string from, string to, UnixFileMode mode)
    {
        Effect();
        if (now.ContainsKey(to)) throw new IOException($"{to} exists");
        Change(to, File(from));
    }

    public void MakeLink(string path, string target)
    {
        Effect();
        if (now.ContainsKey(path)) throw new IOException($"{path} exists");
        Change(path, new Node { Kind = EntryKind.Link, Target = target });
    }

    public void RemoveFile(string path)
    {
        Effect();
        RequireNoDirectory(path);
        if (now.ContainsKey(path)) Change(path, null);
    }

    public void RemoveDirectory(string path)
    {
        Effect();
        if (List(path).Count > 0) throw new IOException($"{path} is not empty");
        if (now.ContainsKey(path)) Change(path, null);
    }

    public void SetOwner(string path, uint user, uint group) => Effect();

    public void SetMode(string path, UnixFileMode mode) => Effect();

    public void SyncFile(string path)
    {
        Effect();
        Node node = File(path);
        node.Synced = node.Content;
    }

    public void SyncDirectory(string path)
    {
        Effect();
        if (!now.ContainsKey(path)) throw new FileNotFoundException(path);
        // Ordered, as a journaling file system: what came earlier anywhere is durable too. It may promise less across directories,
        // but within one directory and for a rename's two ends this is what both promise.
        foreach ((string changed, Node? node) in pending.ToList())
        {
            if (!changed.Split('\0').Any(p => Path.GetDirectoryName(p) == path)) continue;
            Set(durable, changed, node);
            pending.Remove((changed, node));
        }
    }

    public void SyncTree(string path)
    {
        Effect();
        foreach ((string changed, Node? node) in pending) Set(durable, changed, node);
        pending.Clear();
        foreach (Node node in now.Values) node.Synced = node.Content;
    }

    private void Effect()
    {
        fuse.Burn();
        if (written++ is var n && n >= trouble.After && n - trouble.After < trouble.Lasts)
        {
            Refused = true;
            throw new IOException("No space left on device");
        }
        if (Fault is { } fault) throw fault;
    }

    private void Change(string path, Node? node)
    {
        string parent = Path.GetDirectoryName(path)!;
        if (!now.TryGetValue(parent, out Node? directory) || directory.Kind != EntryKind.Directory) throw new DirectoryNotFoundException(parent);
        if (node is null) now.Remove(path);
        else now[path] = node;
        pending.Add((path, node));
    }

    private static void Set(Dictionary<string, Node> tree, string path, Node? node)
    {
        if (path.Split('\0') is [string from, string to])
        {
            foreach (string moved in tree.Keys.Where(p => p == from || p.StartsWith(from + "/", StringComparison.Ordinal)).ToList())
            {
                tree[to + moved[from.Length..]] = tree[moved];
                tree.Remove(moved);
            }
            tree[to] = node!;
        }
        else if (node is not null) tree[path] = node;
        else
            foreach (string gone in tree.Keys.Where(p => p == path || p.StartsWith(path + "/", StringComparison.Ordinal)).ToList()) tree.Remove(gone);
    }

    private static byte[] Tear(Node node)
    {
        byte[] torn = new byte[node.Content.Length];
        node.Content.AsSpan(0, (node.Synced.Length + node.Content.Length) / 2).CopyTo(torn);
        return torn;
    }

    private static void CopyTree(Dictionary<string, Node> from, SimulatedDisk to, Func<Node, byte[]> contentOf)
    {
        var copies = new Dictionary<Node, Node>(ReferenceEqualityComparer.Instance);   // hard links stay links
        foreach ((string path, Node node) in from)
        {
            if (!copies.TryGetValue(node, out Node? copy))
            {
                byte[] content = contentOf(node);
                copies[node] = copy = new Node { Kind = node.Kind, Mode = node.Mode, Target = node.Target, Content = content, Synced = content };
            }
            to.now[path] = to.durable[path] = copy;
        }
    }

    private Node File(string path) => now.TryGetValue(path, out Node? node) && node.Kind == EntryKind.File ? node : throw new FileNotFoundException(path);

    private void RequireNoDirectory(string path)
    {
        if (now.TryGetValue(path, out Node? node) && node.Kind == EntryKind.Directory) throw new IOException($"{path} is a directory");
    }

    // Follows a link in a directory part, as the kernel does: only `current` is one.
    private string Resolve(string path)
    {
        for (string? up = Path.GetDirectoryName(path); up is not null; up = Path.GetDirectoryName(up))
            if (now.TryGetValue(up, out Node? node) && node.Kind == EntryKind.Link)
                return Resolve(Path.GetFullPath(node.Target!, Path.GetDirectoryName(up)!) + path[up.Length..]);
        return path;
    }
}

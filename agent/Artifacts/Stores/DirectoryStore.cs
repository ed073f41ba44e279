using System.Runtime.CompilerServices;
using Agent.Artifacts.Durable;

namespace Agent.Artifacts.Stores;

/// <summary>
/// A store in a directory, maybe one that others can write to: symbolic links and special files in it are never followed or opened.
/// Objects appear by rename, so what was interrupted is never seen. One writer at a time, by a lock on <c>.lock</c>.
/// </summary>
/// <param name="root">Absolute. Made by the first put.</param>
internal sealed partial class DirectoryStore(string root, IDisk disk, TimeProvider time) : IStoreWriter, IPrivateStore
{
    private const string LockFile = ".lock";
    private static readonly TimeSpan LockWait = TimeSpan.FromMinutes(2);

    public string Description => root;

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string file = Resolve(path);
        try
        {
            if (FileStatus.Of(root) is null) throw Unreachable("there is no such directory", null);
            if (FileStatus.Of(file) is null) throw new StoreObjectMissingException(Description, path);
            Stream stream = disk.OpenRead(file);
            stream.Seek(offset, SeekOrigin.Begin);
            return Task.FromResult<StoreObject?>(new StoreObject(stream, offset, ETag: null));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new StoreObjectMissingException(Description, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Unreachable(e.Message, e);
        }
    }

    public async Task PutAsync(string path, Stream content, CancellationToken cancellationToken)
    {
        using IDisposable held = await LockAsync(cancellationToken);
        string file = Resolve(path);
        if (FileStatus.Of(file) is not null) return;
        Writing(() =>
        {
            disk.MakeDirectories(Path.GetDirectoryName(file)!);
            string beside = file + DurableOperations.TemporarySuffix;
            disk.WriteFile(beside, DurableOperations.Mode644, stream =>
            {
                byte[] buffer = new byte[1 << 17];
                for (int read; (read = content.Read(buffer)) > 0;)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    stream.Write(buffer, 0, read);
                }
            });
            disk.SyncFile(beside);
            disk.Rename(beside, file);
            disk.SyncDirectory(Path.GetDirectoryName(file)!);
        });
    }

    public async Task<bool> ReplaceAsync(string path, byte[] content, byte[]? expected, CancellationToken cancellationToken)
    {
        using IDisposable held = await LockAsync(cancellationToken);
        string file = Resolve(path);
        byte[]? present = FileStatus.Of(file) is null ? null : disk.ReadAll(file);
        if (expected is null ? present is not null : present is null || !present.AsSpan().SequenceEqual(expected)) return false;
        Writing(() =>
        {
            disk.MakeDirectories(Path.GetDirectoryName(file)!);
            disk.WriteAtomic(file, content);
        });
        return true;
    }

    public async IAsyncEnumerable<string> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var ahead = new Stack<string>([""]);
        while (ahead.TryPop(out string? below))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (string name in disk.List(Path.Combine(root, below)).Order(StringComparer.Ordinal))
            {
                string path = below.Length == 0 ? name : $"{below}/{name}";
                // Only directories that can still hold what begins with the prefix.
                bool towards = prefix.StartsWith(path + "/", StringComparison.Ordinal) || path.StartsWith(prefix, StringComparison.Ordinal);
                switch (FileStatus.Of(Path.Combine(root, path))?.Type)
                {
                    case FileStatus.FileType.Directory when towards:
                        ahead.Push(path);
                        break;
                    case FileStatus.FileType.File when path.StartsWith(prefix, StringComparison.Ordinal) && path != LockFile && !path.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal):
                        yield return path;
                        break;
                }
            }
        }
    }

    // The root itself may be a link of the operator's; below it nothing is.
    private string Resolve(string path)
    {
        string at = root;
        string[] names = StorePath.Checked(path).Split('/');
        for (int i = 0; i < names.Length; i++)
        {
            at = Path.Combine(at, names[i]);
            FileStatus.FileType? type = FileStatus.Of(at)?.Type;
            if (type is null) break;
            if (type != (i == names.Length - 1 ? FileStatus.FileType.File : FileStatus.FileType.Directory))
                throw Unreachable($"{string.Join('/', names[..(i + 1)])} in it is a {type.ToString()!.ToLowerInvariant()}, where a store has none", null);
        }
        return Path.Combine(root, path);
    }

    private async Task<IDisposable> LockAsync(CancellationToken cancellationToken)
    {
        Writing(() => disk.MakeDirectories(root));
        try
        {
            return await FileLock.TakeAsync(Resolve(LockFile), LockWait, time, cancellationToken)
                ?? throw new OperatorException(ExitCode.Unreachable, $"another publisher has held the store {root} for {LockWait.TotalMinutes:0} minutes", "wait for it to end, then publish again");
        }
        catch (UnauthorizedAccessException e)
        {
            throw NotWritable(e);
        }
    }

    private void Writing(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(e);
        }
    }

    private OperatorException NotWritable(Exception e) =>
        new(ExitCode.Unreachable, $"the store {root} cannot be written: {e.Message}", "make room in it and let this user write to it, then publish again: what was interrupted is not visible", e);

    private OperatorException Unreachable(string why, Exception? cause) =>
        new(ExitCode.Unreachable, $"the store {root} cannot be read: {why}", "check the directory and its mount", cause);
}

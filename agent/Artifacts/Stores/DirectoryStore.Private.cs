using Agent.Artifacts.Durable;

namespace Agent.Artifacts.Stores;

// What nobody else may read: mode 600 in directories of mode 700 that belong to this user. Only who owns a prefix writes there, so that no lock is taken.
internal sealed partial class DirectoryStore
{
    public Task<long?> PreparePrivateAsync(string prefix, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string place = PlaceOf(prefix);
        try
        {
            disk.MakeDirectories(place, DurableOperations.Mode700);
            if (Environment.IsPrivilegedProcess && disk.Status(place)?.Owner != 0)
                throw new OperatorException(ExitCode.Refused, $"{place} does not belong to root, and what goes there is for nobody else", $"chown root: {place}");
            disk.SetMode(place, DurableOperations.Mode700);
            return Task.FromResult<long?>(disk.FreeBytes(place));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Refused, $"{place} cannot be written: {e.Message}", "let the agent write there: systemctl edit agentd, [Service], ReadWritePaths=", e);
        }
    }

    // Synchronously, as the disk is.
    public Task PutPrivateAsync(string path, Action<Stream> write, CancellationToken cancellationToken) => Task.Factory.StartNew(
        () =>
        {
            string file = Resolve(path), beside = file + DurableOperations.TemporarySuffix;
            try
            {
                disk.WriteFile(beside, DurableOperations.Mode600, write);
                disk.SyncFile(beside);
                disk.Rename(beside, file);
                disk.SyncDirectory(Path.GetDirectoryName(file)!);
            }
            catch
            {
                disk.RemoveFile(beside);
                throw;
            }
        },
        cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public long? FreeBytes(string prefix) => disk.FreeBytes(PlaceOf(prefix));

    public Task<IReadOnlyList<string>> ListPrivateAsync(string prefix, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        string place = PlaceOf(prefix);
        return Task.FromResult<IReadOnlyList<string>>(
        [
            .. disk.List(place).Where(name => !name.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal) && disk.Status(Path.Combine(place, name))?.Type == FileStatus.FileType.File),
        ]);
    }

    public Task RemoveAsync(string path, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.RemoveDurable(Resolve(path));
        return Task.CompletedTask;
    }

    public Task RemoveLeftoversAsync(string prefix, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.RemoveLeftovers(PlaceOf(prefix));
        return Task.CompletedTask;
    }

    // A share that is not mounted must not be made on this host's own disk; what is private as a whole is made.
    private string PlaceOf(string prefix)
    {
        if (prefix.Length == 0) return root;
        if (FileStatus.Of(root) is null) throw Unreachable("there is no such directory", null);
        return Path.GetDirectoryName(Resolve(prefix + LockFile))!;
    }
}

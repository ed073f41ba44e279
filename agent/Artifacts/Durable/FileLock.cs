namespace Agent.Artifacts.Durable;

/// <summary>A file that one process holds at a time. It stays where it is, empty.</summary>
public static class FileLock
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);

    /// <summary>Takes it, and waits while somebody else has it. Disposing what is returned lets go of it.</summary>
    /// <param name="file">Made when it is missing.</param>
    /// <returns>Null: it was held for as long as <paramref name="patience"/>.</returns>
    /// <exception cref="UnauthorizedAccessException">This user may not write to it.</exception>
    public static async Task<IDisposable?> TakeAsync(string file, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        for (long start = time.GetTimestamp(); ; await Task.Delay(Poll, time, cancellationToken))
        {
            try
            {
                // FileShare.None is flock(2): the kernel lets go of it when this process ends, however it ends.
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (time.GetElapsedTime(start) >= patience)
            {
                return null;
            }
            catch (IOException)
            {
                // Held.
            }
        }
    }
}

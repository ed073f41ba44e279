using System.Buffers;
using Agent.Artifacts;
using Agent.Artifacts.Stores;

namespace Agent.Daemon.Fetching;

/// <summary>
/// Reads places of one stored object in rising order, with as few requests as make sense: what lies close is skipped over, what lies far
/// is asked for anew. Where the store cannot give ranges, one answer serves all.
/// </summary>
internal sealed class ObjectReader(IStoreReader store, string path) : IAsyncDisposable
{
    /// <summary>Skipping this much costs less than another request.</summary>
    public const int CloseBy = 128 << 10;

    private StoreObject? opened;
    private long position;
    private bool whole;

    /// <summary>Bytes that came since the last request, also those skipped.</summary>
    public long Received { get; private set; }

    /// <summary>Makes <paramref name="offset"/> the next byte.</summary>
    /// <param name="until">End of what will be read without another request.</param>
    public async Task SeekAsync(long offset, long until, CancellationToken cancellationToken)
    {
        long gap = offset - position;
        if (opened is null || gap < 0 || (gap > CloseBy && !whole))
        {
            await CloseAsync();
            Received = 0;
            try
            {
                opened = await store.OpenRangeAsync(path, offset, until - offset, cancellationToken);
            }
            catch (StoreObjectMissingException e)
            {
                throw new OperatorException(ExitCode.Unreachable, $"{e.Message}, which the signed manifest names", "try again; if it stays so, publish the release again", e);
            }
            position = opened.Offset;
            whole = opened.Offset != offset;
        }
        if (position == offset) return;
        byte[] skipped = ArrayPool<byte>.Shared.Rent(1 << 16);
        try
        {
            while (position < offset) await ReadAsync(skipped.AsMemory(0, (int)Math.Min(skipped.Length, offset - position)), cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(skipped);
        }
    }

    /// <returns>Bytes read, at least 1.</returns>
    /// <exception cref="OperatorException">The store cut it (<see cref="ExitCode.Unreachable"/>).</exception>
    public async Task<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int read;
        try
        {
            read = await opened!.Content.ReadAsync(buffer, cancellationToken);
        }
        catch (IOException e)
        {
            throw new OperatorException(ExitCode.Unreachable, $"{path} cannot be read from {store.Description}: {e.Message}", "check the store, then try again", e);
        }
        if (read == 0) throw new OperatorException(ExitCode.Unreachable, $"{path} from {store.Description} ends early, at byte {position}", "try again; if it stays so, publish the release again");
        position += read;
        Received += read;
        return read;
    }

    /// <summary>Gives up what is open; the next seek asks anew.</summary>
    public async ValueTask CloseAsync()
    {
        if (opened is not null) await opened.DisposeAsync();
        opened = null;
    }

    public ValueTask DisposeAsync() => CloseAsync();
}

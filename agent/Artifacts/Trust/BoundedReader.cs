using System.Buffers;

namespace Agent.Artifacts.Trust;

/// <summary>Reads what a hostile store sends: never more than asked for, and never for longer than a floor of the rate allows.</summary>
internal static class BoundedReader
{
    /// <summary>Bytes a second that a store must reach on average once <see cref="Grace"/> is over.</summary>
    public const int FloorBytesPerSecond = 16 * 1024;

    /// <summary>What opening and the first bytes may take.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromSeconds(20);

    /// <summary>Reads to the end of the stream, <paramref name="limit"/> bytes at most.</summary>
    /// <param name="name">What is read, for the error.</param>
    /// <remarks>
    /// After N bytes the next one must have come within <see cref="Grace"/> + N / <see cref="FloorBytesPerSecond"/> of the start, so
    /// the whole ends within <see cref="Grace"/> + limit / floor, however the bytes are spread.
    /// </remarks>
    /// <exception cref="TrustException"><see cref="TrustFailure.Length"/>: there is more; <see cref="TrustFailure.Slow"/>: it is below the floor.</exception>
    public static async Task<byte[]> ReadAsync(Stream stream, long limit, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        using var memory = new MemoryStream();
        byte[] buffer = ArrayPool<byte>.Shared.Rent(32 * 1024);
        using var slow = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, slow.Token);
        long start = time.GetTimestamp();
        try
        {
            while (true)
            {
                TimeSpan left = Grace + TimeSpan.FromSeconds((double)memory.Length / FloorBytesPerSecond) - time.GetElapsedTime(start);
                if (left <= TimeSpan.Zero) throw TrustException.Slow(name);
                slow.CancelAfter(left);
                // One byte beyond the limit tells "too long" from "just right".
                int wanted = (int)Math.Min(buffer.Length, limit + 1 - memory.Length);
                int read = await stream.ReadAsync(buffer.AsMemory(0, wanted), either.Token);
                if (read == 0) return memory.ToArray();
                memory.Write(buffer, 0, read);
                if (memory.Length > limit) throw TrustException.Length(name, $"more than {limit} bytes");
            }
        }
        catch (OperationCanceledException) when (slow.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw TrustException.Slow(name);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

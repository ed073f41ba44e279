namespace Agent.Artifacts.Stores;

/// <summary>The body of an answer, that must keep coming: a byte within 20 s, and 64 KiB a minute on average, or the transfer fails as unreachable.</summary>
internal sealed class PacedStream(Stream inner, IDisposable owner, string name, TimeProvider time) : Stream
{
    public static readonly TimeSpan Stall = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);
    private const double FloorBytesPerSecond = 64.0 * 1024 / 60;

    private readonly long start = time.GetTimestamp();
    private long total;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        using var late = new CancellationTokenSource(Stall, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            int read = await inner.ReadAsync(buffer, either.Token);
            total += read;
            TimeSpan elapsed = time.GetElapsedTime(start);
            if (read > 0 && elapsed > Grace && total < FloorBytesPerSecond * (elapsed - Grace).TotalSeconds)
                throw HttpStore.Unreachable($"{name} comes too slowly: {total} bytes in {elapsed.TotalSeconds:0} s", null);
            return read;
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw HttpStore.Unreachable($"{name} stalled: no byte for {Stall.TotalSeconds:0} s", e);
        }
        catch (Exception e) when (e is IOException or HttpRequestException)
        {
            throw HttpStore.Unreachable($"{name} was cut after {total} bytes: {e.GetBaseException().Message}", e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read it asynchronously: a stall is noticed there");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            owner.Dispose();
        }
        base.Dispose(disposing);
    }
}

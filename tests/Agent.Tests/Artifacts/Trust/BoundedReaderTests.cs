using Agent.Artifacts.Trust;
using Agent.Tests.Fakes;

namespace Agent.Tests.Artifacts.Trust;

public class BoundedReaderTests
{
    private readonly ManualTime time = new();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    public async Task Reads_up_to_the_limit(int length)
    {
        byte[] content = new byte[length];
        Random.Shared.NextBytes(content);
        Assert.Equal(content, await BoundedReader.ReadAsync(new MemoryStream(content), length, "it", time, default));
    }

    [Fact]
    public async Task Stops_endless_data_one_byte_after_the_limit()
    {
        var endless = new Drip(time, TimeSpan.Zero, 4096);
        Assert.Equal(TrustFailure.Length, (await Assert.ThrowsAsync<TrustException>(() => BoundedReader.ReadAsync(endless, 10_000, "it", time, default))).Failure);
        Assert.Equal(10_001, endless.Sent);
    }

    [Fact]
    public async Task Stops_a_store_that_drips_below_the_floor()
    {
        long start = time.GetTimestamp();
        TrustException slow = await Assert.ThrowsAsync<TrustException>(() => BoundedReader.ReadAsync(new Drip(time, TimeSpan.FromSeconds(1), 1024), 1 << 20, "it", time, default));
        Assert.Equal(TrustFailure.Slow, slow.Failure);
        Assert.InRange(time.GetElapsedTime(start), BoundedReader.Grace, BoundedReader.Grace + TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task Stops_a_store_that_falls_silent()
    {
        Task<byte[]> reading = BoundedReader.ReadAsync(new Silence(), 1000, "it", time, default);
        time.Advance(BoundedReader.Grace - TimeSpan.FromMilliseconds(1));
        Assert.False(reading.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(TrustFailure.Slow, (await Assert.ThrowsAsync<TrustException>(() => reading)).Failure);
    }

    [Fact]
    public async Task Accepts_a_rate_above_the_floor_for_as_long_as_it_takes()
    {
        var steady = new Drip(time, TimeSpan.FromSeconds(1), BoundedReader.FloorBytesPerSecond) { Left = 2 * 1024 * 1024 };
        Assert.Equal(2 * 1024 * 1024, (await BoundedReader.ReadAsync(steady, 4 * 1024 * 1024, "it", time, default)).Length);
    }

    [Fact]
    public async Task Leaves_when_the_caller_does()
    {
        using var cancel = new CancellationTokenSource();
        Task<byte[]> reading = BoundedReader.ReadAsync(new Silence(), 1000, "it", time, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    private abstract class Source : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    private sealed class Drip(ManualTime time, TimeSpan pause, int bytes) : Source
    {
        public long Left { get; set; } = long.MaxValue;

        public long Sent { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            time.Advance(pause);
            cancellationToken.ThrowIfCancellationRequested();
            int sent = (int)Math.Min(Math.Min(buffer.Length, bytes), Left);
            Left -= sent;
            Sent += sent;
            return ValueTask.FromResult(sent);
        }
    }

    private sealed class Silence : Source
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var never = new TaskCompletionSource<int>();
            await using CancellationTokenRegistration registration = cancellationToken.Register(() => never.TrySetCanceled(cancellationToken));
            return await never.Task;
        }
    }
}

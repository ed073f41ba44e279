using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;

namespace Agent.Tests.Artifacts.Packs;

public sealed class FrameReaderTests
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 100_000).Select(number => (byte)(number * number >> 8))];

    private static byte[] Frame()
    {
        using var frame = new MemoryStream();
        Brotli.Compress(new MemoryStream(Content), frame, quality: 6, CancellationToken.None);
        return frame.ToArray();
    }

    private static ManifestFile File(int start, int size, long frameSize) =>
        new($"at-{start}", false, size, Digest.Of(Content.AsSpan(start, size)), new FramePlace(0, 0, 1, frameSize, start));

    private static void Verify(byte[] frame, params ManifestFile[] files) => FrameReader.Verify(frame, new byte[files[0].Place!.FrameSize + 1], files);

    private static string Problem(byte[] frame, params ManifestFile[] files) => Assert.Throws<InvalidDataException>(() => Verify(frame, files)).Message;

    [Fact]
    public void A_frame_in_memory_is_what_the_manifest_says()
    {
        byte[] content = new byte[Content.Length + 1];
        FrameReader.Verify(Frame(), content, [File(0, 60_000, 100_000), File(60_000, 40_000, 100_000)]);
        Assert.Equal(Content, content[..^1]);
        ManifestFile other = File(60_000, 40_000, 100_000) with { Sha256 = Digest.Of("x"u8) };
        Assert.StartsWith("at-60000 has SHA-256", Problem(Frame(), File(0, 60_000, 100_000), other));
    }

    [Fact]
    public void A_frame_of_another_size_is_not()
    {
        Assert.Equal("a frame is larger than 99999 bytes", Problem(Frame(), File(0, 10, 99_999)));
        Assert.Equal("a frame is larger than 50000 bytes", Problem(Frame(), File(0, 10, 50_000)));
        Assert.Equal("a frame is smaller than 100001 bytes", Problem(Frame(), File(0, 10, 100_001)));
        Assert.Equal("a frame is smaller than 100000 bytes", Problem(Frame()[..^100], File(0, 10, 100_000)));
        Assert.Equal("a frame is smaller than 100000 bytes", Problem([], File(0, 10, 100_000)));
        Assert.Equal("a frame is not Brotli", Problem([.. Enumerable.Repeat((byte)0xff, 1_000)], File(0, 10, 100_000)));
    }
}

using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.IO.Compression;

namespace Agent.Artifacts.Packs;

/// <summary>Brotli with a window of 16 MiB, in bounded memory both ways.</summary>
internal static class Brotli
{
    private const int Window = 24, Chunk = 1 << 16, BestQuality = 11, QuickQuality = 6;

    /// <summary>Content below this is worth the slowest search.</summary>
    private const int WorthBestQuality = 256 << 10;

    public static int QualityFor(long size) => size < WorthBestQuality ? BestQuality : QuickQuality;

    /// <returns>Bytes read from <paramref name="content"/>.</returns>
    public static long Compress(Stream content, Stream compressed, int quality, CancellationToken cancellationToken)
    {
        using var encoder = new BrotliEncoder(quality, Window);
        byte[] input = ArrayPool<byte>.Shared.Rent(Chunk), output = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            long total = 0;
            for (int read = -1; read != 0;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                read = content.Read(input, 0, Chunk);
                total += read;
                ReadOnlySpan<byte> rest = input.AsSpan(0, read);
                OperationStatus status;
                do
                {
                    status = encoder.Compress(rest, output, out int consumed, out int written, isFinalBlock: read == 0);
                    if (status == OperationStatus.InvalidData) throw new InvalidDataException("Brotli cannot compress this");
                    compressed.Write(output, 0, written);
                    rest = rest[consumed..];
                }
                while (status == OperationStatus.DestinationTooSmall || !rest.IsEmpty);
            }
            return total;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    /// <summary>Decompresses what may be hostile; stops one byte after <paramref name="limit"/>.</summary>
    /// <param name="problem">As in <c>the manifest is not Brotli</c>; null when all is well.</param>
    /// <returns>Null where there is a problem.</returns>
    [SuppressMessage("Reliability", "CA2000", Justification = "BrotliDecoder is a struct")]
    public static byte[]? TryDecompress(ReadOnlySpan<byte> stored, int limit, out string? problem)
    {
        using var decoder = new BrotliDecoder();
        var json = new ArrayBufferWriter<byte>(Math.Min(Chunk, limit + 1));
        while (true)
        {
            OperationStatus status = decoder.Decompress(stored, json.GetSpan(Chunk), out int consumed, out int written);
            json.Advance(written);
            stored = stored[consumed..];
            problem = json.WrittenCount > limit ? $"is larger than {limit} bytes"
                : status switch
                {
                    OperationStatus.InvalidData => "is not Brotli",
                    OperationStatus.NeedMoreData => "is cut short",
                    OperationStatus.Done when !stored.IsEmpty => "has more after its end",
                    _ => null,
                };
            if (problem is not null) return null;
            if (status == OperationStatus.Done) return json.WrittenSpan.ToArray();
        }
    }

    /// <summary>Decompresses one frame that may be hostile and lies in memory, to exactly <paramref name="size"/> bytes.</summary>
    /// <param name="content">At least one byte longer than <paramref name="size"/>, by which a longer frame is noticed.</param>
    /// <exception cref="InvalidDataException">It is not Brotli, or not of that size.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "BrotliDecoder is a struct")]
    public static void Decompress(ReadOnlySpan<byte> frame, Span<byte> content, int size)
    {
        using var decoder = new BrotliDecoder();
        OperationStatus status = decoder.Decompress(frame, content[..(size + 1)], out _, out int written);
        if (status == OperationStatus.InvalidData) throw new InvalidDataException("a frame is not Brotli");
        if (status != OperationStatus.Done || written != size) throw new InvalidDataException($"a frame is {(written > size ? "larger" : "smaller")} than {size} bytes");
    }

    // BrotliStream says InvalidOperationException for what is not Brotli.
    private static int Read(BrotliStream decoder, byte[] buffer)
    {
        try
        {
            return decoder.Read(buffer, 0, Chunk);
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException("a frame is not Brotli", e);
        }
    }

    /// <summary>Decompresses one frame that may be hostile, to exactly <paramref name="size"/> bytes, never writing more.</summary>
    /// <exception cref="InvalidDataException">It is not Brotli, or not of that size.</exception>
    public static void Decompress(Stream frame, Stream content, long size, CancellationToken cancellationToken)
    {
        using var decoder = new BrotliStream(frame, CompressionMode.Decompress, leaveOpen: true);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            for (long total = 0; ;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int read = Read(decoder, buffer);
                total += read;
                if (total > size || (read == 0 && total != size)) throw new InvalidDataException($"a frame is {(total > size ? "larger" : "smaller")} than {size} bytes");
                if (read == 0) return;
                content.Write(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

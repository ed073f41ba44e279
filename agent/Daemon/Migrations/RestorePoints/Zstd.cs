using System.Buffers;
using System.Runtime.InteropServices;
using Agent.Artifacts;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Zstandard through libzstd, which PostgreSQL's own packages bring along.</summary>
/// <remarks>Source: zstd.h of 1.5, "Streaming compression" and "Streaming decompression".</remarks>
internal static partial class Zstd
{
    private const int Chunk = 1 << 17;

    // ZSTD_cParameter and ZSTD_EndDirective.
    private const int CompressionLevel = 100, ChecksumFlag = 201, Workers = 400, Continue = 0, End = 2;

    /// <summary>Compresses <paramref name="content"/> to its end, on a thread beside the reading one.</summary>
    /// <param name="read">Takes the bytes read so far.</param>
    /// <returns>Bytes read.</returns>
    public static unsafe long Compress(Stream content, Stream compressed, int level, Action<long> read, CancellationToken cancellationToken)
    {
        using Context context = Context.Compressing();
        Check(SetParameter(context, CompressionLevel, level));
        Check(SetParameter(context, ChecksumFlag, 1));
        _ = SetParameter(context, Workers, 1);   // a library without threads does it on this one
        byte[] input = ArrayPool<byte>.Shared.Rent(Chunk), output = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            for (long total = 0; ;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int length = content.Read(input);
                total += length;
                read(total);
                nuint consumed = 0, rest;
                do
                {
                    int produced;
                    fixed (byte* from = input, to = output)
                    {
                        var source = new Buffer { Start = from, Size = (nuint)length, Position = consumed };
                        var target = new Buffer { Start = to, Size = (nuint)output.Length };
                        rest = Check(CompressStream(context, ref target, ref source, length == 0 ? End : Continue));
                        (consumed, produced) = (source.Position, (int)target.Position);
                    }
                    compressed.Write(output, 0, produced);
                }
                while (length == 0 ? rest != 0 : consumed < (nuint)length);
                if (length == 0) return total;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    /// <summary>Decompresses what may be damaged, in bounded memory.</summary>
    /// <returns>Bytes written.</returns>
    /// <exception cref="InvalidDataException">It is not whole.</exception>
    public static unsafe long Decompress(Stream compressed, Action<ReadOnlyMemory<byte>> write, CancellationToken cancellationToken)
    {
        using Context context = Context.Decompressing();
        byte[] input = ArrayPool<byte>.Shared.Rent(Chunk), output = ArrayPool<byte>.Shared.Rent(Chunk);
        try
        {
            nuint expected = 1;   // 0: a frame has ended
            long total = 0;
            for (int length; (length = compressed.Read(input)) > 0;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                nuint consumed = 0;
                int produced;
                do
                {
                    fixed (byte* from = input, to = output)
                    {
                        var source = new Buffer { Start = from, Size = (nuint)length, Position = consumed };
                        var target = new Buffer { Start = to, Size = (nuint)output.Length };
                        expected = DecompressStream(context, ref target, ref source);
                        if (IsError(expected) != 0) throw new InvalidDataException($"zstd: {Marshal.PtrToStringUTF8(ErrorName(expected))}");
                        (consumed, produced) = (source.Position, (int)target.Position);
                    }
                    write(output.AsMemory(0, produced));
                    total += produced;
                }
                while (consumed < (nuint)length || (produced == output.Length && expected != 0));   // what it still holds
            }
            return expected == 0 ? total : throw new InvalidDataException("zstd: it is cut short");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    private static nuint Check(nuint result) =>
        IsError(result) == 0 ? result : throw new InvalidDataException($"zstd: {Marshal.PtrToStringUTF8(ErrorName(result))}");

    /// <summary>ZSTD_CCtx or ZSTD_DCtx.</summary>
    private sealed class Context : SafeHandle
    {
        private readonly Func<nint, nuint> free;

        private Context(nint context, Func<nint, nuint> free)
            : base(0, ownsHandle: true) => (handle, this.free) = (context, free);

        public override bool IsInvalid => handle == 0;

        public static Context Compressing() => Loaded(() => new Context(CreateCompression(), FreeCompression));

        public static Context Decompressing() => Loaded(() => new Context(CreateDecompression(), FreeDecompression));

        protected override bool ReleaseHandle() => free(handle) == 0;

        private static Context Loaded(Func<Context> create)
        {
            try
            {
                Context context = create();
                return context.IsInvalid ? throw new InsufficientMemoryException("zstd has no memory") : context;
            }
            catch (DllNotFoundException e)
            {
                throw new OperatorException(ExitCode.Refused, "libzstd.so.1 is not on this host, and restore points are compressed with it", "apt install libzstd1 (libzstd on Fedora and its like)", e);
            }
        }
    }

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private unsafe struct Buffer
    {
        public byte* Start;
        public nuint Size;
        public nuint Position;
    }

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_createCCtx")]
    private static partial nint CreateCompression();

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_freeCCtx")]
    private static partial nuint FreeCompression(nint context);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_createDCtx")]
    private static partial nint CreateDecompression();

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_freeDCtx")]
    private static partial nuint FreeDecompression(nint context);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_CCtx_setParameter")]
    private static partial nuint SetParameter(Context context, int parameter, int value);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_compressStream2")]
    private static partial nuint CompressStream(Context context, ref Buffer output, ref Buffer input, int directive);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_decompressStream")]
    private static partial nuint DecompressStream(Context context, ref Buffer output, ref Buffer input);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_isError")]
    private static partial uint IsError(nuint code);

    [LibraryImport("libzstd.so.1", EntryPoint = "ZSTD_getErrorName")]
    private static partial nint ErrorName(nuint code);
}

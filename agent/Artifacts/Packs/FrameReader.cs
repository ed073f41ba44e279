using System.Security.Cryptography;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>Decompresses one frame, that may be hostile, into verified files.</summary>
internal static class FrameReader
{
    /// <summary>Decompresses a frame that lies in memory and checks its files, without touching the disk.</summary>
    /// <param name="frame">The compressed frame.</param>
    /// <param name="content">Takes the decompressed frame, and must have room for one byte more.</param>
    /// <param name="files">Files of this frame, with the same frame in their <see cref="ManifestFile.Place"/>.</param>
    /// <exception cref="InvalidDataException">The bytes are not what the manifest says.</exception>
    public static void Verify(ReadOnlySpan<byte> frame, Span<byte> content, IReadOnlyList<ManifestFile> files)
    {
        Brotli.Decompress(frame, content, (int)files[0].Place!.FrameSize);
        Check(content, files);
    }

    /// <summary>Writes the files of a frame that <see cref="Verify"/> found good.</summary>
    /// <param name="target">Where each goes; an existing file there is replaced.</param>
    public static void Write(IDisk disk, ReadOnlyMemory<byte> content, IReadOnlyList<ManifestFile> files, Func<ManifestFile, string> target)
    {
        foreach (ManifestFile file in files)
        {
            string path = target(file), beside = path + DurableOperations.TemporarySuffix;
            disk.WriteFile(beside, ModeOf(file), stream => stream.Write(ContentOf(file, content.Span)));
            disk.Rename(beside, path);
        }
    }

    /// <summary>Writes the files of a frame of any size; each is checked against size and SHA-256 before it gets its name.</summary>
    /// <exception cref="InvalidDataException">The bytes are not what the manifest says.</exception>
    public static void Extract(IDisk disk, Stream frame, IReadOnlyList<ManifestFile> files, Func<ManifestFile, string> target, CancellationToken cancellationToken)
    {
        long size = files[0].Place!.FrameSize;
        if (size <= FrameRules.MaximumSharedFrame)
        {
            using var memory = new MemoryStream((int)size);
            Brotli.Decompress(frame, memory, size, cancellationToken);
            Check(memory.GetBuffer(), files);
            Write(disk, memory.GetBuffer(), files, target);
            return;
        }
        // All entries of such a frame have the same content: it is written as it comes, and copied where it is wanted twice.
        string first = target(files[0]);
        WriteHashed(disk, first, files[0], content => Brotli.Decompress(frame, content, size, cancellationToken));
        foreach (ManifestFile again in files.Skip(1))
        {
            WriteHashed(disk, target(again), again, content =>
            {
                using Stream written = disk.OpenRead(first);
                written.CopyTo(content);
            });
        }
    }

    private static void Check(ReadOnlySpan<byte> content, IReadOnlyList<ManifestFile> files)
    {
        foreach (ManifestFile file in files)
            if (Digest.Of(ContentOf(file, content)) is var actual && actual != file.Sha256) throw Mismatch(file, actual);
    }

    private static void WriteHashed(IDisk disk, string path, ManifestFile file, Action<Stream> write)
    {
        string beside = path + DurableOperations.TemporarySuffix;
        Digest? actual = null;
        disk.WriteFile(beside, ModeOf(file), stream =>
        {
            using var hashing = new HashingStream(stream);
            write(hashing);
            actual = hashing.Finish();
        });
        if (actual != file.Sha256)
        {
            disk.RemoveFile(beside);
            throw Mismatch(file, actual!);
        }
        disk.Rename(beside, path);
    }

    private static ReadOnlySpan<byte> ContentOf(ManifestFile file, ReadOnlySpan<byte> content) => content.Slice((int)file.Place!.Start, (int)file.Size);

    private static UnixFileMode ModeOf(ManifestFile file) => file.Executable ? Mode555 : Mode444;

    private static InvalidDataException Mismatch(ManifestFile file, Digest actual) => new($"{ReleasePath.Show(file.Path)} has SHA-256 {actual.Short}, not {file.Sha256.Short}");

    public const UnixFileMode Mode444 = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    public const UnixFileMode Mode555 = Mode444 | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private sealed class HashingStream(Stream inner) : Stream
    {
        private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public Digest Finish() => new(Convert.ToHexStringLower(hash.GetHashAndReset()));

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            hash.AppendData(buffer);
            inner.Write(buffer);
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) hash.Dispose();
            base.Dispose(disposing);
        }
    }
}

using System.Security.Cryptography;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>Decompresses one frame, that may be hostile, into verified files.</summary>
internal static class FrameReader
{
    /// <summary>Writes the files of a frame; each is checked against size and SHA-256 before it gets its name.</summary>
    /// <param name="frame">The compressed frame.</param>
    /// <param name="files">Files of this frame, with the same frame in their <see cref="ManifestFile.Place"/>.</param>
    /// <param name="target">Where each goes; an existing file there is replaced.</param>
    /// <exception cref="InvalidDataException">The bytes are not what the manifest says. What was verified before that stays.</exception>
    public static void Extract(IDisk disk, Stream frame, IReadOnlyList<ManifestFile> files, Func<ManifestFile, string> target, CancellationToken cancellationToken)
    {
        FramePlace place = files[0].Place!;
        if (place.FrameSize > FrameRules.MaximumSharedFrame)
        {
            // All entries of such a frame have the same content: it is written as it comes, and copied where it is wanted twice.
            string first = target(files[0]);
            Write(disk, first, files[0], content => Brotli.Decompress(frame, content, place.FrameSize, cancellationToken));
            foreach (ManifestFile again in files.Skip(1))
            {
                Write(disk, target(again), again, content =>
                {
                    using Stream written = disk.OpenRead(first);
                    written.CopyTo(content);
                });
            }
            return;
        }
        using var memory = new MemoryStream((int)place.FrameSize);
        Brotli.Decompress(frame, memory, place.FrameSize, cancellationToken);
        foreach (ManifestFile file in files)
            Write(disk, target(file), file, content => content.Write(memory.GetBuffer(), (int)file.Place!.Start, (int)file.Size));
    }

    private static void Write(IDisk disk, string path, ManifestFile file, Action<Stream> write)
    {
        string beside = path + DurableOperations.TemporarySuffix;
        string? actual = null;
        disk.WriteFile(beside, file.Executable ? Mode555 : Mode444, stream =>
        {
            using var hashing = new HashingStream(stream);
            write(hashing);
            actual = hashing.Finish();
        });
        if (actual != file.Sha256.Hex)
        {
            disk.RemoveFile(beside);
            throw new InvalidDataException($"{ReleasePath.Show(file.Path)} has SHA-256 {actual?[..12]}, not {file.Sha256.Short}");
        }
        disk.Rename(beside, path);
    }

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

        public string Finish() => Convert.ToHexStringLower(hash.GetHashAndReset());

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

using System.Security.Cryptography;

namespace Agent.Artifacts.Packs;

/// <summary>The contents of some files, one after the other, each checked against its SHA-256 when it ends: what changes while it is published is not published.</summary>
internal sealed class CheckedContents(IReadOnlyList<TreeFile> files) : Stream
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private Stream? current;
    private int index;
    private long inFile;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public static OperatorException Changed(TreeFile file) =>
        ReleaseTree.Refused($"{file.Path} changed while it was published", "publish again when nothing writes to it");

    public override int Read(Span<byte> buffer)
    {
        while (index < files.Count)
        {
            TreeFile file = files[index];
            current ??= file.Open();
            int read = current.Read(buffer);
            if (read > 0)
            {
                inFile += read;
                if (inFile > file.Size) throw Changed(file);
                hash.AppendData(buffer[..read]);
                return read;
            }
            if (inFile != file.Size || Convert.ToHexStringLower(hash.GetHashAndReset()) != file.Sha256.Hex) throw Changed(file);
            current.Dispose();
            (current, inFile) = (null, 0);
            index++;
        }
        return 0;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

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
            current?.Dispose();
            hash.Dispose();
        }
        base.Dispose(disposing);
    }
}

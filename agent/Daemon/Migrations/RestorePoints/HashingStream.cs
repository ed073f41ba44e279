using System.Security.Cryptography;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Hashes what goes through a file, in either direction, and stops writing before the disk is full.</summary>
/// <param name="free">Free bytes of the disk, where they are known; null where nothing is written.</param>
internal sealed class HashingStream(Stream file, IncrementalHash hash, Func<long?>? free) : Stream
{
    private const long LookEvery = 32 << 20;
    private long done, looked;

    public override bool CanRead => file.CanRead;

    public override bool CanSeek => false;

    public override bool CanWrite => file.CanWrite;

    /// <summary>Bytes so far.</summary>
    public override long Length => done;

    public override long Position
    {
        get => done;
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        int read = file.Read(buffer, offset, count);
        hash.AppendData(buffer, offset, read);
        done += read;
        return read;
    }

    public override void Write(byte[] buffer, int offset, int count)
    {
        file.Write(buffer, offset, count);
        hash.AppendData(buffer, offset, count);
        done += count;
        if (done - looked < LookEvery) return;
        looked = done;
        if (free?.Invoke() < RestorePointStore.Reserve) throw new IOException($"less than {RestorePointStore.Reserve >> 20} MiB would be left on the disk");
    }

    public override void Flush() => file.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && free is null) file.Dispose();   // what is written belongs to whoever opened it
        base.Dispose(disposing);
    }
}

using System.Net.Security;
using System.Security.Authentication;

namespace Agent.Cli.Hosts;

/// <summary>
/// A TLS stream whose first read tells what the other side thinks of our certificate: in TLS 1.3 it says so only after the handshake is over for us, by an alert
/// or by closing at once. An agent that takes a certificate speaks first.
/// </summary>
/// <param name="refused">Told when it was not taken.</param>
internal sealed class AnsweredStream(SslStream inner, Action refused) : Stream
{
    private bool answered;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            int count = await inner.ReadAsync(buffer, cancellationToken);
            if (count == 0 && buffer.Length > 0 && !answered) refused();
            answered |= count > 0;
            return count;
        }
        catch (Exception e) when (!answered && IsAlert(e))
        {
            refused();
            throw;
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => inner.WriteAsync(buffer, offset, count, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override void Flush() => inner.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }

    // A connection that breaks is an IOException about the socket; an alert comes out of the TLS library.
    private static bool IsAlert(Exception e)
    {
        for (Exception? link = e; link is not null; link = link.InnerException)
            if (link is AuthenticationException || link.GetType().Name == "SslException") return true;
        return false;
    }
}

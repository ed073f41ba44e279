using System.Net.Sockets;
using System.Text;

namespace Agent.Daemon.Health;

/// <summary>Connects to the Unix socket of an application.</summary>
internal static class UnixSocket
{
    // Source: unix(7), sun_path has 108 bytes, one of them for the end.
    private const int PathAtMost = 107;

    /// <exception cref="IOException">There is none at this path, or cannot be; with a text for people.</exception>
    /// <exception cref="SocketException">It does not take the connection.</exception>
    public static async Task<Socket> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        if (Encoding.UTF8.GetByteCount(path) > PathAtMost) throw new IOException($"the socket's path is longer than {PathAtMost} bytes");
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)   // the runtime's word for ENOENT
        {
            socket.Dispose();
            throw new IOException($"there is no socket {path}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}

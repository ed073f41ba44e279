using System.Net.Sockets;
using System.Text;

namespace Agent.Tests.Hosting;

/// <summary>The receiving end of a Unix datagram socket, in place of systemd's or journald's.</summary>
internal sealed class DatagramSocket : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("agentd-socket-");
    private readonly Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 5000 };

    public DatagramSocket()
    {
        Path = System.IO.Path.Combine(directory.FullName, "socket");
        socket.Bind(new UnixDomainSocketEndPoint(Path));
    }

    public string Path { get; }

    public byte[] Receive()
    {
        byte[] buffer = new byte[200_000];
        return buffer[..socket.Receive(buffer)];
    }

    public string ReceiveText() => Encoding.UTF8.GetString(Receive());

    public void Dispose()
    {
        socket.Dispose();
        directory.Delete(recursive: true);
    }
}

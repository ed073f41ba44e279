using System.Net;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>The API's Unix socket: open to root and the groups with a role, to nobody else; every connection carries its <see cref="PeerCredentials"/>.</summary>
internal static class AgentSocket
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    /// <summary>Listens at a path, HTTP/2 without TLS. <see cref="Bind"/> must be the transport's way to bind.</summary>
    public static void ListenOnAgentSocket(this KestrelServerOptions kestrel, string path) => kestrel.ListenUnixSocket(path, listen =>
    {
        listen.Protocols = HttpProtocols.Http2;
        listen.Use(next => connection =>
        {
            if (connection.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
                connection.Features.Set(PeerCredentials.Of(socket));
            return next(connection);
        });
    });

    /// <summary>Binds, and opens the file to the groups before anybody can connect: the transport listens only after this.</summary>
    /// <param name="groups">The first one owns the file; the others are let in by an access list. None: only root is.</param>
    /// <exception cref="OperatorException">Another agent listens there, the path holds something else, or its directory is missing.</exception>
    public static Socket Bind(EndPoint endpoint, string path, IReadOnlyList<uint> groups, IDisk disk, ILogger logger)
    {
        if (endpoint is not UnixDomainSocketEndPoint unix || unix.ToString() != path) return SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        string directory = Path.GetDirectoryName(path)!;
        if (disk.Kind(directory) != EntryKind.Directory)
            throw new OperatorException(ExitCode.Refused, $"agentd cannot listen at {path}: there is no directory {directory}", "make it; /run/agentd is made by: sudo systemd-tmpfiles --create agentd.conf");
        RemoveStale(path, disk, logger);
        Socket socket = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
        try
        {
            if (groups.Count > 0) disk.SetOwner(path, IDisk.Unchanged, groups[0]);
            File.SetUnixFileMode(path, Mode);
            if (groups.Count > 1 && !AccessList.TrySet(path, [.. groups.Skip(1)])) logger.NoAccessLists(path, groups[0]);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path, IDisk disk, ILogger logger)
    {
        if (disk.Kind(path) == EntryKind.Missing) return;
        if (IsReadable(path, disk))
            throw new OperatorException(ExitCode.Refused, $"{path} is no socket", "move it away, or set socket: in /etc/agentd/agentd.yaml to another path");
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            disk.RemoveFile(path);
            logger.StaleSocketRemoved(path);
            return;
        }
        throw new OperatorException(ExitCode.Refused, $"another agentd listens at {path}", "stop it: systemctl stop agentd");
    }

    // A file, directory or link to one can be opened; open(2) of a socket fails with ENXIO.
    private static bool IsReadable(string path, IDisk disk)
    {
        if (disk.Kind(path) != EntryKind.File) return true;
        try
        {
            disk.OpenRead(path).Dispose();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}

using System.Buffers.Binary;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Agent.Daemon.Systemd;

namespace Agent.Daemon.Api;

/// <summary>Who is at the other end of a Unix socket, as the kernel told when it connected. Nothing that the caller says is part of it.</summary>
/// <param name="Groups">Supplementary groups.</param>
internal sealed record PeerCredentials(int Pid, uint Uid, uint Gid, IReadOnlyList<uint> Groups)
{
    // <asm-generic/socket.h>; struct ucred of unix(7): pid, uid, gid, 4 bytes each.
    private const int SocketLevel = 1, PeerCredentialsOption = 17, PeerGroupsOption = 59;
    private const int MostGroups = 65536;   // NGROUPS_MAX of Linux

    /// <exception cref="SocketException">Not a connected Unix socket.</exception>
    public static PeerCredentials Of(Socket socket)
    {
        Span<byte> credentials = stackalloc byte[12];
        socket.GetRawSocketOption(SocketLevel, PeerCredentialsOption, credentials);
        return new PeerCredentials(
            BinaryPrimitives.ReadInt32LittleEndian(credentials), BinaryPrimitives.ReadUInt32LittleEndian(credentials[4..]),
            BinaryPrimitives.ReadUInt32LittleEndian(credentials[8..]), GroupsOf(socket));
    }

    /// <summary>The user's name; null where the host knows none.</summary>
    public string? Name => Accounts.NameOf(Uid);

    public bool IsMember(uint group) => Gid == group || Groups.Contains(group);

    /// <summary>As journal and history name who asked: <c>uid 0 (root)</c>, or <c>uid 1000</c> where the host knows no name.</summary>
    public override string ToString() => Name is { } name ? $"uid {Uid} ({name})" : $"uid {Uid}";

    private static uint[] GroupsOf(Socket socket)
    {
        // SO_PEERGROUPS fails where the buffer is too small: once more with room for all that there can be.
        foreach (int most in (ReadOnlySpan<int>)[256, MostGroups])
        {
            var buffer = new byte[most * sizeof(uint)];
            try
            {
                int length = socket.GetRawSocketOption(SocketLevel, PeerGroupsOption, buffer);
                return MemoryMarshal.Cast<byte, uint>(buffer.AsSpan(0, length)).ToArray();
            }
            catch (SocketException) when (most < MostGroups)
            {
            }
        }
        return [];
    }
}

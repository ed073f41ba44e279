using System.Net;

namespace Agent.Daemon.Access;

/// <summary>Who is at the other end of a TLS connection, as the handshake proved it.</summary>
/// <param name="Fingerprint">Of its key.</param>
/// <param name="CertifiedName">The common name in a certificate of the operator's CA; null: it is of none.</param>
/// <param name="AgentsKey">Fingerprint of the key that it was shown.</param>
/// <param name="Known">Whose key it was then; null: nobody's.</param>
/// <param name="Address">Null: not known.</param>
internal sealed record TlsPeer(string Fingerprint, string? CertifiedName, string AgentsKey, Client? Known, IPEndPoint? Address)
{
    /// <summary>As audit and log name it: <c>192.0.2.7 port 40222</c>.</summary>
    public string From => FromOf(Address);

    /// <summary>Short, for people.</summary>
    public string KeyName => Protos.Access.Fingerprint.Abbreviate(Fingerprint);

    public static string FromOf(EndPoint? address) => address is IPEndPoint ip ? $"{Plain(ip.Address)} port {ip.Port}" : "an unknown address";

    /// <summary>An IPv4 address also where it came through a socket of IPv6.</summary>
    public static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}

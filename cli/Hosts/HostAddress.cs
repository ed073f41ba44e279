using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>How a host's agent is reached.</summary>
internal abstract partial record HostAddress
{
    private const int UsualPort = 7443;

    private const int LongestText = 320;

    private HostAddress() { }

    /// <summary>The agent of this machine, over its Unix socket.</summary>
    /// <param name="Socket">Null: <c>AGENTD_SOCKET</c>, else the default.</param>
    public sealed record Local(string? Socket) : HostAddress
    {
        public override string ToString() => "local";
    }

    /// <summary>Through the system's ssh, which runs <c>agentctl dial-stdio</c> there.</summary>
    /// <param name="User">Null: as ssh's configuration says.</param>
    /// <param name="Port">Null: as ssh's configuration says.</param>
    public sealed record Ssh(string? User, string Host, int? Port) : HostAddress
    {
        public override string ToString() => $"ssh://{(User is null ? "" : $"{User}@")}{Bracketed(Host)}{(Port is null ? "" : $":{Port}")}";
    }

    /// <summary>Over TLS, with keys on both sides.</summary>
    public sealed record Tls(string Host, int Port) : HostAddress
    {
        public override string ToString() => $"https://{Bracketed(Host)}:{Port}";
    }

    /// <summary><c>local</c>, <c>ssh://[user@]host[:port]</c> or <c>https://host[:port]</c>.</summary>
    /// <exception cref="OperatorException">It is none of these (<see cref="ExitCode.Usage"/>).</exception>
    public static HostAddress Parse(string text)
    {
        if (text == "local") return new Local(null);
        if (!TryParse(text, out HostAddress? address))
            throw new OperatorException(ExitCode.Usage, $"'{text}' is no address of a host", "write local, ssh://[USER@]HOST[:PORT] or https://HOST[:PORT]");
        return address;
    }

    // Nothing that ssh could take for an option or a shell for a command ever becomes an address.
    [GeneratedRegex(@"\A(?<scheme>ssh|https)://((?<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?((?<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)|\[(?<ip>[0-9A-Fa-f:.]+)\])(:(?<port>[0-9]{1,5}))?/?\z",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant)]
    private static partial Regex Form { get; }

    private static bool TryParse(string text, [NotNullWhen(true)] out HostAddress? address)
    {
        address = null;
        if (text.Length > LongestText || Form.Match(text) is not { Success: true } parts) return false;
        string host = parts.Groups["name"].Value;
        if (parts.Groups["ip"] is { Success: true } literal)
        {
            if (!IPAddress.TryParse(literal.Value, out IPAddress? ip) || ip.AddressFamily != AddressFamily.InterNetworkV6) return false;
            host = $"{ip}";
        }
        string? user = parts.Groups["user"] is { Success: true } named ? named.Value : null;
        int? port = parts.Groups["port"] is { Success: true } number ? int.Parse(number.ValueSpan, CultureInfo.InvariantCulture) : null;
        if (port is < 1 or > ushort.MaxValue) return false;
        address = parts.Groups["scheme"].Value == "ssh" ? new Ssh(user, host, port)
            : user is null ? new Tls(host, port ?? UsualPort)
            : null;
        return address is not null;
    }

    private static string Bracketed(string host) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host;
}

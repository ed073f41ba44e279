using System.Diagnostics.CodeAnalysis;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>How a host's agent is reached.</summary>
internal abstract record HostAddress
{
    private const int UsualPort = 7443;

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
    private static bool TryParse(string text, [NotNullWhen(true)] out HostAddress? address)
    {
        address = null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out Uri? url) || url.AbsolutePath is not ("" or "/") || url.Query.Length + url.Fragment.Length > 0) return false;
        string host = url.HostNameType == UriHostNameType.IPv6 ? url.Host.Trim('[', ']') : url.Host;
        if (url.HostNameType is not (UriHostNameType.Dns or UriHostNameType.IPv4 or UriHostNameType.IPv6) || host.StartsWith('-')) return false;
        string? user = url.UserInfo.Length == 0 ? null : url.UserInfo;
        if (user is not null && (user.StartsWith('-') || !user.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.'))) return false;
        address = url.Scheme switch
        {
            "ssh" => new Ssh(user, host, url.IsDefaultPort || url.Port <= 0 ? null : url.Port),
            "https" when user is null => new Tls(host, url.IsDefaultPort ? UsualPort : url.Port),
            _ => null,
        };
        return address is not null;
    }

    private static string Bracketed(string host) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host;
}

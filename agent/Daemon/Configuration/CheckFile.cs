using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Reads <c>checks:</c> of the operator's and the developer's file.</summary>
internal static partial class CheckFile
{
    private const int MaximumName = 100, MaximumBody = 4096, MaximumHeaders = 50;

    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(2);
    private static readonly string[] OnlyForHttp = ["status", "body", "headers", "request_headers"];

    /// <param name="operators">A command may then be one of the host.</param>
    /// <returns>Null where the key is absent.</returns>
    public static IReadOnlyList<CheckOptions>? Read(Section file, bool operators)
    {
        if (file.List("checks") is not { } items) return null;
        var checks = new List<CheckOptions>();
        foreach ((int index, YamlNode item) in items.Index())
        {
            if (item is not YamlNode.Map map)
            {
                file.WrongItem("checks", index, item.Line, "is no check", "write '- http: URL' or '- tcp: HOST:PORT'");
                continue;
            }
            Section section = file.Below("checks", index, map, ConfigurationKeys.Check);
            if (ReadOne(section, checks, operators) is not { } check) continue;
            if (checks.Exists(other => other.Name == check.Name)) file.WrongItem("checks", index, item.Line, $"has the name of another check, '{check.Name}'", "give it a name of its own");
            else checks.Add(check);
        }
        return checks;
    }

    private static CheckOptions? ReadOne(Section check, List<CheckOptions> others, bool operators)
    {
        TimeSpan interval = check.Duration("interval", TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)) ?? DefaultInterval;
        TimeSpan timeout = check.Duration("timeout", TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(5)) ?? DefaultTimeout;
        int healthy = check.Number("healthy", 1, 100) ?? 1;
        int unhealthy = check.Number("unhealthy", 1, 100) ?? 3;
        string? name = check.Text("name");
        if (name is not null && (name.Length is 0 or > MaximumName || name.Any(char.IsControl)))
        {
            check.Wrong("name", "is not a name", "write 1 to 100 characters in one line");
            name = null;
        }
        // The socket of an http check is where to ask, not another kind.
        string[] kinds = [.. ((string[])["http", "tcp", "command", "unit", "socket"]).Where(key => check[key] is not null && (key != "socket" || check["http"] is null))];
        if (kinds.Length != 1)
        {
            check.Wrong(kinds.Length == 0 ? "http" : kinds[1], kinds.Length == 0 ? "is missing, and so are tcp, socket, command and unit" : $"is here besides {kinds[0]}",
                "write one of them: 'http: URL', 'tcp: HOST:PORT', 'socket: /path', 'command: PROGRAM' or 'unit: NAME.service'");
            return null;
        }
        if (kinds[0] == "http") return ReadHttp(check, others, name, interval, timeout, healthy, unhealthy);

        foreach (string key in OnlyForHttp)
            if (check[key] is not null) check.Wrong(key, "is only for http", "take the line out");
        switch (kinds[0])
        {
            case "tcp":
                return ReadEndpoint(check) is var (host, port) ? new CheckOptions.Tcp(name ?? $"tcp {check.Text("tcp")}", host, port, interval, timeout, healthy, unhealthy) : null;
            case "socket":
                return ReadSocket(check) is { } socket ? new CheckOptions.UnixSocket(name ?? $"socket {socket}", socket, interval, timeout, healthy, unhealthy) : null;
            case "command":
                return check.Parse("command", text => CommandLine.Check(text, operators)) is { } line
                    ? new CheckOptions.Command(name ?? Short($"command {line}"), line, interval, timeout, healthy, unhealthy) : null;
            default:
                return check.Parse("unit", text => new UnitName(text)) is { } unit ? new CheckOptions.UnitActive(name ?? Short($"unit {unit}"), unit, interval, timeout, healthy, unhealthy) : null;
        }
    }

    private static CheckOptions.Http? ReadHttp(
        Section check, List<CheckOptions> others, string? name, TimeSpan interval, TimeSpan timeout, int healthy, int unhealthy)
    {
        int? status = check.Number("status", 100, 599);
        string? socket = ReadSocket(check);
        string? body = check.Text("body");
        if (body?.Length is 0 or > MaximumBody)
        {
            check.Wrong("body", "is not a text to look for", $"write 1 to {MaximumBody} characters that the answer must contain");
            body = null;
        }
        Dictionary<string, string>? headers = ReadHeaders(check, "headers"), requestHeaders = ReadHeaders(check, "request_headers");
        if (check.Text("http") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https" && url.Host.Length > 0 && url.UserInfo.Length == 0 && url.Fragment.Length == 0)
        {
            return new CheckOptions.Http(name ?? HttpName(url, others), url, status, interval, timeout, healthy, unhealthy)
            {
                Socket = socket,
                Body = body,
                Headers = headers,
                RequestHeaders = requestHeaders,
            };
        }
        check.Wrong("http", $"is '{text}'", "write a whole URL without user and fragment: http://127.0.0.1:8080/up");
        return null;
    }

    private static (string Host, int Port)? ReadEndpoint(Section check)
    {
        if (check.Text("tcp") is not { } address) return null;
        if (EndpointPattern().Match(address) is { Success: true } match
            && int.TryParse(match.Groups["port"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and < 65536)
            return (match.Groups["host"].Value.Trim('[', ']'), port);
        check.Wrong("tcp", $"is '{address}'", "write HOST:PORT: 127.0.0.1:8080 or [::1]:8080");
        return null;
    }

    private static string? ReadSocket(Section check)
    {
        if (check.Text("socket") is not { } path) return null;
        if (AgentFile.IsPlainPath(path) && Encoding.UTF8.GetByteCount(path) <= AgentFile.MaximumSocketPath) return path;
        check.Wrong("socket", $"is '{path}'", $"write the absolute path of a Unix socket, {AgentFile.MaximumSocketPath} bytes at most");
        return null;
    }

    private static Dictionary<string, string>? ReadHeaders(Section check, string key)
    {
        if (check[key] is null) return null;
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach ((string name, int line, YamlNode value) in check.Pairs(key))
        {
            if (!Names.IsHeader(name)) check.WrongPair(key, name, line, "is not a header's name", "use letters, digits and '-'");
            else if (value is not YamlNode.Text { IsNothing: false, Value: { Length: <= MaximumBody } text } || text.Any(char.IsControl))
                check.WrongPair(key, name, line, "is not a header's value", $"write '{name}: VALUE' in one line");
            else if (headers.Count == MaximumHeaders) check.WrongPair(key, name, line, "is one header too many", $"write {MaximumHeaders} at most");
            else if (!headers.TryAdd(name, text)) check.WrongPair(key, name, line, "is here once more, in other letters", "keep one");
        }
        return headers;
    }

    // Short for the usual case; with the authority where two checks ask for the same path.
    private static string HttpName(Uri url, List<CheckOptions> others)
    {
        string name = $"http {url.PathAndQuery}";
        return others.Exists(other => other.Name == name) ? $"http {url.Authority}{url.PathAndQuery}" : name;
    }

    private static string Short(string name) => name.Length <= MaximumName ? name : name[..(MaximumName - 3)] + "...";

    [GeneratedRegex(@"\A(?<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?):(?<port>[0-9]{1,5})\z")]
    private static partial Regex EndpointPattern();
}

using System.Globalization;
using System.Text.RegularExpressions;

namespace Agent.Daemon.Configuration;

/// <summary>Reads <c>checks:</c>, the same in the operator's and the developer's file.</summary>
internal static partial class CheckFile
{
    private static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(2);

    /// <returns>Null where the key is absent.</returns>
    public static IReadOnlyList<CheckOptions>? Read(Section file)
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
            if (ReadOne(section, checks) is not { } check) continue;
            if (checks.Exists(other => other.Name == check.Name)) file.WrongItem("checks", index, item.Line, $"has the name of another check, '{check.Name}'", "give it a name of its own");
            else checks.Add(check);
        }
        return checks;
    }

    private static CheckOptions? ReadOne(Section check, List<CheckOptions> others)
    {
        TimeSpan interval = check.Duration("interval", TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)) ?? DefaultInterval;
        TimeSpan timeout = check.Duration("timeout", TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(5)) ?? DefaultTimeout;
        int healthy = check.Number("healthy", 1, 100) ?? 1;
        int unhealthy = check.Number("unhealthy", 1, 100) ?? 3;
        int? status = check.Number("status", 100, 599);
        string? name = check.Text("name");
        if (name is not null && (name.Length is 0 or > 100 || name.Any(char.IsControl)))
        {
            check.Wrong("name", "is not a name", "write 1 to 100 characters in one line");
            name = null;
        }
        bool http = check["http"] is not null;
        if (http == check["tcp"] is not null)
        {
            check.Wrong(http ? "tcp" : "http", http ? "is here besides http" : "is missing, and so is tcp", "write one of the two: 'http: URL' or 'tcp: HOST:PORT'");
            return null;
        }
        if (http) return ReadUrl(check) is { } url ? new CheckOptions.Http(name ?? HttpName(url, others), url, status, interval, timeout, healthy, unhealthy) : null;

        if (check["status"] is not null) check.Wrong("status", "is only for http", "take the line out");
        if (check.Text("tcp") is not { } address) return null;
        if (EndpointPattern().Match(address) is { Success: true } match
            && int.TryParse(match.Groups["port"].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and < 65536)
            return new CheckOptions.Tcp(name ?? $"tcp {address}", match.Groups["host"].Value.Trim('[', ']'), port, interval, timeout, healthy, unhealthy);
        check.Wrong("tcp", $"is '{address}'", "write HOST:PORT: 127.0.0.1:8080 or [::1]:8080");
        return null;
    }

    private static Uri? ReadUrl(Section check)
    {
        if (check.Text("http") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https" && url.Host.Length > 0 && url.UserInfo.Length == 0 && url.Fragment.Length == 0)
            return url;
        check.Wrong("http", $"is '{text}'", "write a whole URL without user and fragment: http://127.0.0.1:8080/up");
        return null;
    }

    // Short for the usual case; with the authority where two checks ask for the same path.
    private static string HttpName(Uri url, List<CheckOptions> others)
    {
        string name = $"http {url.PathAndQuery}";
        return others.Exists(other => other.Name == name) ? $"http {url.Authority}{url.PathAndQuery}" : name;
    }

    [GeneratedRegex(@"\A(?<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?):(?<port>[0-9]{1,5})\z")]
    private static partial Regex EndpointPattern();
}

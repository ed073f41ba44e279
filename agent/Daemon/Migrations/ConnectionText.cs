using System.Buffers;
using System.Data.Common;
using System.Text;
using Agent.Artifacts;

namespace Agent.Daemon.Migrations;

/// <summary>
/// What people write to name a database, into libpq's parameters: URLs (postgres:// and what frameworks and JDBC make of it), keyword strings
/// (<c>host=db dbname=shop</c>), and .NET's (<c>Host=db;Database=shop</c>).
/// </summary>
/// <remarks>Source: "Connection Strings" and "Parameter Key Words" of libpq's documentation; conninfo_uri_parse_options(). No error holds any of the text but a parameter's name.</remarks>
internal static class ConnectionText
{
    /// <summary>The parameters that count, and their PG* variables.</summary>
    public static readonly IReadOnlyDictionary<string, string> Variables = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["host"] = "PGHOST",
        ["hostaddr"] = "PGHOSTADDR",
        ["port"] = "PGPORT",
        ["dbname"] = "PGDATABASE",
        ["user"] = "PGUSER",
        ["password"] = "PGPASSWORD",
        ["passfile"] = "PGPASSFILE",
        ["service"] = "PGSERVICE",
        ["servicefile"] = "PGSERVICEFILE",
        ["sslmode"] = "PGSSLMODE",
        ["sslrootcert"] = "PGSSLROOTCERT",
        ["sslcert"] = "PGSSLCERT",
        ["sslkey"] = "PGSSLKEY",
        ["connect_timeout"] = "PGCONNECT_TIMEOUT",
        ["options"] = "PGOPTIONS",
        ["target_session_attrs"] = "PGTARGETSESSIONATTRS",
        ["channel_binding"] = "PGCHANNELBINDING",
        ["require_auth"] = "PGREQUIREAUTH",
        ["gssencmode"] = "PGGSSENCMODE",
        // They protect, so that going on without them would be wrong: refused.
        ["sslpassword"] = "",
        ["sslcrl"] = "PGSSLCRL",
        ["sslcrldir"] = "PGSSLCRLDIR",
        ["requirepeer"] = "PGREQUIREPEER",
        ["ssl_min_protocol_version"] = "PGSSLMINPROTOCOLVERSION",
        ["ssl_max_protocol_version"] = "PGSSLMAXPROTOCOLVERSION",
    };

    public static readonly IReadOnlyList<string> Unsupported = ["sslpassword", "sslcrl", "sslcrldir", "requirepeer", "ssl_min_protocol_version", "ssl_max_protocol_version"];

    private static readonly string[] Ignored =
    [
        "application_name", "fallback_application_name", "client_encoding", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "krbsrvname",
        "gsslib", "gssdelegation", "sslcompression", "sslsni", "sslnegotiation", "sslcertmode", "load_balance_hosts",
    ];

    private static readonly string[] Schemes = ["postgres", "postgresql", "ecto", "postgis"];

    // Of Npgsql's many names for a parameter, those that name the place and the way there; without blanks, in lower case.
    private static readonly Dictionary<string, string> DotNet = new(StringComparer.Ordinal)
    {
        ["host"] = "host",
        ["server"] = "host",
        ["port"] = "port",
        ["database"] = "dbname",
        ["db"] = "dbname",
        ["username"] = "user",
        ["user"] = "user",
        ["userid"] = "user",
        ["uid"] = "user",
        ["password"] = "password",
        ["pwd"] = "password",
        ["psw"] = "password",
        ["passfile"] = "passfile",
        ["sslmode"] = "sslmode",
        ["rootcertificate"] = "sslrootcert",
        ["sslcertificate"] = "sslcert",
        ["sslkey"] = "sslkey",
        ["sslpassword"] = "sslpassword",
        ["timeout"] = "connect_timeout",
        ["options"] = "options",
        ["targetsessionattributes"] = "target_session_attrs",
        ["channelbinding"] = "channel_binding",
        ["requireauth"] = "require_auth",
        ["gssencryptionmode"] = "gssencmode",
    };

    /// <param name="variable">Where the text comes from.</param>
    /// <exception cref="OperatorException">It cannot be understood (<see cref="ExitCode.Refused"/>).</exception>
    public static Dictionary<string, string> Parse(string variable, string text)
    {
        text = text.Trim();
        if (text.Contains("://", StringComparison.Ordinal) && text[..text.IndexOf("://", StringComparison.Ordinal)].All(c => char.IsAsciiLetterOrDigit(c) || c is '+' or ':' or '_')) return Url(variable, text);
        // host=db;port=1 could be a host of libpq, Host=db could not: its names are in lower case.
        int semicolon = text.IndexOf(';', StringComparison.Ordinal), equals = text.IndexOf('=', StringComparison.Ordinal);
        bool dotNet = (semicolon > 0 && text.AsSpan(0, semicolon).Count('=') == 1) || (equals > 0 && !Variables.ContainsKey(text[..equals].Trim()) && !Ignored.Contains(text[..equals].Trim()));
        return dotNet && TryDotNet(text) is { } parameters ? parameters : Keywords(variable, text);
    }

    private static Dictionary<string, string> Url(string variable, string text)
    {
        if (text.StartsWith("jdbc:", StringComparison.Ordinal)) text = text["jdbc:".Length..];
        int colon = text.IndexOf("://", StringComparison.Ordinal);
        string scheme = text[..colon].Split('+')[0].ToLowerInvariant();
        if (!Schemes.Contains(scheme)) throw Wrong(variable, "is a URL of something else than PostgreSQL", "begin it with postgres://");
        string rest = text[(colon + 3)..];
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
        int slash = rest.IndexOf('/', StringComparison.Ordinal), sign = rest.IndexOf('@', StringComparison.Ordinal);
        if (sign >= 0 && (slash < 0 || sign < slash))
        {
            string[] user = rest[..sign].Split(':', 2);
            if (user[0].Length > 0) parameters["user"] = Decoded(variable, "user", user[0]);
            if (user.Length > 1 && user[1].Length > 0) parameters["password"] = Decoded(variable, "password", user[1]);
            rest = rest[(sign + 1)..];
        }
        int query = rest.IndexOf('?', StringComparison.Ordinal);
        string options = query < 0 ? "" : rest[(query + 1)..];
        if (query >= 0) rest = rest[..query];
        slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (slash >= 0 && slash + 1 < rest.Length) parameters["dbname"] = Decoded(variable, "dbname", rest[(slash + 1)..]);
        if (slash >= 0) rest = rest[..slash];
        if (rest.Contains('@', StringComparison.Ordinal)) throw Wrong(variable, "has more than one '@' before the host", "write %40 for an '@' in the password");
        if (rest.Length > 0) Hosts(variable, rest, parameters);
        foreach (string option in options.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] pair = option.Split('=', 2);
            string key = Decoded(variable, "an option", pair[0]), value = pair.Length > 1 ? Decoded(variable, "an option", pair[1]) : "";
            if (key == "ssl") (key, value) = ("sslmode", value == "true" ? "require" : "");
            // Frameworks put options of their own there: pool_size, schema, connection_limit. What begins with ssl may be meant to protect.
            if (!Variables.ContainsKey(key) && (Ignored.Contains(key) || !key.StartsWith("ssl", StringComparison.OrdinalIgnoreCase))) continue;
            if (!Variables.ContainsKey(key)) throw Wrong(variable, $"has the option {Shown(key)}, which libpq does not know", "say it with sslmode and sslrootcert");
            if (value.Length > 0) parameters[key] = value;
        }
        return parameters;
    }

    private static void Hosts(string variable, string text, Dictionary<string, string> parameters)
    {
        var hosts = new List<string>();
        var ports = new List<string>();
        foreach (string item in text.Split(','))
        {
            int bracket = item.StartsWith('[') ? item.IndexOf(']', StringComparison.Ordinal) : 0;
            if (bracket < 0 || (bracket > 0 && bracket + 1 < item.Length && item[bracket + 1] != ':')) throw Wrong(variable, "has a host that begins with '[' and does not end", "write [ADDRESS]:PORT");
            int colon = item.IndexOf(':', bracket);
            string host = colon < 0 ? item : item[..colon];
            hosts.Add(Decoded(variable, "host", bracket > 0 ? host[1..^1] : host));
            ports.Add(colon < 0 ? "" : Decoded(variable, "port", item[(colon + 1)..]));
        }
        if (hosts.Exists(host => host.Length > 0)) parameters["host"] = string.Join(',', hosts);
        if (ports.Exists(port => port.Length > 0)) parameters["port"] = string.Join(',', ports);
    }

    private static Dictionary<string, string> Keywords(string variable, string text)
    {
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; ;)
        {
            while (i < text.Length && char.IsWhiteSpace(text[i])) i++;
            if (i == text.Length) return parameters;
            int equals = text.IndexOf('=', i);
            string key = equals < 0 ? "" : text[i..equals].TrimEnd();
            if (key.Length == 0 || !key.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')) throw Wrong(variable, "is no connection string", "write postgres://USER:PASSWORD@HOST/NAME");
            i = equals + 1;
            while (i < text.Length && char.IsWhiteSpace(text[i])) i++;
            bool quoted = i < text.Length && text[i] == '\'';
            if (quoted) i++;
            var value = new StringBuilder();
            for (; i < text.Length && (quoted ? text[i] != '\'' : !char.IsWhiteSpace(text[i])); i++)
            {
                if (text[i] == '\\' && i + 1 < text.Length) i++;
                value.Append(text[i]);
            }
            if (quoted && i == text.Length) throw Wrong(variable, "has a quote that is not closed", "close it, and write \\' for a quote in a value");
            if (quoted) i++;
            if (Variables.ContainsKey(key)) parameters[key] = value.ToString();
            else if (!Ignored.Contains(key)) throw Wrong(variable, $"has {Shown(key)}, which is no parameter of libpq", "see https://www.postgresql.org/docs/current/libpq-connect.html");
        }
    }

    /// <summary>Null: it is no such string.</summary>
    private static Dictionary<string, string>? TryDotNet(string text)
    {
        var builder = new DbConnectionStringBuilder();
        try
        {
            builder.ConnectionString = text;
        }
        catch (ArgumentException)
        {
            return null;
        }
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string key in builder.Keys)
        {
            if (!DotNet.TryGetValue(key.Replace(" ", "", StringComparison.Ordinal).ToLowerInvariant(), out string? parameter)) continue;
            string value = (string)builder[key];
            // VerifyFull and ReadWrite are .NET's spelling of verify-full and read-write.
            if (parameter is "sslmode" or "channel_binding") value = value.ToLowerInvariant() switch { "verifyca" => "verify-ca", "verifyfull" => "verify-full", var word => word };
            if (parameter == "target_session_attrs") value = value.ToLowerInvariant();
            if (parameter == "host") parameters.Remove("port");
            parameters[parameter] = value;
        }
        if (!parameters.TryGetValue("host", out string? hosts)) return parameters.Count > 0 ? parameters : null;
        // A host may bring its own port.
        string[] items = hosts.Split(',');
        if (items.Any(item => item.LastIndexOf(':') is > 0 and var colon && !item.StartsWith('/') && item.IndexOf(':', StringComparison.Ordinal) == colon))
        {
            string port = builder.TryGetValue("port", out object? general) ? (string)general : "";
            parameters["host"] = string.Join(',', items.Select(item => item.Split(':')[0]));
            parameters["port"] = string.Join(',', items.Select(item => item.Contains(':', StringComparison.Ordinal) ? item.Split(':')[1] : port));
        }
        else if (builder.TryGetValue("port", out object? one)) parameters["port"] = (string)one;
        return parameters;
    }

    private static string Decoded(string variable, string part, string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal)) return text;
        var bytes = new ArrayBufferWriter<byte>();
        try
        {
            for (int i = 0; i < text.Length;)
            {
                int next = text.IndexOf('%', i);
                if (next < 0) next = text.Length;
                bytes.Write(Encoding.UTF8.GetBytes(text[i..next]));
                if (next < text.Length) bytes.Write(Convert.FromHexString(text.AsSpan(next + 1, 2)));
                i = next + 3;
            }
            string decoded = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes.WrittenSpan);
            if (!decoded.Contains('\0', StringComparison.Ordinal)) return decoded;
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
        }
        throw Wrong(variable, $"has a '%' in {part} that encodes nothing", "write %25 for a '%' that is meant as itself");
    }

    private static OperatorException Wrong(string variable, string what, string instead) => new(ExitCode.Refused, $"{variable} {what}", instead);

    private static string Shown(string key) => string.Concat(key.Where(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-').Take(40));
}

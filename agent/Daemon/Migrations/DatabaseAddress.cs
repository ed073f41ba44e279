using System.Globalization;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>How to reach a database, as libpq's users expect it. Holds a password: never to be logged, journaled or shown whole.</summary>
/// <param name="ConnectionString">For Npgsql.</param>
internal sealed record DatabaseAddress(string ConnectionString)
{
    /// <summary>Where Debian's servers have their sockets.</summary>
    private const string DefaultHost = "/var/run/postgresql";

    private const string SystemCertificates = "/etc/ssl/certs/ca-certificates.crt";

    // libpq looks for a file of its own accord where it is given none; this one is never there.
    private const string NoFile = "/nonexistent";

    // libpq's and Npgsql's words for ways to prove who one is.
    private static readonly (string Libpq, string Npgsql)[] AuthenticationMethods =
        [("password", "Password"), ("md5", "MD5"), ("gss", "GSS"), ("sspi", "SSPI"), ("scram-sha-256", "ScramSHA256"), ("none", "None")];

    /// <summary>What was passed over on the way here, for the log: a password file that others can read.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The database's name.</summary>
    public string Name => Parts.Database ?? "";

    /// <summary>The role that connects.</summary>
    public string User => Parts.Username ?? "";

    /// <summary>For people and logs: <c>postgres://shop@db.example:5432/shop</c>, <c>postgres://shop@/shop?host=/run/postgresql</c>; never a password.</summary>
    public string Shown
    {
        get
        {
            (string[] hosts, string[] ports) = Places(Parts);
            string user = Uri.EscapeDataString(User), name = Uri.EscapeDataString(Name);
            if (hosts is [['/', ..] socket]) return $"postgres://{user}@/{name}?host={Plain(socket)}" + (ports[0] == "5432" ? "" : $"&port={ports[0]}");
            return $"postgres://{user}@{string.Join(',', hosts.Zip(ports, (host, port) => $"{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : Plain(host))}:{port}"))}/{name}";
        }
    }

    /// <summary>The variables that make pg_dump, pg_restore and psql reach the same: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, ... For a child's own environment only.</summary>
    public IReadOnlyDictionary<string, string> ToolEnvironment
    {
        get
        {
            NpgsqlConnectionStringBuilder parts = Parts;
            (string[] hosts, string[] ports) = Places(parts);
            var environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["PGHOST"] = string.Join(',', hosts),
                ["PGPORT"] = string.Join(',', ports),
                ["PGUSER"] = User,
                ["PGDATABASE"] = Name,
                ["PGSSLMODE"] = parts.SslMode switch { SslMode.VerifyCA => "verify-ca", SslMode.VerifyFull => "verify-full", var mode => mode.ToString().ToLowerInvariant() },
                ["PGSSLROOTCERT"] = parts.RootCertificate ?? NoFile,
                ["PGSSLCERT"] = parts.SslCertificate ?? NoFile,
                ["PGCHANNELBINDING"] = parts.ChannelBinding.ToString().ToLowerInvariant(),
                ["PGGSSENCMODE"] = "disable",
            };
            if (string.IsNullOrEmpty(parts.Password)) environment["PGPASSFILE"] = NoFile;
            else environment["PGPASSWORD"] = parts.Password;
            if (parts.SslKey is { } key) environment["PGSSLKEY"] = key;
            if (parts.Options is { } options) environment["PGOPTIONS"] = options;
            if (parts.RequireAuth is { } methods) environment["PGREQUIREAUTH"] = string.Join(',', methods.Split(',').Select(method => (method.StartsWith('!') ? "!" : "") + AuthenticationMethods.First(one => one.Npgsql == method.TrimStart('!')).Libpq));
            if (parts.TargetSessionAttributes is { } attributes) environment["PGTARGETSESSIONATTRS"] = attributes;
            if (parts.Timeout > 0) environment["PGCONNECT_TIMEOUT"] = parts.Timeout.ToString(CultureInfo.InvariantCulture);
            return environment;
        }
    }

    private NpgsqlConnectionStringBuilder Parts => new(ConnectionString);

    /// <summary>Another database of the same server.</summary>
    public DatabaseAddress WithDatabase(string name) => this with { ConnectionString = new NpgsqlConnectionStringBuilder(ConnectionString) { Database = name }.ConnectionString };

    public override string ToString() => Shown;

    /// <param name="environment">Of the app.</param>
    /// <param name="secrets">Of the app; they win.</param>
    /// <exception cref="OperatorException">There is no address, or it is wrong; no value is told (<see cref="ExitCode.Refused"/>).</exception>
    public static DatabaseAddress Of(DatabaseOptions options, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> secrets) =>
        Of(options.Url, environment, secrets, LibpqFiles.OfThisHost);

    /// <summary>As libpq: what the text says, then the service it names, then the PG* variables, then libpq's own files.</summary>
    /// <param name="variable">Name of the one that holds the text.</param>
    /// <inheritdoc cref="Of(DatabaseOptions, IReadOnlyDictionary{string, string}, IReadOnlyDictionary{string, string})"/>
    public static DatabaseAddress Of(string variable, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> secrets, LibpqFiles files)
    {
        string? Variable(string name) => (secrets.GetValueOrDefault(name) ?? environment.GetValueOrDefault(name)) is { Length: > 0 } value ? value : null;
        string? text = Variable(variable);
        if (text is null && Variable("PGHOST") is null && Variable("PGDATABASE") is null && Variable("PGSERVICE") is null)
            throw new OperatorException(ExitCode.Refused, $"neither the secrets nor the environment have {variable}", $"write {variable}=postgres://USER:PASSWORD@HOST/NAME into the secrets file");

        Dictionary<string, string> typed = text is null ? [] : ConnectionText.Parse(variable, text);
        var given = new Dictionary<string, (string Value, string From)>(StringComparer.Ordinal);
        foreach ((string key, string value) in typed) given.TryAdd(key, (value, variable));
        string? service = typed.GetValueOrDefault("service") ?? Variable("PGSERVICE");
        if (service is not null)
        {
            foreach ((string key, string value) in files.Service(service, typed.GetValueOrDefault("servicefile") ?? Variable("PGSERVICEFILE")))
                given.TryAdd(key, (value, $"the service {service}"));
        }
        foreach ((string key, string name) in ConnectionText.Variables)
            if (Variable(name) is { } value) given.TryAdd(key, (value, name));
        return new Resolved(variable, given, files).Address();
    }

    private static (string[] Hosts, string[] Ports) Places(NpgsqlConnectionStringBuilder parts)
    {
        string[] hosts = (parts.Host ?? "").Split(',');
        string[] ports = [.. hosts.Select(_ => parts.Port.ToString(CultureInfo.InvariantCulture))];
        for (int i = 0; i < hosts.Length; i++)
        {
            int colon = hosts[i].LastIndexOf(':'), bracket = hosts[i].LastIndexOf(']');
            bool port = colon > bracket && (bracket > 0 || hosts[i].IndexOf(':', StringComparison.Ordinal) == colon);
            if (port) (ports[i], hosts[i]) = (hosts[i][(colon + 1)..], hosts[i][..colon]);
            if (bracket > 0) hosts[i] = hosts[i].Trim('[', ']');
        }
        return (hosts, ports);
    }

    private static string Plain(string host) => string.Concat(host.Select(c => char.IsControl(c) || c is '@' or ' ' ? '?' : c));

    /// <summary>libpq's parameters, each with where it comes from, on the way to Npgsql's.</summary>
    private sealed class Resolved(string variable, Dictionary<string, (string Value, string From)> given, LibpqFiles files)
    {
        public DatabaseAddress Address()
        {
            foreach (string key in ConnectionText.Unsupported)
                if (Text(key) is not null) throw Wrong(key, "is not supported", "take it out");
            foreach ((string key, (string value, _)) in given)
                if (value.Contains('\0', StringComparison.Ordinal) || value.EndsWith('\n')) throw Wrong(key, "holds a NUL or ends with a line feed", "take it out");   // the latter does not come through .NET's connection strings
            // Kerberos is not spoken here; where it is only preferred, libpq too goes on without it.
            if (Word("gssencmode") is "require") throw Wrong("gssencmode", "asks for encryption by Kerberos, which agentd does not speak", "encrypt with TLS: sslmode=verify-full, and take this out");
            if (Word("gssencmode") is not (null or "disable" or "prefer")) throw Wrong("gssencmode", "is not known", "write disable or prefer");
            var parts = new NpgsqlConnectionStringBuilder { GssEncryptionMode = GssEncryptionMode.Disable };
            string[] hosts = [.. (Text("hostaddr") ?? Text("host") ?? DefaultHost).Split(',').Select(host => host.Length == 0 ? DefaultHost : host)];
            string[] ports = Ports(hosts.Length);
            parts.Username = Text("user") ?? Environment.UserName;
            parts.Database = Text("dbname") ?? parts.Username;
            parts.Host = string.Join(',', hosts);
            if (ports.Distinct().Count() == 1) parts.Port = int.Parse(ports[0], CultureInfo.InvariantCulture);
            else parts.Host = string.Join(',', hosts.Zip(ports, (host, port) => host.Contains(':', StringComparison.Ordinal) ? $"[{host}]:{port}" : $"{host}:{port}"));

            var warnings = new List<string>();
            parts.Password = Text("password") ?? FromPasswordFile(hosts, ports, parts.Database, parts.Username, warnings);
            // Npgsql reads the file whoever else can, where it has no password, and asks for one that is there.
            if (string.IsNullOrEmpty(parts.Password)) parts.Passfile = "/dev/null";
            Protect(parts, hosts);
            parts.Options = Text("options");
            parts.ChannelBinding = Word("channel_binding") switch
            {
                null or "prefer" => ChannelBinding.Prefer,
                "disable" => ChannelBinding.Disable,
                "require" => ChannelBinding.Require,
                _ => throw Wrong("channel_binding", "is not known", "write disable, prefer or require"),
            };
            if (Text("connect_timeout") is { } timeout)
                parts.Timeout = int.TryParse(timeout, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int seconds) ? Math.Clamp(seconds, 0, 1024) : throw Wrong("connect_timeout", "is no number", "write whole seconds");
            if (Word("require_auth") is { } methods)
            {
                string[] known = [.. methods.Split(',').Select(Method)];
                if (known.DistinctBy(method => method[0] == '!').Count() > 1) throw Wrong("require_auth", "mixes methods with and without !", "write one kind");
                parts.RequireAuth = string.Join(',', known);
            }
            string? target = Word("target_session_attrs");
            if (target is not (null or "any" or "read-write" or "read-only" or "primary" or "standby" or "prefer-standby"))
                throw Wrong("target_session_attrs", "is not known", "write any, read-write, read-only, primary, standby or prefer-standby");
            // One host is what it is. Of several, migrations need the one that takes writes.
            if (hosts.Length > 1) parts.TargetSessionAttributes = target ?? "read-write";
            return new DatabaseAddress(parts.ConnectionString) { Warnings = warnings.Count == 0 ? [] : warnings };
        }

        private void Protect(NpgsqlConnectionStringBuilder parts, string[] hosts)
        {
            parts.SslMode = Word("sslmode") switch
            {
                null or "prefer" => SslMode.Prefer,
                "disable" => SslMode.Disable,
                "allow" => SslMode.Allow,
                "require" => SslMode.Require,
                "verify-ca" => SslMode.VerifyCA,
                "verify-full" => SslMode.VerifyFull,
                _ => throw Wrong("sslmode", "is not known", "write disable, allow, prefer, require, verify-ca or verify-full"),
            };
            if (hosts.All(host => host.StartsWith('/'))) parts.SslMode = SslMode.Disable;   // libpq has no TLS on a Unix socket, whatever is asked for
            if (parts.SslMode == SslMode.Disable) return;
            if (parts.SslMode == SslMode.VerifyFull && Text("hostaddr") is not null && Text("host") is not null) throw Wrong("hostaddr", "stands beside host with sslmode verify-full", "take it out, or use verify-ca");
            string? root = Text("sslrootcert");
            if (root == "system")
            {
                if (Text("sslmode") is not null && parts.SslMode != SslMode.VerifyFull) throw Wrong("sslmode", "is too weak for sslrootcert=system", "write sslmode=verify-full");
                (root, parts.SslMode) = (SystemCertificates, SslMode.VerifyFull);
            }
            bool verifies = parts.SslMode is SslMode.VerifyCA or SslMode.VerifyFull;
            if (verifies || parts.SslMode == SslMode.Require)
            {
                root ??= files.Default("root.crt");
                if (verifies && root is null) throw Wrong("sslmode", "verifies, but there is no root certificate", "name it with sslrootcert=FILE, or write sslrootcert=system for those that this host trusts");
                if (verifies && !files.Exists(root!)) throw Wrong("sslrootcert", "names a file that is not there", "put the certificate of the server's authority there");
                // So libpq has it: a root certificate that is there makes require verify.
                if (root is not null && files.Exists(root)) (parts.RootCertificate, parts.SslMode) = (root, verifies ? parts.SslMode : SslMode.VerifyCA);
            }
            if ((Text("sslcert") ?? files.Default("postgresql.crt")) is not { } certificate) return;
            parts.SslCertificate = certificate;
            parts.SslKey = Text("sslkey") ?? files.Default("postgresql.key");
            if (!files.Exists(certificate)) throw Wrong("sslcert", "names a file that is not there", "put the client's certificate there");
            if (parts.SslKey is not { } key || !files.Exists(key)) throw Wrong("sslkey", "names a file that is not there", "put the key of the client's certificate there");
        }

        private string[] Ports(int hosts)
        {
            string[] ports = [.. (Text("port") ?? "5432").Split(',').Select(port => port.Trim().Length == 0 ? "5432" : port.Trim())];
            foreach (string port in ports)
                if (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number is < 1 or > 65535) throw Wrong("port", "is no port", "write 1 to 65535");
            if (ports.Length == 1) return [.. Enumerable.Repeat(ports[0], hosts)];
            return ports.Length == hosts ? ports : throw Wrong("port", $"has {ports.Length} ports for {hosts} hosts", "write one, or one for each");
        }

        private string? FromPasswordFile(string[] hosts, string[] ports, string database, string user, List<string> warnings)
        {
            string[] found = [.. hosts.Zip(ports, (host, port) => files.Password(Text("passfile"), host, port, database, user, warnings)).OfType<string>().Distinct()];
            return found.Length < 2 ? found.FirstOrDefault() : throw Wrong("host", "names several hosts for which the password file has different passwords", "give them one password");
        }

        private string Method(string libpq)
        {
            string word = libpq.Trim(), name = word.TrimStart('!');
            string npgsql = AuthenticationMethods.FirstOrDefault(one => one.Libpq == name || one.Npgsql.Equals(name, StringComparison.OrdinalIgnoreCase)).Npgsql
                ?? throw Wrong("require_auth", "is not known", $"write {string.Join(", ", AuthenticationMethods.Select(one => one.Libpq))}, each with ! before it for all others");
            return word.StartsWith('!') ? "!" + npgsql : npgsql;
        }

        private string? Text(string key) => given.TryGetValue(key, out var one) && one.Value.Length > 0 ? one.Value : null;

        private string? Word(string key) => Text(key)?.ToLowerInvariant();

        private OperatorException Wrong(string key, string what, string instead)
        {
            string from = given.TryGetValue(key, out var one) ? one.From : variable;
            return new OperatorException(ExitCode.Refused, from == ConnectionText.Variables[key] ? $"{from} {what}" : $"{key} of {from} {what}", instead);
        }
    }
}

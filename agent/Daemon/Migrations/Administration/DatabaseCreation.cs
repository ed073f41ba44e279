using System.Globalization;
using System.Security.Cryptography;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations.RestorePoints;
using Npgsql;

namespace Agent.Daemon.Migrations.Administration;

/// <summary>
/// An app's role and database, with no right but to its own, and the URL in the app's secrets. In this order:
/// <list type="number">
/// <item>the password into a file of the agent's own, so that whoever comes after a kill goes on with it, and knows what is its own;</item>
/// <item>role and database, each where it is not there yet;</item>
/// <item>a login with them;</item>
/// <item>the URL into the app's secrets, which so never name what does not work;</item>
/// <item>the agent's own file away.</item>
/// </list>
/// </summary>
/// <param name="dataDirectory">Usually <c>/var/lib/agentd</c>.</param>
internal sealed class DatabaseCreation(AdminSession admin, IDisk disk, string dataDirectory)
{
    // What KnownAsync answers.
    private const string Role = "role", Database = "database", Superuser = "superuser";

    private const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    /// <summary>Of <see cref="Alphabet"/>: 190 bits.</summary>
    private const int PasswordLength = 32;

    /// <summary>Makes what is missing. The caller sees to it that nobody else does this for the app meanwhile.</summary>
    /// <returns>What is so now, for people; without the password.</returns>
    /// <exception cref="OperatorException">The app has an address already, role or database are there and not the app's, or nobody may make them (<see cref="ExitCode.Refused"/>); the server does not answer.</exception>
    public async Task<string> CreateAsync(AppOptions app, CancellationToken cancellationToken)
    {
        DatabaseOptions options = app.Database ?? new DatabaseOptions(DatabaseFile.DefaultUrl);
        string variable = options.Url, name = app.Name.Value.Replace('-', '_'), begun = Path.Combine(dataDirectory, "databases", app.Name.Value);
        string? password = disk.Exists(begun) ? disk.ReadText(begun) : null;
        IReadOnlyDictionary<string, string> secrets = admin.Secrets(app);
        if ((secrets.GetValueOrDefault(variable) ?? app.Environment.GetValueOrDefault(variable)) is { } there)
        {
            if (password is null || !there.Contains($":{password}@", StringComparison.Ordinal))
                throw new OperatorException(ExitCode.Refused, $"{app.Name} has its database: {variable} is set already", $"look where it is: agentctl db url --app {app.Name}; to make another one, take {variable} out of {(secrets.ContainsKey(variable) ? app.SecretsPath : $"apps.d/{app.Name}.yaml")}");
            disk.RemoveDurable(begun);
            return Made(app, options, name, DatabaseAddress.Of(options, app.Environment, secrets).Shown);
        }
        NpgsqlConnectionStringBuilder url = await ServerAsync(app, options, cancellationToken);
        IReadOnlyList<string> known = await KnownAsync(app, options, name, cancellationToken);
        if (password is null)
        {
            if (known.FirstOrDefault(one => one != Superuser) is { } foreign)
                throw new OperatorException(ExitCode.Refused, $"the server has a {foreign} {name} already", $"where it is the app's, write its address as {variable} into {app.SecretsPath}; else drop or rename it");
            password = RandomNumberGenerator.GetString(Alphabet, PasswordLength);
            disk.MakeDirectories(Path.GetDirectoryName(begun)!, DurableOperations.Mode700);
            disk.WriteAtomic(begun, password, DurableOperations.Mode600);                                      // 1
        }
        await admin.ExecuteAsync(app, options, "postgres", Statements(name, password, known), cancellationToken);   // 2
        (url.Username, url.Password, url.Database) = (name, password, name);
        string secret = DatabaseUrl.Of(url);
        DatabaseAddress address = DatabaseAddress.Of(options, app.Environment, new Dictionary<string, string> { [variable] = secret });
        await using (await ServerSession.OpenAsync(address, $"agentd {Environment.MachineName}", cancellationToken)) { }   // 3
        AddSecret(app, $"{variable}={secret}");                                                                // 4
        disk.RemoveDurable(begun);                                                                             // 5
        return Made(app, options, name, address.Shown);
    }

    private static string Made(AppOptions app, DatabaseOptions options, string name, string shown) =>
        $"role and database {name} are made: {shown}; {options.Url} is in {app.SecretsPath}"
        + (app.Database is null ? $"; now write 'database: {options.Url}' into apps.d/{app.Name}.yaml" : "");

    /// <summary>Where the server is for the app: as for the admin, or by TCP on this host.</summary>
    private async Task<NpgsqlConnectionStringBuilder> ServerAsync(AppOptions app, DatabaseOptions options, CancellationToken cancellationToken)
    {
        if (admin.AddressOf(app, options) is { } address)
        {
            var parts = new NpgsqlConnectionStringBuilder(address.ConnectionString);
            return new NpgsqlConnectionStringBuilder { Host = parts.Host, Port = parts.Port, SslMode = parts.SslMode, RootCertificate = parts.RootCertificate };
        }
        IReadOnlyList<string> told = await admin.ExecuteAsync(
            app, options, "postgres", ["SELECT pg_catalog.current_setting('port')", "SELECT pg_catalog.current_setting('listen_addresses')"], cancellationToken);
        string[] addresses = told.Count > 1 ? told[1].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : [];
        string host = addresses.Any(one => one is "*" or "localhost" or "127.0.0.1" or "0.0.0.0") ? "127.0.0.1"
            : addresses.Any(one => one is "::" or "::1") ? "::1"
            : addresses.FirstOrDefault() ?? throw new OperatorException(
                ExitCode.Refused, "PostgreSQL on this host listens on no TCP address, and over its socket it would let nobody in by a password", "set listen_addresses = 'localhost' in postgresql.conf and restart it");
        return new NpgsqlConnectionStringBuilder { Host = host, Port = int.Parse(told[0], CultureInfo.InvariantCulture) };
    }

    private Task<IReadOnlyList<string>> KnownAsync(AppOptions app, DatabaseOptions options, string name, CancellationToken cancellationToken)
    {
        string literal = ServerSession.Literal(name);
        return admin.ExecuteAsync(app, options, "postgres",
        [
            $"SELECT '{Role}' FROM pg_catalog.pg_roles WHERE rolname = {literal}",
            $"SELECT '{Database}' FROM pg_catalog.pg_database WHERE datname = {literal}",
            $"SELECT '{Superuser}' FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper",
        ], cancellationToken);
    }

    private static IReadOnlyList<string> Statements(string name, string password, IReadOnlyList<string> known)
    {
        string quoted = ServerSession.Quote(name);
        var statements = new List<string>
        {
            $"{(known.Contains(Role) ? "ALTER" : "CREATE")} ROLE {quoted} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{ScramVerifier.Of(password)}'",
        };
        // Who is no superuser has to be a member of the role to give it a database, and to swap that for a restored one later.
        if (!known.Contains(Superuser)) statements.Add($"GRANT {quoted} TO CURRENT_USER");
        // Of template0, which fits any encoding and holds nothing of others.
        if (!known.Contains(Database)) statements.Add($"CREATE DATABASE {quoted} OWNER {quoted} ENCODING 'UTF8' TEMPLATE template0");
        statements.Add($"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC");
        return statements;
    }

    private void AddSecret(AppOptions app, string line)
    {
        try
        {
            string text = app.SecretsFile is { } file ? disk.ReadText(file) : "";
            disk.MakeDirectories(Path.GetDirectoryName(app.SecretsPath)!, DurableOperations.Mode700);
            disk.WriteAtomic(app.SecretsPath, $"{text}{(text.Length == 0 || text.EndsWith('\n') ? "" : "\n")}{line}\n", DurableOperations.Mode600);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(
                ExitCode.Refused, $"role and database are made, but {app.SecretsPath} cannot be written: {e.Message}",
                "let the agent write there (systemctl edit agentd, [Service], ReadWritePaths=/the/directory), then try again: it goes on", e);
        }
    }
}

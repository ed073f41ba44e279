using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Daemon.Systemd;
using Npgsql;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Migrations.Administration;

/// <summary>
/// Statements of somebody who may make databases and roles: the role that <see cref="DatabaseOptions.Admin"/> names, or else the system user
/// postgres of this host, through psql, which the server knows by the user that it runs as.
/// </summary>
/// <param name="directory">For a file with statements; other users may pass through it: <c>/run/agentd</c>.</param>
internal sealed partial class AdminSession(IConfiguration configuration, ISupervisor supervisor, IDisk disk, string directory) : IDisposable
{
    private const string SystemUser = "postgres";

    private static readonly UnitName s_unit = new("agentd-database-admin.service");

    // Making a database copies another one.
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(15);

    private readonly SemaphoreSlim turn = new(1);

    /// <summary>Of the file system, where psql is looked for.</summary>
    public string Root { get; init; } = "/";

    /// <summary>What tells a user by its name; null: there is none.</summary>
    public Func<string, UserIds?> FindUser { get; init; } = Accounts.Find;

    public void Dispose() => turn.Dispose();

    /// <summary>Runs statements one after another, each by itself, in a database of the app's server.</summary>
    /// <param name="statements">Without the <c>;</c>. Names in them are qualified by their schema. They may hold what the server's log and its administrators may see.</param>
    /// <returns>The first column of all rows, as text.</returns>
    /// <exception cref="OperatorException">One failed, or nobody is there who may (<see cref="ExitCode.Refused"/>); the server does not answer (<see cref="ExitCode.Unreachable"/>).</exception>
    public async Task<IReadOnlyList<string>> ExecuteAsync(AppOptions app, DatabaseOptions options, string database, IReadOnlyList<string> statements, CancellationToken cancellationToken)
    {
        if (AddressOf(app, options) is not { } admin) return await ThroughPsqlAsync(app, options, database, statements, cancellationToken);
        await using ServerSession session = await ServerSession.OpenAsync(admin.WithDatabase(database), $"agentd {Environment.MachineName} admin", cancellationToken);
        var rows = new List<string>();
        foreach (string statement in statements)
            rows.AddRange(await session.QueryAsync(statement, row => Convert.ToString(row.GetValue(0), CultureInfo.InvariantCulture) ?? "", cancellationToken));
        return rows;
    }

    /// <summary>The address of whoever does it; null: the system user postgres on this host.</summary>
    /// <exception cref="OperatorException">It is named, but not there, or wrong (<see cref="ExitCode.Refused"/>).</exception>
    public DatabaseAddress? AddressOf(AppOptions app, DatabaseOptions options)
    {
        if (options.Admin is not { } name) return null;
        IReadOnlyDictionary<string, string> secrets = Secrets(app);
        if (!secrets.ContainsKey(name) && !app.Environment.ContainsKey(name))
            throw new OperatorException(ExitCode.Refused, $"database.admin names {name}, which neither the secrets nor the environment of {app.Name} have", $"write {name}=postgres://USER:PASSWORD@HOST/postgres into {app.SecretsPath}");
        return DatabaseAddress.Of(new DatabaseOptions(name), app.Environment, secrets);
    }

    /// <summary>The app's secrets; none where it has no file.</summary>
    /// <exception cref="OperatorException">They cannot be read (<see cref="ExitCode.Refused"/>).</exception>
    public IReadOnlyDictionary<string, string> Secrets(AppOptions app) => app.SecretsFile is { } file ? configuration.Secrets(file) : ImmutableDictionary<string, string>.Empty;

    private async Task<IReadOnlyList<string>> ThroughPsqlAsync(AppOptions app, DatabaseOptions options, string database, IReadOnlyList<string> statements, CancellationToken cancellationToken)
    {
        var environment = new Dictionary<string, string>
        {
            ["LC_ALL"] = "C",
            ["PGDATABASE"] = database,
            ["PGAPPNAME"] = $"agentd {Environment.MachineName} admin",
            ["PGOPTIONS"] = "-c client_min_messages=error",
            ["PGCONNECT_TIMEOUT"] = "15",
        };
        FindServer(app, options, environment);
        if (FindUser(SystemUser) is not { } user)
            throw new OperatorException(ExitCode.Refused, $"there is no user {SystemUser} on this host, and so no server of its own that it could ask", Remedy(app));
        // One at a time: unit and file have one name, so that what a killed agent left is found.
        await turn.WaitAsync(cancellationToken);
        string file = Path.Combine(directory, "database-admin.sql");
        try
        {
            string text = string.Concat(statements.Select(statement => $"{statement}\n;\n"));
            disk.RemoveFile(file);
            disk.WriteFile(file, DurableOperations.Mode600, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
            disk.SetOwner(file, user.Uid, user.Gid);
            CommandEnd end = await supervisor.RunAsync(new TransientCommand(
                s_unit, $"make and change databases of {app.Name}",
                [Psql(), "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", $"--file={file}"],
                SystemUser, "/", environment, EnvironmentFiles: [], s_limit, Memory: null), static _ => { }, cancellationToken);
            return end.Succeeded ? end.Output : throw Explain(app, end);
        }
        finally
        {
            disk.RemoveFile(file);
            turn.Release();
        }
    }

    /// <summary>The server that the app uses, where its address tells one of this host; else the one that psql finds.</summary>
    private void FindServer(AppOptions app, DatabaseOptions options, Dictionary<string, string> environment)
    {
        IReadOnlyDictionary<string, string> secrets = Secrets(app);
        if (!secrets.ContainsKey(options.Url) && !app.Environment.ContainsKey(options.Url)) return;
        DatabaseAddress address = DatabaseAddress.Of(options, app.Environment, secrets);
        var parts = new NpgsqlConnectionStringBuilder(address.ConnectionString);
        string host = parts.Host ?? "";
        if (host.StartsWith('/')) environment["PGHOST"] = host;
        else if (host is not ("" or "localhost" or "127.0.0.1" or "::1") && host != Environment.MachineName)
            throw new OperatorException(ExitCode.Refused, $"the database of {app.Name} is on {host}, and nobody is named who may make databases there", Remedy(app));
        environment["PGPORT"] = parts.Port.ToString(CultureInfo.InvariantCulture);
    }

    private string Psql()
    {
        string usual = Path.Combine(Root, "usr/bin/psql");
        if (File.Exists(usual)) return usual;
        string versions = Path.Combine(Root, "usr/lib/postgresql");
        return (Directory.Exists(versions) ? Directory.GetDirectories(versions) : []).Order(StringComparer.Ordinal).Select(path => Path.Combine(path, "bin/psql")).LastOrDefault(File.Exists)
            ?? throw new OperatorException(ExitCode.Refused, "psql is not on this host", "apt install postgresql-client (dnf install postgresql)");
    }

    private static OperatorException Explain(AppOptions app, CommandEnd end)
    {
        foreach (string line in end.Output)
        {
            if (ErrorPattern().Match(line) is not { Success: true } error) continue;
            string what = $"PostgreSQL: {PlainText.Of(error.Groups["text"].Value, 300)} ({error.Groups["state"].Value})";
            return new OperatorException(ExitCode.Refused, what, error.Groups["state"].Value == PostgresErrorCodes.InsufficientPrivilege ? Remedy(app) : "mend what it names, and try again");
        }
        string last = end.Output.LastOrDefault(line => line.Contains("error: ", StringComparison.Ordinal)) ?? (end.Output is [.., var only] ? only : "");
        string told = PlainText.Of(last[(last.IndexOf("error: ", StringComparison.Ordinal) is >= 0 and var at ? at + 7 : 0)..], 300);
        bool refused = told.Contains("FATAL:", StringComparison.Ordinal);
        return new OperatorException(
            refused ? ExitCode.Refused : ExitCode.Unreachable,
            $"PostgreSQL on this host {(refused ? $"does not let the user {SystemUser} in" : "does not answer")}: {(told.Length > 0 ? told : end.Cause)}",
            refused ? Remedy(app) : $"systemctl start postgresql; where the server is another host's: {Remedy(app)}");
    }

    private static string Remedy(AppOptions app) =>
        $"name who may: 'admin: ADMIN_URL' below 'database:' in apps.d/{app.Name}.yaml, and ADMIN_URL=postgres://USER:PASSWORD@HOST/postgres in {app.SecretsPath}";

    // psql:/run/agentd/database-admin.sql:1: ERROR:  42710: role "shop" already exists
    [GeneratedRegex(@":\d+: (?:ERROR|FATAL|PANIC):\s+(?<state>[0-9A-Z]{5}): (?<text>.*)\z")]
    private static partial Regex ErrorPattern();
}

using System.Diagnostics;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations.Administration;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.Administration;

/// <summary>Hosts whose system user postgres may do all on the tests' server, and app files for them.</summary>
internal static class Admins
{
    public static readonly UserIds SystemUser = new(4711, 4712);

    /// <summary>A configuration of the app shop.</summary>
    public static ConfigurationFiles Configuration(IDisk disk, string yaml, string? secrets = null, string app = "shop")
    {
        disk.MakeDirectories("/etc/agentd/apps.d");
        disk.MakeDirectories("/etc/agentd/secrets.d");
        disk.MakeDirectories("/run/agentd");
        disk.WriteAtomic($"/etc/agentd/apps.d/{app}.yaml", yaml);
        if (secrets is not null) disk.WriteAtomic($"/etc/agentd/secrets.d/{app}.env", secrets, DurableOperations.Mode600);
        return ConfigurationFiles.Load("/etc/agentd", disk);
    }

    /// <summary>In psql's place: each statement of the file, as the superuser; the world may end before each of them.</summary>
    public static ISupervisor Supervisor(PostgresServer server, IDisk disk, Fuse? fuse = null) => new StaticSupervisor(_ => throw new NotSupportedException(), async (command, _) =>
    {
        string file = command.Arguments.Single(argument => argument.StartsWith("--file=", StringComparison.Ordinal))["--file=".Length..];
        var rows = new List<string>();
        foreach (string statement in disk.ReadText(file).Split("\n;\n", StringSplitOptions.RemoveEmptyEntries))
        {
            fuse?.Burn();
            rows.AddRange(await server.QueryAsync(command.Environment["PGDATABASE"], statement));
        }
        return new CommandEnd(true, "", rows);
    });

    /// <summary>psql itself, as a superuser whom the server knows by a password.</summary>
    public static ISupervisor Psql(PostgresServer server, Action<TransientCommand>? look = null) => new StaticSupervisor(_ => throw new NotSupportedException(), async (command, cancellationToken) =>
    {
        look?.Invoke(command);
        var start = new ProcessStartInfo(command.Arguments[0], command.Arguments.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = command.WorkingDirectory };
        start.Environment.Clear();
        foreach ((string name, string value) in command.Environment) start.Environment[name] = value;
        start.Environment["PGUSER"] = "postgres";
        start.Environment["PGPASSWORD"] = "postgres";
        start.Environment.TryAdd("PGHOST", server.DataDirectory);
        using Process psql = Process.Start(start)!;
        Task<string> output = psql.StandardOutput.ReadToEndAsync(cancellationToken), errors = psql.StandardError.ReadToEndAsync(cancellationToken);
        await psql.WaitForExitAsync(cancellationToken);
        string[] lines = (await output + await errors).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return new CommandEnd(psql.ExitCode == 0, psql.ExitCode == 0 ? "" : $"exit status {psql.ExitCode}", lines);
    });

    public static AdminSession Session(ConfigurationFiles configuration, ISupervisor supervisor, IDisk disk, string directory = "/run/agentd") =>
        new(configuration, supervisor, disk, directory) { FindUser = _ => SystemUser };

    /// <summary>The statements of one program of Npgsql's, as whoever the URL names.</summary>
    public static async Task<string> AskAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToString(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken), System.Globalization.CultureInfo.InvariantCulture) ?? "";
    }
}

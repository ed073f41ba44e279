using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Systemd;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>
/// The operator's own way to take restore points and to put them back. Runs as the system user postgres where this host has one, for that is who owns a local
/// server's files; else as the user of the app's name. The app's secrets are in its environment.
/// </summary>
internal sealed class OperatorsCommand(ISupervisor supervisor, IConfiguration configuration, AppOptions app, RestorePointOptions options)
{
    private const int LongestName = 200;
    private static readonly TimeSpan s_limit = TimeSpan.FromHours(4);

    /// <returns>What the last line of its output says that it made.</returns>
    /// <exception cref="OperatorException">It failed, or printed nothing (<see cref="ExitCode.Refused"/>).</exception>
    public async Task<string> TakeAsync(string id, IProgress<string> messages, CancellationToken cancellationToken)
    {
        CommandEnd end = await RunAsync(CommandLine.Split(options.Command!), id, messages, cancellationToken);
        return end.Output.LastOrDefault(line => line.Trim().Length > 0) is { } last
            ? PlainText.Of(last.Trim(), LongestName)
            : throw new OperatorException(ExitCode.Refused, "database: restore_points: command printed nothing, so nobody knows what it made", "let its last line name the backup or snapshot");
    }

    /// <exception cref="OperatorException">There is nothing that puts it back (<see cref="ExitCode.Refused"/>).</exception>
    public void DemandRestore(RestorePoint point)
    {
        if (options.RestoreCommand is null)
            throw new OperatorException(
                ExitCode.Refused, $"restore point {point.Id} was made by a command of your own, and there is none that puts it back",
                $"put back '{point.Name}' by hand, or name a program in database: restore_points: restore_command");
    }

    /// <exception cref="OperatorException">It failed (<see cref="ExitCode.Refused"/>): what the database is now, the command knows.</exception>
    public Task RestoreAsync(RestorePoint point, IProgress<string> messages, CancellationToken cancellationToken) =>
        RunAsync([.. CommandLine.Split(options.RestoreCommand!), point.Name!], point.Id, messages, cancellationToken);

    private async Task<CommandEnd> RunAsync(IReadOnlyList<string> words, string id, IProgress<string> messages, CancellationToken cancellationToken)
    {
        // It gets the secrets, so it may print them.
        Redactor redactor = app.SecretsFile is { } secrets ? new Redactor(configuration.Secrets(secrets).Values) : Redactor.Nothing;
        string user = Accounts.Find("postgres") is not null ? "postgres" : app.Name.Value;
        if (user != "postgres") await supervisor.MakeUserAsync(user, cancellationToken);
        CommandEnd end = await supervisor.RunAsync(new TransientCommand(
            new UnitName($"agentd-restore-point-{app.Name}.service"), $"restore point {id} of {app.Name}", words, user, "/",
            new Dictionary<string, string> { ["AGENTD_APP"] = app.Name.Value, ["AGENTD_RESTORE_POINT"] = id },
            app.SecretsFile is { } file ? [file] : [], s_limit, Memory: null), line => messages.Report(redactor.Clean(line)), cancellationToken);
        end = end with { Output = [.. end.Output.Select(redactor.Clean)] };
        if (end.Succeeded) return end;
        throw new OperatorException(ExitCode.Refused, $"{words[0]} failed: {end.Cause}{(end.Output is [.., var last] ? $": {last}" : "")}", $"run it by hand as the user {user} to see why");
    }
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations;

/// <summary>Runs a release's own migration command, as a transient unit from that release as the app's user.</summary>
internal sealed class CommandRunner(ISupervisor supervisor)
{
    /// <param name="release">Whose command it is.</param>
    /// <param name="from">The version that runs; null: nothing.</param>
    /// <param name="messages">Takes its output, without secrets.</param>
    /// <exception cref="OperatorException">It failed (<see cref="ExitCode.RolledBack"/>), or systemd could not run it.</exception>
    public async Task RunAsync(AppName app, string deployment, DatabaseUser release, string? from, Redactor redactor, IProgress<string> messages, CancellationToken cancellationToken)
    {
        AppDefinition definition = release.Definition;
        MigrationOptions options = definition.Migrations!;
        IReadOnlyList<string> words = CommandLine.Split(options.Command!);
        string program = Path.GetFullPath(Path.Combine(release.Directory, words[0]));
        if (!words[0].StartsWith('/') && !program.StartsWith(release.Directory + "/", StringComparison.Ordinal))
            throw new OperatorException(ExitCode.Refused, $"the migration command {words[0]} is not inside the release", "write the path from the top of the release: bin/migrate");
        string user = definition.User ?? app.Value;
        await supervisor.MakeUserAsync(user, cancellationToken);
        var environment = new Dictionary<string, string>(definition.Environment, StringComparer.Ordinal);
        foreach ((string name, string value) in definition.Database!.Environment) environment[name] = value;
        environment["AGENTD_APP"] = app.Value;
        environment["AGENTD_DEPLOYMENT"] = deployment;
        environment["AGENTD_VERSION"] = release.Version;
        environment["AGENTD_FROM_VERSION"] = from ?? "";
        CommandEnd end = await supervisor.RunAsync(
            new TransientCommand(
                UnitOf(deployment), $"migrations of {app} {release.Version}", [program, .. words.Skip(1)], user, release.Directory, environment,
                definition.SecretsFile is { } secrets ? [secrets] : [], options.Timeout, options.Memory),
            line => messages.Report(redactor.Clean(line)), cancellationToken);
        if (end.Succeeded) return;
        // The last line alone is often a caret below the one that matters.
        string[] said = [.. end.Output.Where(line => line.Trim().Length > 0).TakeLast(3).Select(line => redactor.Clean(line.Trim()))];
        string last = said.Length > 0 ? $": {string.Join(" / ", said)}" : "";
        throw new OperatorException(ExitCode.RolledBack, $"the migration command failed: {end.Cause}{last}", "correct it and publish the release under a new version; agentctl why shows all that it said");
    }

    /// <summary>Ends what an agent that was killed left running of a deployment.</summary>
    public Task StopAsync(string deployment, CancellationToken cancellationToken) => supervisor.StopAsync(UnitOf(deployment), cancellationToken);

    private static UnitName UnitOf(string deployment) => new($"agentd-{deployment}-migrate.service");
}

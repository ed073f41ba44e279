using System.Collections.Concurrent;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Runs a command of the release, or of the host, as the app's user in <c>current</c>.</summary>
/// <param name="releases">Root of the apps' directories.</param>
internal sealed class CommandCheck(ISupervisor supervisor, string releases, TimeProvider time)
{
    // Numbers are used again, since the system's log remembers every name of a unit; the bound is for runs that systemd does not end.
    private const int AtOnce = 16;

    private readonly ConcurrentDictionary<UnitName, CheckOptions.Command> underWay = new();

    /// <returns>Ends with the command, not with the token: only then the unit's name is free again.</returns>
    /// <exception cref="OperatorException">systemd does not run commands: that says nothing about the application.</exception>
    public async Task<(bool Passed, string Detail)> RunAsync(AppDefinition app, CheckOptions.Command check, CancellationToken cancellationToken)
    {
        string current = Path.Combine(releases, app.Name.Value, "current");
        IReadOnlyList<string> words;
        try
        {
            words = CommandLine.Split(check.Line);
        }
        catch (OperatorException e)
        {
            return (false, e.Message);
        }
        string program = Path.GetFullPath(Path.Combine(current, words[0]));
        if (!words[0].StartsWith('/') && !program.StartsWith(current + "/", StringComparison.Ordinal)) return (false, $"{words[0]} is not inside the release");
        if (Take(app.Name, check) is not { } unit) return (false, $"{AtOnce} runs of commands have not ended yet");
        try
        {
            long start = time.GetTimestamp();
            CommandEnd end = await supervisor.RunAsync(
                new TransientCommand(
                    unit, $"{app.Name}: check '{check.Name}'", [program, .. words.Skip(1)], app.User ?? app.Name.Value, current, app.Environment,
                    app.SecretsFile is { } secrets ? [secrets] : [], check.Timeout, Memory: null),
                static _ => { }, cancellationToken).ConfigureAwait(false);
            return end.Succeeded ? (true, $"exit status 0 in {time.GetElapsedTime(start).TotalMilliseconds:0} ms") : (false, end.Cause + Told(app, end));
        }
        finally
        {
            underWay.TryRemove(unit, out _);
        }
    }

    // A command that was given secrets may print one.
    private static string Told(AppDefinition app, CommandEnd end) =>
        app is { SecretsFile: null, Credentials: null or { Count: 0 } } && end.Output.LastOrDefault(line => line.Trim().Length > 0) is { } last ? $": {last.Trim()}" : "";

    private UnitName? Take(AppName app, CheckOptions.Command check)
    {
        for (int number = 1; number <= AtOnce; number++)
        {
            var unit = new UnitName($"agentd-check-{app}-{number}.service");
            if (underWay.TryAdd(unit, check)) return unit;
        }
        return null;
    }
}

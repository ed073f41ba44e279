using System.Globalization;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

// Commands run once, and users. A command is a unit of its own that stays (RemainAfterExit=yes, or as failed) until its end was
// looked at, so that a bus that went away neither hides the end nor makes the command run twice.
internal sealed partial class Supervisor
{
    private const string Sysusers = "/usr/bin/systemd-sysusers";

    private const string Stopped = "it was stopped from outside";

    // What is left of a command gets this long to end by itself before it is killed.
    private static readonly TimeSpan KillAfter = TimeSpan.FromSeconds(5);

    // systemd has ended everything that could write; its own copy of the pipe goes a moment later.
    private static readonly TimeSpan OutputGrace = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim makingUser = new(1);

    public async Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken)
    {
        UnitName unit = command.Unit;
        await MakeRoomAsync(unit, cancellationToken);
        using var lines = new CommandOutput(output, e => logger.OutputNotTaken(unit, e));
        string result;
        UnitState end;
        try
        {
            logger.CommandStarted(unit, command.Arguments[0]);
            (result, end) = await RunUnitAsync(command, lines, cancellationToken);
        }
        finally
        {
            await EndCommandAsync(unit);
        }
        IReadOnlyList<string> last = await lines.EndAsync(OutputGrace, time);
        string cause = result == "canceled" ? Stopped : CauseOf(end, command.Timeout);
        return new CommandEnd(cause.Length == 0, cause, last);
    }

    public async Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken)
    {
        if (Accounts.Find(user) is { } known) return known;
        if (!Names.IsUser(user))
            throw new OperatorException(ExitCode.Usage, $"there is no user '{user}', and none can be made by that name", "use a-z, 0-9, '_' and '-', 31 at most, beginning with a letter or '_'");
        // One after the other: they share a unit.
        await makingUser.WaitAsync(cancellationToken);
        try
        {
            var unit = new UnitName("agentd-make-user.service");
            CommandEnd end = await RunAsync(new TransientCommand(
                unit, $"make the user {user}", [Sysusers, "--inline", $"u {user} - \"{user}, made by agentd\""], User: null, WorkingDirectory: "/",
                new Dictionary<string, string>(), EnvironmentFiles: [], TimeSpan.FromSeconds(30), Memory: null), static _ => { }, cancellationToken);
            // The name service may remember for a moment that there was no such user.
            for (long began = time.GetTimestamp(); end.Succeeded && time.GetElapsedTime(began) < TimeSpan.FromSeconds(5); await Task.Delay(Pause, time, cancellationToken))
            {
                if (Accounts.Find(user) is not { } made) continue;
                logger.UserMade(user, made.Uid);
                return made;
            }
            string why = end.Succeeded ? "systemd-sysusers was content, but the host does not know the user" : $"{Sysusers}: {end.Cause}{(end.Output.Count > 0 ? $": {end.Output[^1]}" : "")}";
            throw new OperatorException(ExitCode.Refused, $"the user {user} was not made: {why}", $"make it: useradd --system --user-group {user}");
        }
        finally
        {
            makingUser.Release();
        }
    }

    /// <summary>Why a command did not succeed, for people; empty where it did.</summary>
    /// <remarks>Statuses of systemd itself: systemd.exec(5), "Process Exit Codes".</remarks>
    public static string CauseOf(UnitState end, TimeSpan timeout)
    {
        if (end is { ActiveState: "active", Result: "success" }) return "";
        string exit = end.ExitKind switch
        {
            "exited" => $"exit status {end.ExitCode}",
            "killed" or "dumped" => $"signal {end.ExitCode}",
            _ => "it ended",
        };
        return end.Result switch
        {
            "timeout" => string.Create(CultureInfo.InvariantCulture, $"took longer than {timeout.TotalSeconds:0.###} s"),
            "exit-code" => exit + end.ExitCode switch
            {
                200 => " (the working directory cannot be entered)",
                203 => " (the program cannot be run)",
                216 or 217 => " (there is no such user or group)",
                226 => " (its namespace could not be made)",
                _ => "",
            },
            "signal" => exit,
            "success" => Stopped,
            "resources" => "systemd could not start it: a file of its environment is missing or unreadable, or something ran out (resources)",
            _ => $"{exit} ({end.Result})",
        };
    }

    // What a killed agent left under the name, running or not, would be in the way.
    private async Task MakeRoomAsync(UnitName unit, CancellationToken cancellationToken)
    {
        for (long began = time.GetTimestamp(); ; await Task.Delay(Pause, time, cancellationToken))
        {
            UnitState state = await GetStateAsync(unit, cancellationToken);
            if (state is { LoadState: "not-found", ActiveState: "inactive" }) return;
            if (time.GetElapsedTime(began) > KillAfter + patience)
                throw new OperatorException(ExitCode.Refused, $"{unit} is in the way: {Explain(state)}", $"run 'systemctl status {unit}' on the host, and remove it");
            await StopQuietlyAsync(unit, cancellationToken);
        }
    }

    /// <returns>The result word of its job, empty where it was not seen, and what became of the unit.</returns>
    private async Task<(string Result, UnitState End)> RunUnitAsync(TransientCommand command, CommandOutput output, CancellationToken cancellationToken)
    {
        string result = "";
        try
        {
            JobWatch job = await ToldAsync($"{command.Unit} did not start", () => AskAsync(
                ManagerCall("StartTransientUnit", m => CommandUnit.Write(m, command, KillAfter, output.WriteEnd)),
                m => bus.Watch(m.ReadPath()), cancellationToken));
            output.WriteEnd.Dispose();
            result = await EndAsync(job, command.Unit, "start", cancellationToken);
        }
        catch (OperatorException e) when (e.InnerException is BusErrorException { Name: Prefix + "UnitExists" })
        {
            // There was none before, so the call was carried out, and the answer lost with the connection.
            output.WriteEnd.Dispose();
        }
        UnitState state;
        while ((state = await GetStateAsync(command.Unit, cancellationToken)).ActiveState == "activating") await Task.Delay(Pause, time, cancellationToken);
        return (result, state);
    }

    // Whatever happened: also when nobody waits any more, for what runs on would meet the undoing of what it belongs to.
    private async Task EndCommandAsync(UnitName unit)
    {
        using var limit = new CancellationTokenSource(KillAfter + patience + patience, time);
        try
        {
            await StopQuietlyAsync(unit, limit.Token);
        }
        catch (Exception e) when (e is OperatorException or OperationCanceledException)
        {
            logger.CommandNotEnded(unit, e.Message);
        }
    }

    private async Task StopQuietlyAsync(UnitName unit, CancellationToken cancellationToken)
    {
        try
        {
            await JobAsync(ManagerCall("StopUnit", m =>
            {
                m.Write(unit.Value);
                m.Write("replace");
            }), unit, "stop", cancellationToken);
        }
        catch (OperatorException e) when (e.InnerException is BusErrorException { Name: NoSuchUnit })
        {
            return;
        }
        await ResetFailedAsync(unit, cancellationToken);
    }
}

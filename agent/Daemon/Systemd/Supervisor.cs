using System.Collections.Frozen;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

/// <summary>systemd over D-Bus, and its journal.</summary>
/// <remarks>
/// Where the bus goes away under a call, the call is made again on a new connection: all of them mean the same when made
/// twice. A job that was under way is looked up again, and where it has ended meanwhile, the unit's state tells how.
/// Commands run in Supervisor.Commands.cs. Sources: org.freedesktop.systemd1(5), sd-bus(3).
/// </remarks>
/// <param name="patience">For how long a lost bus is tried again. systemd and the D-Bus daemon each need a moment to restart.</param>
internal sealed partial class Supervisor(IReadOnlyList<BusAddress> addresses, TimeSpan patience, TimeProvider time, ILogger<Supervisor> logger) : ISupervisor, IDisposable
{
    private const string ManagerPath = "/org/freedesktop/systemd1", Prefix = "org.freedesktop.systemd1.", Manager = Prefix + "Manager";
    private const string NoSuchUnit = Prefix + "NoSuchUnit", NoSuchFile = "org.freedesktop.DBus.Error.FileNotFound";
    private const string Properties = "org.freedesktop.DBus.Properties";

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    // systemctl allows as much: generators and every unit file on the host are read.
    private static readonly TimeSpan ReloadTimeout = TimeSpan.FromSeconds(180);

    private static readonly FrozenSet<string> UnitProperties = FrozenSet.Create(
        "LoadState", "ActiveState", "SubState", "Result", "NRestarts", "MainPID", "ExecMainCode", "ExecMainStatus", "InvocationID", "StateChangeTimestamp");

    private static readonly FrozenSet<string> JobProperties = FrozenSet.Create("JobType");

    private readonly BusThread bus = new(addresses, time);

    public Supervisor(TimeProvider time, ILogger<Supervisor> logger)
        : this(BusAddress.OfSystem, TimeSpan.FromSeconds(15), time, logger)
    {
    }

    public void Dispose()
    {
        bus.Dispose();
        makingUser.Dispose();
    }

    public Task ReloadAsync(CancellationToken cancellationToken) =>
        ToldAsync("systemd did not read its units anew", () => AskAsync(
            new BusCall(ManagerPath, Manager, "Reload", null) { Timeout = ReloadTimeout }, static _ => true, cancellationToken));

    public async Task StartAsync(UnitName unit, CancellationToken cancellationToken)
    {
        await ResetFailedAsync(unit, cancellationToken);
        await RunJobAsync("StartUnit", unit, "start", cancellationToken);
    }

    public async Task StopAsync(UnitName unit, CancellationToken cancellationToken)
    {
        try
        {
            await RunJobAsync("StopUnit", unit, "stop", cancellationToken);
            // One whose file is gone would stay behind as failed, and the host as degraded, until somebody looks after it.
            if ((await GetStateAsync(unit, cancellationToken)).LoadState == "not-found") await ResetFailedAsync(unit, cancellationToken);
        }
        catch (OperatorException e) when (e.InnerException is BusErrorException { Name: NoSuchUnit })
        {
            // What systemd does not know does not run; so stopping twice, or after the unit was removed, is no error.
        }
    }

    public async Task RestartAsync(UnitName unit, CancellationToken cancellationToken)
    {
        await ResetFailedAsync(unit, cancellationToken);
        await RunJobAsync("RestartUnit", unit, "restart", cancellationToken);
    }

    public async Task EnableAsync(UnitName unit, CancellationToken cancellationToken)
    {
        bool changed = await ToldAsync($"{unit} was not enabled", () => AskAsync(ManagerCall("EnableUnitFiles", m =>
        {
            m.Write([unit.Value]);
            m.Write(false);     // not only until the next boot
            m.Write(false);     // do not take another unit's place
        }), static m =>
        {
            m.ReadBoolean();
            return !m.IsEmptyArray("(sss)");
        }, cancellationToken));
        if (changed) await ReloadAsync(cancellationToken);
    }

    public async Task DisableAsync(UnitName unit, CancellationToken cancellationToken)
    {
        try
        {
            bool changed = await ToldAsync($"{unit} was not disabled", () => AskAsync(ManagerCall("DisableUnitFiles", m =>
            {
                m.Write([unit.Value]);
                m.Write(false);
            }), static m => !m.IsEmptyArray("(sss)"), cancellationToken));
            if (changed) await ReloadAsync(cancellationToken);
        }
        catch (OperatorException e) when (e.InnerException is BusErrorException { Name: NoSuchUnit or NoSuchFile })
        {
            // Its file is gone, and with it what could start it at boot.
        }
    }

    /// <summary>One consistent look at a unit. systemd loads it where it was not; one that does not exist is <c>not-found</c>.</summary>
    public async Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken)
    {
        // No interface name means all of them, in one answer.
        var call = new BusCall(ObjectPath(unit), Properties, "GetAll", static m => m.Write(""));
        Dictionary<string, object> properties =
            await ToldAsync($"the state of {unit} is not known", () => AskAsync(call, static m => m.ReadProperties(UnitProperties), cancellationToken));
        return Describe(unit, properties);
    }

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) =>
        // sd-journal wants one thread for the whole life of its object, and blocks on the disk.
        Task.Factory.StartNew(() =>
        {
            using var journal = new JournalReader([unit]);
            return journal.ReadLast(lines, cancellationToken);
        }, cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public async IAsyncEnumerable<LogEntry> FollowLogAsync(
        IReadOnlyList<UnitName> units, int lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (units.Count == 0) yield break;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        // A slow reader slows the reading of the journal, which waits on disk for it.
        var channel = Channel.CreateBounded<LogEntry>(new BoundedChannelOptions(256) { SingleReader = true, SingleWriter = true });
        Task reading = Task.Factory.StartNew(() =>
        {
            try
            {
                using var journal = new JournalReader(units);
                journal.Follow(lines, channel.Writer, stop.Token);
                channel.Writer.TryComplete();
            }
            catch (Exception e)
            {
                channel.Writer.TryComplete(e);
            }
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            await foreach (LogEntry entry in channel.Reader.ReadAllAsync(cancellationToken)) yield return entry;
        }
        finally
        {
            await stop.CancelAsync();
            await reading;
        }
    }

    /// <summary>The D-Bus object of a unit: letters and digits stay, other bytes become <c>_</c> and two hexadecimal digits.</summary>
    /// <remarks>Source: sd_bus_path_encode(3).</remarks>
    public static string ObjectPath(UnitName unit)
    {
        var path = new StringBuilder(ManagerPath + "/unit/");
        for (int i = 0; i < unit.Value.Length; i++)
        {
            char c = unit.Value[i];
            if (char.IsAsciiLetter(c) || (i > 0 && char.IsAsciiDigit(c))) path.Append(c);
            else path.Append(CultureInfo.InvariantCulture, $"_{(int)c:x2}");
        }
        return path.ToString();
    }

    private static BusCall ManagerCall(string member, Action<BusMessage> arguments) => new(ManagerPath, Manager, member, arguments);

    // Clears the failed state, the count of restarts and the start limit: what happened to the release before is not this one's fault.
    private async Task ResetFailedAsync(UnitName unit, CancellationToken cancellationToken)
    {
        try
        {
            await ToldAsync($"the failed state of {unit} was not cleared", () => AskAsync(
                ManagerCall("ResetFailedUnit", m => m.Write(unit.Value)), static _ => true, cancellationToken));
        }
        catch (OperatorException e) when (e.InnerException is BusErrorException)
        {
            // Not loaded, so nothing to clear; where there is more to it, the job that follows says so.
        }
    }

    private async Task RunJobAsync(string method, UnitName unit, string verb, CancellationToken cancellationToken)
    {
        logger.JobWanted(unit, verb);
        string result = await JobAsync(ManagerCall(method, m =>
        {
            m.Write(unit.Value);
            m.Write("replace");
        }), unit, verb, cancellationToken);
        logger.JobEnded(unit, verb, result);
        if (result == "done") return;
        string seen = Explain(await GetStateAsync(unit, cancellationToken));
        throw new OperatorException(ExitCode.RolledBack, $"{unit} did not {verb}: {result} ({seen})", $"run 'journalctl -u {unit} -n 50' on the host");
    }

    /// <summary>Makes a call that begins a job, and waits for its end.</summary>
    /// <returns>The job's result word.</returns>
    private async Task<string> JobAsync(BusCall call, UnitName unit, string verb, CancellationToken cancellationToken)
    {
        JobWatch job = await ToldAsync($"{unit} did not {verb}", () => AskAsync(call, m => bus.Watch(m.ReadPath()), cancellationToken));
        return await EndAsync(job, unit, verb, cancellationToken);
    }

    private async Task<string> EndAsync(JobWatch job, UnitName unit, string verb, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await job.Ended.WaitAsync(cancellationToken);
            }
            catch (BusLostException e)
            {
                logger.JobLost(unit, verb, e.Message);
            }
            // Asking for the job connects again; watching begins with the answer, before which systemd knows us again.
            string path = job.Path;
            try
            {
                job = await ToldAsync($"it is not known whether {unit} did {verb}", () => AskAsync(
                    new BusCall(path, Properties, "GetAll", static m => m.Write("")), m =>
                    {
                        m.ReadProperties(JobProperties);
                        return bus.Watch(path);
                    }, cancellationToken));
            }
            catch (OperatorException e) when (e.InnerException is BusErrorException)
            {
                return ResultOf(await GetStateAsync(unit, cancellationToken), verb);
            }
        }
    }

    // The job ended unseen: what the unit became is all there is to judge by.
    private static string ResultOf(UnitState state, string verb) => (verb, state.ActiveState, state.Result) switch
    {
        ("stop", "inactive" or "failed", _) => "done",
        ("stop", _, _) => "failed",
        (_, "active" or "reloading", _) => "done",
        (_, "inactive", "success") => "done",       // Type=oneshot
        _ => "failed",
    };

    private async Task<T> AskAsync<T>(BusCall call, Func<BusMessage, T> read, CancellationToken cancellationToken)
    {
        long began = time.GetTimestamp();
        for (bool again = false; ; again = true)
        {
            try
            {
                return await bus.CallAsync(call, read, cancellationToken);
            }
            catch (BusLostException e) when (time.GetElapsedTime(began) < patience)
            {
                if (!again) logger.BusLost(call.Member, e.Message);
            }
            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    private static async Task<T> ToldAsync<T>(string what, Func<Task<T>> act)
    {
        try
        {
            return await act();
        }
        catch (BusErrorException e)
        {
            (string word, string remedy) = e.Name switch
            {
                NoSuchUnit or NoSuchFile => ("not-found: ", "check the unit's name and that its file is installed"),
                Prefix + "UnitMasked" => ("masked: ", "run 'systemctl unmask' for it, where it is to run"),
                Prefix + "BadUnitSetting" or Prefix + "LoadFailed" => ("bad-setting: ", "run 'systemd-analyze verify' on the unit's file"),
                "org.freedesktop.DBus.Error.AccessDenied" => ("", "run agentd as root"),
                _ => ("", "look at 'journalctl -b -n 50' on the host"),
            };
            throw new OperatorException(ExitCode.Refused, $"{what}: {word}{e.Message.TrimEnd('.')}", remedy, e);
        }
        catch (Exception e) when (e is BusLostException or TimeoutException)
        {
            throw new OperatorException(ExitCode.Unreachable, $"{what}: systemd does not answer over D-Bus: {e.Message}",
                "run 'systemctl status dbus' on the host, then try again", e);
        }
    }

    private static UnitState Describe(UnitName unit, Dictionary<string, object> properties)
    {
        string Text(string name) => properties.GetValueOrDefault(name) as string ?? "";
        ulong changed = properties.GetValueOrDefault("StateChangeTimestamp") is ulong microseconds ? microseconds : 0;
        return new UnitState(
            unit, Text("LoadState"), Text("ActiveState"), Text("SubState"), Text("Result"),
            properties.GetValueOrDefault("NRestarts") is uint restarts ? restarts : 0,
            properties.GetValueOrDefault("MainPID") is uint pid ? (int)pid : 0,
            // CLD_EXITED, CLD_KILLED, CLD_DUMPED of <bits/siginfo-consts.h>; 0 while it never ended.
            properties.GetValueOrDefault("ExecMainCode") switch { 1 => "exited", 2 => "killed", 3 => "dumped", _ => "" },
            properties.GetValueOrDefault("ExecMainStatus") is int status ? status : 0,
            Text("InvocationID"), changed == 0 ? null : DateTimeOffset.UnixEpoch.AddMicroseconds(changed));
    }

    private static string Explain(UnitState state)
    {
        string exit = state.ExitKind switch
        {
            "exited" => $", the main process exited with status {state.ExitCode}",
            "killed" => $", the main process was killed by signal {state.ExitCode}",
            "dumped" => $", the main process dumped core by signal {state.ExitCode}",
            _ => "",
        };
        string load = state.LoadState == "loaded" ? "" : $"{state.LoadState}, ";
        return $"{load}{state.ActiveState}, result {state.Result}{exit}";
    }
}

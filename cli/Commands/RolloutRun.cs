using System.Security.Cryptography;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using State = Agent.V1.Rollout.Types.State;

namespace Agent.Cli.Commands;

/// <summary>Begins a rollout or takes one over, shows it, and asks what Ctrl-C means: what deploy, rollback and rollout resume have in common.</summary>
internal static class RolloutRun
{
    private const string Question = "Ctrl-C: [s]top after what is under way, [r]oll all back, [d]etach and leave it as it is? (Ctrl-C again: detach)";

    /// <summary>Who drives, from where.</summary>
    public static string Driver => $"{Environment.UserName}@{Environment.MachineName} pid {Environment.ProcessId}";

    /// <param name="wanted">The version, and how it is asked for.</param>
    /// <param name="again">Also hosts that run it already.</param>
    /// <returns>The exit status.</returns>
    /// <exception cref="OperatorException">A host cannot take part: nothing has begun.</exception>
    public static async Task<int> BeginAsync(HostsCall call, RolloutOptions options, RolloutPlan wanted, bool again, CancellationToken cancellationToken)
    {
        RolloutLimits limits = options.Read(call.Parsed, call.Selection.Rollout);
        using var hosts = new RolloutHosts(call.Hosts.Select(host => new AgentRolloutHost(call.Connect(host))), call.Parallel, RolloutTiming.Usual, call.Time);
        RolloutPreparation prepared = RolloutPreparation.Of(
            await hosts.LookAsync(call.App, cancellationToken), call.App, wanted.Version, again, options.SkipUnreachable(call.Parsed), wanted.Pushed);
        if (prepared.Taking.Count == 0)
        {
            if (call.Json) call.Terminal.JsonLine(writer => writer.Object(prepared, (w, all) => w.Texts("skipped", all.Skipped)));
            else foreach (string skipped in prepared.Skipped) call.Terminal.Line($"left out  {skipped}");
            return (int)ExitCode.Live;
        }
        hosts.Narrow(prepared.Taking.Contains);
        DateTimeOffset now = call.Time.GetUtcNow();
        RolloutPlan plan = limits.Plan(wanted.Version, call.Hosts.Where(host => prepared.Taking.Contains(host.Name)), prepared.Skipped);
        (plan.Force, plan.Pushed, plan.Rollback) = (wanted.Force, wanted.Pushed, wanted.Rollback);
        var rollout = new Rollout
        {
            Id = $"r{now:yyyyMMdd-HHmm}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}",
            App = prepared.App,
            Plan = plan,
            Revision = 1,
            State = State.Running,
            Driver = Driver,
            Started = Timestamp.FromDateTimeOffset(now),
        };
        return await DriveAsync(call, hosts, driver => driver.BeginAsync(rollout, CancellationToken.None), cancellationToken);
    }

    /// <param name="interrupted">Ctrl-C: it asks, or detaches where nobody can be asked.</param>
    public static async Task<int> DriveAsync(HostsCall call, RolloutHosts hosts, Func<RolloutDriver, Task<RolloutEnd>> drive, CancellationToken interrupted)
    {
        using RolloutView? view = !call.Json && call.Terminal.OutputIsTerminal ? new RolloutView(call.Terminal, call.Time) : null;
        var text = new RolloutText(call.Terminal);
        Action<RolloutReport> show = call.Json ? ShowJson : view is null ? text.Show : view.Show;
        using var driver = new RolloutDriver(hosts, Driver, RolloutTiming.Usual, call.Time, show);
        RolloutEnd end;
        await using (interrupted.UnsafeRegister(_ => ThreadPool.QueueUserWorkItem(_ => Interrupt()), null)) end = await drive(driver);
        view?.Dispose();
        return Tell(call, end);

        void ShowJson(RolloutReport happened)
        {
            if (JsonMessages.RolloutLine(happened, call.Time.GetUtcNow()) is { } line) call.Terminal.JsonLine(line);
        }

        void Interrupt()
        {
            (Will? will, string reason) = view is not null && call.Terminal.Key is { } key ? Ask(view, key) : (null, "");
            driver.Wish(will, reason);
        }
    }

    private static (Will? Will, string Reason) Ask(RolloutView view, Func<char> key)
    {
        view.Note = Question;
        while (true)
        {
            switch (char.ToLowerInvariant(key()))
            {
                case 's':
                    view.Note = "stops when what is under way has ended";
                    return (Will.Stop, $"stopped by {Driver}");
                case 'r':
                    view.Note = "goes back when what is under way has ended";
                    return (Will.GoBack, $"taken back by {Driver}");
                case 'd' or '\0':
                    return (null, "");
            }
        }
    }

    private static int Tell(HostsCall call, RolloutEnd end)
    {
        (Rollout rollout, int exit) = (end.Rollout, end.Progress.ExitStatus());
        string summary = RolloutText.Summary(end.Progress);
        if (end.Newer is { } newer)
        {
            string who = newer.State is State.Running or State.RollingBack ? $"{newer.Driver} drives it now" : $"it is {RolloutWords.Of(newer.State)}, by {newer.Driver}";
            ErrorText.Write(call.Terminal, $"rollout {rollout.Id}: {who}; nothing more starts from here ({summary})", $"agentctl rollout show {rollout.Id}", exit, call.Json);
        }
        else if (end.Detached)
            ErrorText.Write(call.Terminal, $"rollout {rollout.Id}: nobody drives it; what is under way goes on, nothing new starts ({summary})", $"agentctl rollout resume {rollout.Id}", exit, call.Json);
        else if (exit == 0)
        {
            if (!call.Json) call.Terminal.Line(new Piece($"rollout {rollout.Id}", Tone.Strong), $"  {summary}");
        }
        else if (!call.Json)
        {
            string state = rollout.State == State.Finished ? "ended" : RolloutWords.Of(rollout.State);
            ErrorText.Write(call.Terminal, $"rollout {rollout.Id} is {state}{(rollout.Reason.Length > 0 ? $" ({rollout.Reason})" : "")}: {summary}", Remedy(end), exit, json: false);
        }
        return exit;
    }

    private static string Remedy(RolloutEnd end)
    {
        string id = end.Rollout.Id;
        string? failed = end.Progress.Hosts.FirstOrDefault(host => RolloutProgress.IsFailure(end.Progress.Stands[host]));
        Stand stand = failed is null ? Stand.Waiting : end.Progress.Stands[failed];
        string look = stand == Stand.Unreachable ? $"see whether {failed} is there: agentctl status --host {failed}" : $"see why: agentctl why --host {failed}";
        bool isOver = end.Rollout.State == State.Finished;
        return failed is null ? $"go on with it: agentctl rollout resume {id}"
            : isOver ? look
            : end.Rollout.State == State.RollingBack || stand == Stand.Unreachable ? $"{look}; then go on with it: agentctl rollout resume {id}"
            : $"{look}; then go on all the same with 'agentctl rollout resume {id} --max-failures {end.Progress.Failures + 1}', or end it with 'agentctl rollout abort {id}'";
    }
}

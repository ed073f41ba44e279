using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class StatusCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("status", "Shows what runs, what is followed and what is under way. Exits with 3 where an app needs a person.",
            "agentctl status", "agentctl status --app shop -o json", "agentctl status --host all"),
        [verbs.App],
        RunAsync,
        (call, cancellationToken) => call.Json ? FanOut.EachAsync(call, RunAsync, cancellationToken) : TableAsync(call, cancellationToken));

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        GetStatusResponse status = await AskAsync(call, cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(status, JsonMessages.Status));
        else Write(call, status);
        return Exit(status);
    }

    private static Task<GetStatusResponse> AskAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new GetStatusRequest { App = call.App };
        return call.Agent.AskAsync((client, options) => client.GetStatusAsync(request, options), cancellationToken);
    }

    private static int Exit(GetStatusResponse status) => (int)(status.Apps.Any(app => app.Attention.Length > 0) ? ExitCode.NeedsOperator : ExitCode.Live);

    /// <summary>Of several hosts: a row for each app of each.</summary>
    private static async Task<int> TableAsync(HostsCall call, CancellationToken cancellationToken)
    {
        List<HostAnswer<GetStatusResponse>> answers = await FanOut.AskAsync(call, AskAsync, Exit, cancellationToken).ToListAsync(cancellationToken);
        var table = new Table("HOST", "APP", "VERSION", "SINCE", "FOLLOWS", "STATE");
        foreach ((HostEntry host, _, GetStatusResponse? status, OperatorException? error) in answers)
        {
            if (error is not null) table.Add(host.Name, "-", "-", "-", "-", new Piece(error.Code == ExitCode.Unreachable ? "unreachable" : "no answer", Tone.Bad));
            else if (status!.Apps.Count == 0) table.Add(host.Name, "-", "-", "-", "-", "no apps");
            foreach (AppStatus app in status?.Apps ?? [])
                table.Add(host.Name, app.App, Human.OrDash(app.Version), Human.Time(app.Since), Human.OrDash(app.Track), State(host, app));
        }
        table.Write(call.Terminal);
        FanOut.TellErrors(call, answers);
        return FanOut.Worst(answers.Select(answer => answer.Exit));
    }

    /// <summary>What matters most of an app, in a word or two; <c>agentctl status</c> of the host tells all.</summary>
    private static Piece State(HostEntry host, AppStatus app) => app switch
    {
        { Attention.Length: > 0 } => new Piece(HostHint.For(host, $"needs a person: {app.Attention}"), Tone.Bad),
        { Running: { } running } => $"deploying {running.ToVersion}, at {Human.OrDash(running.Step)}",
        _ when app.Units.FirstOrDefault(unit => unit.ActiveState != "active") is { } unit => new Piece($"{unit.Name} is {unit.ActiveState}", Tone.Bad),
        { Hold: not null } => "on hold",
        { Pin: { } pin } => $"pinned to {pin.Version}",
        { HeldAt.Length: > 0 } => $"held at {app.HeldAt}",
        _ when app.Quarantined.FirstOrDefault(release => release.Version == app.Latest) is { } bad => new Piece($"{bad.Version} is quarantined", Tone.Bad),
        { Latest.Length: > 0 } when app.Latest != app.Version => $"waits for {app.Latest}",
        { Version.Length: 0 } => "nothing deployed yet",
        _ => new Piece(app.Unsigned is null ? "runs" : "runs, unsigned", Tone.Good),
    };

    private static void Write(AgentCall call, GetStatusResponse status)
    {
        Terminal terminal = call.Terminal;
        foreach (AppStatus app in status.Apps)
        {
            terminal.Line(new Piece(app.App, Tone.Strong), app.Version.Length > 0 ? $"  {app.Version}  since {Human.Time(app.Since)}" : "  nothing deployed yet");
            if (app.Attention.Length > 0) Field(terminal, "attention", new Piece(call.Hint(app.Attention), Tone.Bad));
            if (app.Running is { } running)
                Field(terminal, "deploying", call.Hint($"{running.ToVersion}, at {Human.OrDash(running.Step)}, asked by {running.By} (agentctl watch {running.Id})"));
            Field(terminal, "follows", app.Track.Length == 0 ? "nothing" : app.Latest.Length > 0 ? $"{app.Track}, now {app.Latest}" : $"{app.Track}, not seen yet");
            if (app.Tracking.Length > 0 && app.Tracking != $"{app.Version} is current" && !IsOver(app)) Field(terminal, "waits", call.Hint(app.Tracking));
            if (app.Hold is { } hold) Field(terminal, "hold", call.Hint($"{Wish(hold)} (agentctl resume --app {app.App})"));
            if (app.Pin is { } pin) Field(terminal, "pin", call.Hint($"{pin.Version}, {Wish(pin)} (agentctl unpin --app {app.App})"));
            if (app.HeldAt.Length > 0) Field(terminal, "held", call.Hint($"{app.HeldAt} and all below, since a rollback by a person (agentctl resume --app {app.App})"));
            if (app.PassedOver.Length > 0) Field(terminal, "passed over", call.Hint($"{app.PassedOver}, as a person deployed another version: left alone until what is followed moves on (agentctl resume --app {app.App})"));
            if (app.MaxVersion.Length > 0) Field(terminal, "ceiling", $"{app.MaxVersion}, by max_version in apps.d/{app.App}.yaml");
            if (app.Unsigned is { } unsigned)
                Field(terminal, "unsigned", new Piece($"a build without signatures was pushed here: {unsigned.Version}, by {unsigned.By} on {Human.Time(unsigned.At)}", Tone.Bad));
            foreach (UnitStatus unit in app.Units)
            {
                Field(terminal, "unit", $"{unit.Name}  ", new Piece($"{unit.ActiveState} ({unit.SubState})", unit.ActiveState == "active" ? Tone.Good : Tone.Bad),
                    unit.MainPid > 0 ? $", pid {unit.MainPid}" : "", unit.Restarts > 0 ? $", restarted {unit.Restarts} times" : "");
            }
            if (app.Last is { } last)
            {
                Field(terminal, "last", $"{last.ToVersion}  ", new Piece(JsonMessages.Word(last.Outcome), last.Outcome == Outcome.Live ? Tone.Good : Tone.Bad),
                    $"  {Human.Time(last.Finished)}, asked by {last.By} ({last.Id})");
            }
            foreach (QuarantinedRelease release in app.Quarantined)
                Field(terminal, "quarantined", call.Hint($"{release.Version}  {release.Cause} (agentctl why {release.Deployment})"));
        }
        if (status.Apps.Count == 0) terminal.Line("no apps: put a file for each into /etc/agentd/apps.d");
        terminal.Line(new Piece($"{status.Host}  agentd {status.AgentVersion}  store {(status.Store.Length > 0 ? status.Store : "none")}", Tone.Weak));
    }

    // Decided at the last look at the store, while a deployment was under way that has ended since.
    private static bool IsOver(AppStatus app) => app.Running is null && app.Last is { } last && app.Tracking.StartsWith($"deployment {last.Id} ", StringComparison.Ordinal);

    private static string Wish(PersonsWish wish) => $"by {wish.By} since {Human.Time(wish.Since)}{(wish.Reason.Length > 0 ? $": {wish.Reason}" : "")}";

    private static void Field(Terminal terminal, string name, params ReadOnlySpan<Piece> value)
    {
        terminal.Write($"  {name,-11}  ");
        terminal.Line(value);
    }
}

using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class StatusCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("status", "Shows what runs, what is followed and what is under way. Exits with 3 where an app needs a person.",
            "agentctl status", "agentctl status --app shop -o json"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new GetStatusRequest { App = call.App };
        GetStatusResponse status = await call.Agent.AskAsync((client, options) => client.GetStatusAsync(request, options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(status, JsonMessages.Status));
        else Write(call.Terminal, status);
        return (int)(status.Apps.Any(app => app.Attention.Length > 0) ? ExitCode.NeedsOperator : ExitCode.Live);
    }

    private static void Write(Terminal terminal, GetStatusResponse status)
    {
        foreach (AppStatus app in status.Apps)
        {
            terminal.Line(new Piece(app.App, Tone.Strong), app.Version.Length > 0 ? $"  {app.Version}  since {Human.Time(app.Since)}" : "  nothing deployed yet");
            if (app.Attention.Length > 0) Field(terminal, "attention", new Piece(app.Attention, Tone.Bad));
            if (app.Running is { } running)
                Field(terminal, "deploying", $"{running.ToVersion}, at {Human.OrDash(running.Step)}, asked by {running.By} (agentctl watch {running.Id})");
            Field(terminal, "follows", app.Track.Length == 0 ? "nothing" : app.Latest.Length > 0 ? $"{app.Track}, now {app.Latest}" : $"{app.Track}, not seen yet");
            if (app.Tracking.Length > 0 && app.Tracking != $"{app.Version} is current" && !IsOver(app)) Field(terminal, "waits", app.Tracking);
            if (app.Hold is { } hold) Field(terminal, "hold", $"{Wish(hold)} (agentctl resume --app {app.App})");
            if (app.Pin is { } pin) Field(terminal, "pin", $"{pin.Version}, {Wish(pin)} (agentctl unpin --app {app.App})");
            if (app.HeldAt.Length > 0) Field(terminal, "held", $"{app.HeldAt} and all below, since a rollback by a person (agentctl resume --app {app.App})");
            if (app.PassedOver.Length > 0) Field(terminal, "passed over", $"{app.PassedOver}, as a person deployed another version: left alone until what is followed moves on (agentctl resume --app {app.App})");
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
                Field(terminal, "quarantined", $"{release.Version}  {release.Cause} (agentctl why {release.Deployment})");
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

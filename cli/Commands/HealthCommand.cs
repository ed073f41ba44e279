using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class HealthCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("health", "Runs the checks of what runs, now. Exits with 1 where one fails.", "agentctl health", "agentctl health --app shop"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new GetHealthRequest { App = call.App };
        GetHealthResponse health = await call.Agent.AskAsync((client, options) => client.GetHealthAsync(request, options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(health, JsonMessages.Health));
        else Write(call.Terminal, health);
        return (int)(health.Apps.All(app => app.Healthy) ? ExitCode.Live : ExitCode.RolledBack);
    }

    private static void Write(Terminal terminal, GetHealthResponse health)
    {
        int width = health.Apps.SelectMany(app => app.Checks).Select(check => check.Name.Length).DefaultIfEmpty().Max();
        foreach (AppHealth app in health.Apps)
        {
            terminal.Line(new Piece(app.App, Tone.Strong), $"  {(app.Version.Length > 0 ? app.Version : "nothing deployed yet")}  ",
                app.Healthy ? new Piece("healthy", Tone.Good) : new Piece("unhealthy", Tone.Bad));
            foreach (CheckResult check in app.Checks)
            {
                terminal.Line("  ", check.Passed ? new Piece("pass", Tone.Good) : new Piece("FAIL", Tone.Bad),
                    $"  {check.Name.PadRight(width)}  {check.Detail}{Failing(check)}".TrimEnd());
            }
        }
        if (health.Store is not { Description.Length: > 0 } store) return;
        terminal.Line($"store  {store.Description}  {(store.LastSuccess is null ? "not reached yet" : $"last reached {Human.Time(store.LastSuccess)}")}");
        if (store.Stale) terminal.Line("  ", new Piece("stale", Tone.Bad), "  its signed metadata has expired: nothing is deployed from it until it is refreshed (agentctl store refresh)");
        if (store.Error.Length > 0) terminal.Line("  ", new Piece("error", Tone.Bad), $"  {store.Error}");
        foreach (string warning in store.Warnings) terminal.Line($"  warning  {warning}");
    }

    private static string Failing(CheckResult check) =>
        check.Failures > 0 ? $"  ({check.Failures} in a row{(check.FailingSince is null ? "" : $", since {Human.Time(check.FailingSince)}")})" : "";
}

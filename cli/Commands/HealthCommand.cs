using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class HealthCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("health", "Runs the checks of what runs, now. Exits with 1 where one fails.", "agentctl health", "agentctl health --app shop", "agentctl health --host prod"),
        [verbs.App],
        RunAsync,
        (call, cancellationToken) => call.Json ? FanOut.EachAsync(call, RunAsync, cancellationToken) : TableAsync(call, cancellationToken));

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        GetHealthResponse health = await AskAsync(call, cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(health, JsonMessages.Health));
        else Write(call.Terminal, health);
        return Exit(health);
    }

    private static Task<GetHealthResponse> AskAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new GetHealthRequest { App = call.App };
        return call.Agent.AskAsync((client, options) => client.GetHealthAsync(request, options), cancellationToken);
    }

    private static int Exit(GetHealthResponse health) => (int)(health.Apps.All(app => app.Healthy) ? ExitCode.Live : ExitCode.RolledBack);

    /// <summary>Of several hosts: a row for each app of each, then what fails.</summary>
    private static async Task<int> TableAsync(HostsCall call, CancellationToken cancellationToken)
    {
        List<HostAnswer<GetHealthResponse>> answers = await FanOut.AskAsync(call, AskAsync, Exit, cancellationToken).ToListAsync(cancellationToken);
        var table = new Table("HOST", "APP", "VERSION", "HEALTH", "CHECKS");
        foreach ((HostEntry host, _, GetHealthResponse? health, OperatorException? error) in answers)
        {
            if (error is not null) table.Add(host.Name, "-", "-", new Piece(error.Code == ExitCode.Unreachable ? "unreachable" : "no answer", Tone.Bad), "-");
            else if (health!.Apps.Count == 0) table.Add(host.Name, "-", "-", "no apps", "-");
            foreach (AppHealth app in health?.Apps ?? [])
            {
                table.Add(host.Name, app.App, Human.OrDash(app.Version), app.Healthy ? new Piece("healthy", Tone.Good) : new Piece("unhealthy", Tone.Bad),
                    $"{app.Checks.Count(check => check.Passed)} of {app.Checks.Count} pass");
            }
        }
        table.Write(call.Terminal);
        foreach ((HostEntry host, _, GetHealthResponse? health, _) in answers)
        {
            foreach (AppHealth app in health?.Apps ?? [])
            {
                foreach (CheckResult check in app.Checks.Where(check => !check.Passed))
                    call.Terminal.Line($"{host.Name}  {app.App}  ", new Piece("FAIL", Tone.Bad), $"  {check.Name}  {check.Detail}{Failing(check)}");
            }
            if (health?.Store is { Description.Length: > 0 } store) WriteWrong(call.Terminal, $"{host.Name}  store", store);
        }
        FanOut.TellErrors(call, answers);
        return FanOut.Worst(answers.Select(answer => answer.Exit));
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
        WriteWrong(terminal, "", store);
    }

    private static void WriteWrong(Terminal terminal, string label, StoreHealth store)
    {
        if (store.Stale) terminal.Line($"{label}  ", new Piece("stale", Tone.Bad), "  its signed metadata has expired: nothing is deployed from it until it is refreshed (agentctl store refresh)");
        if (store.Error.Length > 0) terminal.Line($"{label}  ", new Piece("error", Tone.Bad), $"  {store.Error}");
        foreach (string warning in store.Warnings) terminal.Line($"{label}  warning  {warning}");
    }

    private static string Failing(CheckResult check) =>
        check.Failures > 0 ? $"  ({check.Failures} in a row{(check.FailingSince is null ? "" : $", since {Human.Time(check.FailingSince)}")})" : "";
}

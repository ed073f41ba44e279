using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary><c>config check</c> and <c>config show</c>: the agent's configuration files, as the agent reads them.</summary>
internal static class ConfigCommand
{
    public static Verb Create(Verbs verbs) => new("config", "The agent's configuration: what is wrong in it, and what is in force.", "agentctl config check", "agentctl config show --app shop")
    {
        verbs.Asking(
            new Verb("check", "Reads the configuration files as they are now, and tells everything that is wrong. Changes nothing. Exits with 2 where something is.", "agentctl config check"),
            [],
            CheckAsync),
        CreateShow(verbs),
    };

    /// <summary>What is in force of the agent, and of apps.</summary>
    /// <param name="app">Empty: of all.</param>
    public static async Task<string> TextAsync(AgentCall call, string app, CancellationToken cancellationToken)
    {
        var request = new ShowConfigurationRequest { App = app };
        return (await call.Agent.AskAsync((client, options) => client.ShowConfigurationAsync(request, options), cancellationToken)).Yaml;
    }

    private static Verb CreateShow(Verbs verbs)
    {
        var agent = new Option<bool>("--agent") { Description = "of the agent alone" };
        var effective = new Option<bool>("--effective") { Description = "with the defaults filled in, and where each value comes from: it is always shown so" };
        return verbs.Asking(
            new Verb("show", "Shows the configuration that is in force, of the agent and of every app; secrets by name only.",
                "agentctl config show", "agentctl config show --app shop", "agentctl config show --agent --effective"),
            [verbs.App, agent, effective],
            (call, cancellationToken) => ShowAsync(call, call.Parsed.GetValue(agent), cancellationToken));
    }

    private static async Task<int> CheckAsync(AgentCall call, CancellationToken cancellationToken)
    {
        CheckConfigurationResponse check = await call.Agent.AskAsync((client, options) => client.CheckConfigurationAsync(new CheckConfigurationRequest(), options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(check, (w, response) => w.Texts("problems", response.Problems)));
        else if (check.Problems.Count == 0) call.Terminal.Line("nothing is wrong");
        foreach (string problem in call.Json ? [] : check.Problems) call.Terminal.Line(new Piece(problem, Tone.Bad));
        return (int)(check.Problems.Count == 0 ? ExitCode.Live : ExitCode.Usage);
    }

    private static async Task<int> ShowAsync(AgentCall call, bool agentOnly, CancellationToken cancellationToken)
    {
        if (agentOnly && call.App.Length > 0) throw new OperatorException(ExitCode.Usage, "--agent and --app are two questions", "ask one at a time, or neither for all");
        string agent = call.App.Length > 0 ? "" : await TextAsync(call, "", cancellationToken);
        var apps = new List<(string App, string Yaml)>();
        foreach (string app in await AppsAsync(call, agentOnly, cancellationToken)) apps.Add((app, await TextAsync(call, app, cancellationToken)));
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(apps, (w, all) =>
            {
                w.Text("agent", agent);
                w.Array("apps", all, (a, one) =>
                {
                    a.WriteString("app", one.App);
                    a.WriteString("yaml", one.Yaml);
                });
            }));
            return 0;
        }
        bool several = apps.Count + (agent.Length > 0 ? 1 : 0) > 1;
        if (agent.Length > 0) Write(call.Terminal, several ? "agentd.yaml" : "", agent);
        foreach ((string app, string yaml) in apps) Write(call.Terminal, several ? $"apps.d/{app}.yaml" : "", yaml);
        return 0;
    }

    private static async Task<IReadOnlyList<string>> AppsAsync(AgentCall call, bool agentOnly, CancellationToken cancellationToken)
    {
        if (agentOnly) return [];
        if (call.App.Length > 0) return [call.App];
        GetStatusResponse status = await call.Agent.AskAsync((client, options) => client.GetStatusAsync(new GetStatusRequest(), options), cancellationToken);
        return [.. status.Apps.Select(app => app.App)];
    }

    /// <param name="name">Empty where it is the only one.</param>
    private static void Write(Terminal terminal, string name, string yaml)
    {
        if (name.Length > 0) terminal.Line(new Piece($"--- # {name}", Tone.Strong));
        foreach (string line in yaml.TrimEnd('\n').Split('\n')) terminal.Line(line);
    }
}

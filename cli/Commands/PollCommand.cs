using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class PollCommand
{
    /// <summary>The agent asks the store over the network, with its own retries.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("poll", "Makes the agent look at the store now, and deploy what it then should.", "agentctl poll", "agentctl poll --app shop"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new PollRequest { App = call.App };
        PollResponse polled = await call.Agent.AskAsync((client, options) => client.PollAsync(request, options), cancellationToken, Limit);
        if (call.Json) call.Terminal.Document(writer => writer.Object(polled, (w, all) => w.Array("results", all.Results, JsonMessages.PollResult)));
        else Write(call, polled);
        return polled.Results.Select(result => result.Error?.ExitCode ?? 0).DefaultIfEmpty().Max();
    }

    private static void Write(AgentCall call, PollResponse polled)
    {
        Terminal terminal = call.Terminal;
        foreach (PollResult result in polled.Results)
        {
            if (result.Error is { } error) ErrorText.Write(terminal, $"{result.App}: {error.What}", call.Hint(error.Remedy), error.ExitCode, json: false);
            else if (result.Deployment.Length > 0) terminal.Line(new Piece(result.App, Tone.Strong), call.Hint($"  deploying {result.Latest} (agentctl watch {result.Deployment})"));
            else terminal.Line(new Piece(result.App, Tone.Strong), $"  {result.Message}");
        }
        if (polled.Results.Count == 0) terminal.Line("no app follows anything: set channel: or versions: in /etc/agentd/apps.d/APP.yaml");
    }
}

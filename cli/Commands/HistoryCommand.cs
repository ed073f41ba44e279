using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class HistoryCommand
{
    public static Verb Create(Verbs verbs)
    {
        Option<int> limit = Verbs.Count("--limit", "-n", "how many at most", 20);
        return verbs.Asking(
            new Verb("history", "Lists deployments, newest first.", "agentctl history", "agentctl history --app shop --limit 5"),
            [verbs.App, limit],
            (call, cancellationToken) => RunAsync(call, call.Parsed.GetValue(limit), cancellationToken));
    }

    private static async Task<int> RunAsync(AgentCall call, int limit, CancellationToken cancellationToken)
    {
        var request = new ListDeploymentsRequest { App = call.App, Limit = limit };
        ListDeploymentsResponse history = await call.Agent.AskAsync((client, options) => client.ListDeploymentsAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(history, (w, all) => w.Array("deployments", all.Deployments, JsonMessages.Deployment)));
            return 0;
        }
        var table = new Table("STARTED", "ID", "APP", "FROM", "TO", "OUTCOME", "TOOK", "BY", "CAUSE");
        foreach (Deployment deployment in history.Deployments)
        {
            table.Add(Human.Time(deployment.Started), deployment.Id, deployment.App, Human.OrDash(deployment.FromVersion), deployment.Unsigned ? $"{deployment.ToVersion} (unsigned)" : deployment.ToVersion,
                deployment.Outcome == Outcome.Unspecified ? new Piece("under way") : new Piece(JsonMessages.Word(deployment.Outcome), deployment.Outcome == Outcome.Live ? Tone.Good : Tone.Bad),
                Human.Took(deployment.Started, deployment.Finished), DeploymentText.By(deployment),
                deployment.Cause.Length > 0 ? $"{deployment.Step}: {deployment.Cause}" : "");
        }
        table.Write(call.Terminal);
        return 0;
    }
}

using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class HoldCommand
{
    public static Verb Create(Verbs verbs)
    {
        Option<string> reason = Verbs.Reason();
        return verbs.Asking(
            new Verb("hold", "Makes the agent stop following: nothing is deployed by itself until resume. People still may deploy.",
                "agentctl hold --reason maintenance", "agentctl hold --app shop"),
            [verbs.App, reason],
            (call, cancellationToken) =>
            {
                var request = new HoldRequest { App = call.App, Reason = call.Parsed.GetValue(reason)! };
                return Change.RunAsync(call, (client, options) => client.HoldAsync(request, options), cancellationToken);
            });
    }
}

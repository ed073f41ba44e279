using Agent.V1;

namespace Agent.Cli.Commands;

internal static class ResumeCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("resume", "Ends a hold, and what a rollback or deploy by a person made the agent leave alone: it follows again.", "agentctl resume", "agentctl resume --app shop"),
        [verbs.App],
        (call, cancellationToken) =>
        {
            var request = new ResumeRequest { App = call.App };
            return Change.RunAsync(call, (client, options) => client.ResumeAsync(request, options), cancellationToken);
        });
}

using Agent.V1;

namespace Agent.Cli.Commands;

internal static class UnpinCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("unpin", "Ends a pin: the channel or range says again what to run.", "agentctl unpin", "agentctl unpin --app shop"),
        [verbs.App],
        (call, cancellationToken) =>
        {
            var request = new UnpinRequest { App = call.App };
            return Change.RunAsync(call, (client, options) => client.UnpinAsync(request, options), cancellationToken);
        });
}

using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class PinCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "the version to stay on; left out: what runs", Arity = ArgumentArity.ZeroOrOne };
        Option<string> reason = Verbs.Reason();
        return verbs.Asking(
            new Verb("pin", "Makes following want one version and no other, whatever the channel says, until unpin.", "agentctl pin", "agentctl pin v1.2.0 --app shop --reason audit"),
            [version, verbs.App, reason],
            (call, cancellationToken) =>
            {
                var request = new PinRequest { App = call.App, Version = call.Parsed.GetValue(version) ?? "", Reason = call.Parsed.GetValue(reason)! };
                return Change.RunAsync(call, (client, options) => client.PinAsync(request, options), cancellationToken);
            });
    }
}

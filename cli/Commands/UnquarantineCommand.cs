using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class UnquarantineCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string>("VERSION") { Description = "the release that failed here" };
        var reason = new Option<string>("--reason") { Description = "why it may run now; kept and shown", HelpName = "TEXT", Required = true };
        return verbs.Asking(
            new Verb("unquarantine", "Lets a release that failed here be deployed by itself again.", "agentctl unquarantine v1.2.0 --reason database-was-down"),
            [version, verbs.App, reason],
            (call, cancellationToken) =>
            {
                var request = new UnquarantineRequest { App = call.App, Version = call.Parsed.GetRequiredValue(version), Reason = call.Parsed.GetRequiredValue(reason) };
                return Change.RunAsync(call, (client, options) => client.UnquarantineAsync(request, options), cancellationToken);
            });
    }
}

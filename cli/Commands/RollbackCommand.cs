using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RollbackCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "a release that lies on the host; left out: the one before", Arity = ArgumentArity.ZeroOrOne };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        return verbs.Asking(
            new Verb("rollback", "Goes back to an earlier release that is still on the host. Following leaves what was rolled back alone until something newer comes.",
                "agentctl rollback", "agentctl rollback v1.1.0 --app shop", "agentctl rollback --expect v1.2.0"),
            [version, verbs.App, expect, wait],
            (call, cancellationToken) =>
            {
                var request = new RollbackRequest
                {
                    App = call.App,
                    Version = call.Parsed.GetValue(version) ?? "",
                    Expect = call.Parsed.GetValue(expect)!,
                    Wait = call.Parsed.GetValue(wait),
                };
                return DeploymentStream.FollowAsync(call, call.Agent.StreamAsync((client, options) => client.Rollback(request, options), cancellationToken), cancellationToken);
            });
    }
}

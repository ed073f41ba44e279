using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DeployCommand
{
    public static Verb Create(Verbs verbs)
    {
        var version = new Argument<string?>("VERSION") { Description = "what to deploy; left out: what the app follows", Arity = ArgumentArity.ZeroOrOne };
        var force = new Option<bool>("--force") { Description = "also a release that is quarantined here or above max_version; takes the role admin" };
        var expect = new Option<string>("--expect") { Description = "refuse unless this version runs; none: unless nothing does", HelpName = "VERSION", DefaultValueFactory = _ => "" };
        var wait = new Option<bool>("--wait") { Description = "wait for a deployment that is under way, instead of being refused" };
        return verbs.Asking(
            new Verb("deploy", "Deploys a release, and shows each step until its outcome. Ctrl-C stops the showing, not the deployment.",
                "agentctl deploy v1.2.0", "agentctl deploy --app shop", "agentctl deploy v1.2.0 --force", "agentctl deploy v1.2.0 --expect v1.1.0 --wait"),
            [version, verbs.App, force, expect, wait],
            (call, cancellationToken) =>
            {
                var request = new DeployRequest
                {
                    App = call.App,
                    Version = call.Parsed.GetValue(version) ?? "",
                    Force = call.Parsed.GetValue(force),
                    Expect = call.Parsed.GetValue(expect)!,
                    Wait = call.Parsed.GetValue(wait),
                };
                return DeploymentStream.FollowAsync(call, call.Agent.StreamAsync((client, options) => client.Deploy(request, options), cancellationToken), cancellationToken);
            });
    }
}

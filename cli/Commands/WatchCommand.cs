using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class WatchCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string>("ID") { Description = "the deployment, as deploy, status and history name it" };
        return verbs.AskingOne(
            new Verb("watch", "Shows a deployment from its beginning until its outcome; exits as deploy would have.", "agentctl watch 7f3a91"),
            [id],
            (call, cancellationToken) =>
            {
                var request = new WatchDeploymentRequest { Deployment = call.Parsed.GetRequiredValue(id) };
                return DeploymentStream.FollowAsync(call, call.Agent.StreamAsync((client, options) => client.WatchDeployment(request, options), cancellationToken), cancellationToken);
            },
            "a deployment is of one host");
    }
}

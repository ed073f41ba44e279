using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class PushCommand
{
    public static Verb Create(Verbs verbs)
    {
        var options = new PushOptions();
        var what = new Argument<string>("VERSION|PATH") { Description = "a version that the store has; or a directory or .tar.gz, which is published there first" };
        return verbs.Asking(
            new Verb("push", "Sends a release to hosts that cannot reach the store: what they lack of it, verified there as from the store. It is deployed by its version or digest afterwards, or at once by 'agentctl deploy PATH'.",
                "agentctl push v1.2.0 --store /srv/store", "agentctl push ./build --app shop --version v1.2.0 --store /srv/store --key-file keys.json", "agentctl push ./build --app shop --unsigned --host dev"),
            [what, verbs.App, .. options.All],
            async (call, cancellationToken) =>
            {
                using PushedBuild build = await PushedBuild.PrepareAsync(options, call.Parsed, call.Parsed.GetRequiredValue(what), call.App, call.Terminal, call.Time, cancellationToken);
                return await SendAsync(build, call, cancellationToken);
            },
            async (call, cancellationToken) =>
            {
                using PushedBuild build = await PushedBuild.PrepareAsync(options, call.Parsed, call.Parsed.GetRequiredValue(what), call.App, call.Terminal, call.Time, cancellationToken);
                return await FanOut.EachAsync(call, (one, stop) => SendAsync(build, one, stop), cancellationToken);
            });
    }

    private static async Task<int> SendAsync(PushedBuild build, AgentCall call, CancellationToken cancellationToken)
    {
        PushDone done = await build.SendAsync(call.Agent, call.Terminal, cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(done, build.Write));
        else build.Tell(call.Terminal, done);
        return 0;
    }
}

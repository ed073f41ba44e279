using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>Changes the key that an agent shows, without a gap for those who call it.</summary>
internal static class RotateKeyCommand
{
    public static Verb Create(Verbs verbs)
    {
        var finish = new Option<bool>("--finish") { Description = "changes over; who has not called in between has to be paired again" };
        return verbs.Asking(
            new Verb("rotate-key", "Makes the agent's next key, which callers learn of when they call; with --finish, changes over to it. Takes the role admin.",
                "agentctl host rotate-key", "agentctl host rotate-key --finish"),
            [finish],
            async (call, cancellationToken) =>
            {
                var request = new RotateIdentityRequest { Finish = call.Parsed.GetValue(finish) };
                GetIdentityResponse keys = await call.Agent.AskAccessAsync((client, options) => client.RotateIdentityAsync(request, options), cancellationToken);
                if (call.Json) call.Terminal.Document(writer => writer.Object(keys, JsonMessages.Identity));
                else if (request.Finish) call.Terminal.Line($"the agent shows {keys.Fingerprint} from now on");
                else call.Terminal.Line($"the agent's next key is {keys.NextFingerprint}; callers learn of it when they call. When all have: agentctl host rotate-key --finish");
                return 0;
            });
    }
}

using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class CancelCommand
{
    /// <summary>The step under way is waited for where it cannot be cut short.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string?>("ID") { Description = "the deployment; left out: the one that is under way", Arity = ArgumentArity.ZeroOrOne };
        return verbs.Asking(
            new Verb("cancel", "Makes a deployment go back, as if its step had failed; the release is not blamed. Refused once the new release has proved itself.",
                "agentctl cancel", "agentctl cancel shop-12"),
            [id, verbs.App],
            AnswerAsync,
            (call, cancellationToken) => call.Parsed.GetValue(id) is not null
                ? FanOut.OneOnly(AnswerAsync, "a deployment is of one host")(call, cancellationToken)
                : FanOut.EachAsync(call, AnswerAsync, cancellationToken));

        async Task<int> AnswerAsync(AgentCall call, CancellationToken cancellationToken)
        {
            var request = new CancelDeploymentRequest { App = call.App, Deployment = call.Parsed.GetValue(id) ?? "" };
            CancelDeploymentResponse cancelled = await call.Agent.AskAsync((client, options) => client.CancelDeploymentAsync(request, options), cancellationToken, Limit);
            if (call.Json) call.Terminal.Document(writer => writer.Object(cancelled, (w, response) => w.Object("deployment", response.Deployment, JsonMessages.Deployment)));
            else call.Terminal.Line(new Piece(cancelled.Deployment.App, Tone.Strong), call.Hint($"  {cancelled.Deployment.ToVersion} goes back (agentctl watch {cancelled.Deployment.Id})"));
            return 0;
        }
    }
}

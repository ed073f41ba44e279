using Agent.Cli.Rendering;
using Agent.V1;
using Grpc.Core;

namespace Agent.Cli.Commands;

/// <summary>Tells the agent something and shows what is so now: what hold, resume, pin, unpin and unquarantine have in common.</summary>
internal static class Change
{
    public static async Task<int> RunAsync(
        AgentCall call, Func<AgentService.AgentServiceClient, CallOptions, AsyncUnaryCall<ChangeResponse>> change, CancellationToken cancellationToken)
    {
        ChangeResponse changed = await call.Agent.AskAsync(change, cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(changed, (w, response) => w.Text("message", response.Message)));
        else call.Terminal.Line(changed.Message);
        return 0;
    }
}

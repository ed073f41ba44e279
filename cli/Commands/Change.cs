using Agent.Cli.Rendering;
using Agent.V1;
using Grpc.Core;

namespace Agent.Cli.Commands;

/// <summary>Tells the agent something and shows what is so now: what hold, resume, pin, unpin and unquarantine have in common.</summary>
internal static class Change
{
    /// <summary>The same, of a database.</summary>
    public static async Task<int> RunAsync(
        AgentCall call, Func<DatabaseService.DatabaseServiceClient, CallOptions, AsyncUnaryCall<DatabaseChangeResponse>> change, TimeSpan? limit, CancellationToken cancellationToken) =>
        Show(call, (await call.Agent.AskDatabaseAsync(change, cancellationToken, limit)).Message);

    public static async Task<int> RunAsync(
        AgentCall call, Func<AgentService.AgentServiceClient, CallOptions, AsyncUnaryCall<ChangeResponse>> change, CancellationToken cancellationToken) =>
        Show(call, (await call.Agent.AskAsync(change, cancellationToken)).Message);

    private static int Show(AgentCall call, string message)
    {
        if (call.Json) call.Terminal.Document(writer => writer.Object(message, (w, text) => w.Text("message", text)));
        else call.Terminal.Line(message);
        return 0;
    }
}

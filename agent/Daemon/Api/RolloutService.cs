using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Protos;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.RolloutService: what this host keeps of rollouts, for whoever drives or looks. Every call goes through <see cref="ApiCalls"/>.</summary>
internal sealed class RolloutService(DeploymentEngine engine, ApiCalls calls) : V1.RolloutService.RolloutServiceBase
{
    /// <summary>Bytes of an answer: below what a gRPC client takes unasked.</summary>
    private const int MostBytes = 3 << 20;

    public override Task<V1.KeepRolloutResponse> KeepRollout(V1.KeepRolloutRequest request, ServerCallContext context)
    {
        V1.Rollout sent = request.Rollout ?? new V1.Rollout();
        string wish = $"drive rollout {sent.Id}, revision {sent.Revision}: {RolloutWords.Of(sent.State)}{(sent.Reason.Length > 0 ? $", {sent.Reason}" : "")}";
        return calls.ChangeAsync(context, new Wish(sent.App, wish), (_, _) =>
        {
            AppName app = calls.One(sent.App);
            (bool kept, Rollout known) = engine.KeepRollout(app, RolloutMessages.Checked(sent));
            return Task.FromResult(new V1.KeepRolloutResponse { Kept = kept, Known = RolloutMessages.Of(app, known) });
        }, response => response.Kept ? ApiCalls.Done : $"not kept: revision {response.Known.Revision} is known here");
    }

    public override Task<V1.ListRolloutsResponse> ListRollouts(V1.ListRolloutsRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        var response = new V1.ListRolloutsResponse();
        IEnumerable<(AppState App, Rollout Kept)> newest = calls.OneOrAll(request.App)
            .Select(app => engine.State(app.Name))
            .SelectMany(app => app.Rollouts.Select(kept => (app, kept)))
            .Where(found => request.Id.Length == 0 || found.kept.Id == request.Id)
            .OrderByDescending(found => found.kept.Changed);
        int bytes = 0;
        foreach ((AppState app, Rollout kept) in newest)
        {
            V1.HostRollout message = RolloutMessages.Of(app, kept);
            if (request.Brief) message.Rollout.Plan = null;
            if ((bytes += message.CalculateSize()) > MostBytes) break;
            response.Rollouts.Add(message);
        }
        return Task.FromResult(response);
    });
}

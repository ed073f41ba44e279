using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Protos;
using Agent.V1;
using Grpc.Core;

namespace Agent.Cli.Rollouts;

/// <summary>A host of a rollout over a connection to its agent, which is made again where it was lost.</summary>
/// <param name="agent">Disposed with this.</param>
internal sealed class AgentRolloutHost(AgentConnection agent) : IRolloutHost
{
    public string Name => agent.Host.Name;

    public Task<HostFacts> LookAsync(string app, CancellationToken cancellationToken) => AskAsync(async () =>
    {
        GetVersionResponse version = await agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), cancellationToken);
        if (version.Api < 1) return new HostFacts(version.Version, null);
        GetStatusResponse status = await agent.AskAsync((client, options) => client.GetStatusAsync(new GetStatusRequest { App = app }, options), cancellationToken);
        return new HostFacts(version.Version, status.Apps);
    });

    public Task<KeepRolloutResponse> KeepAsync(Rollout rollout, CancellationToken cancellationToken) =>
        AskAsync(() => agent.AskRolloutsAsync((client, options) => client.KeepRolloutAsync(new KeepRolloutRequest { Rollout = rollout }, options), cancellationToken));

    public Task<HostRollout?> FindAsync(string app, string rollout, bool brief, CancellationToken cancellationToken) => AskAsync(async () =>
    {
        var request = new ListRolloutsRequest { App = app, Id = rollout, Brief = brief };
        return (await agent.AskRolloutsAsync((client, options) => client.ListRolloutsAsync(request, options), cancellationToken)).Rollouts.FirstOrDefault();
    });

    public IAsyncEnumerable<DeploymentEvent> DeployAsync(DeployRequest request, CancellationToken cancellationToken) =>
        Sorted(agent.StreamAsync((client, options) => client.Deploy(request, options), cancellationToken), cancellationToken);

    public IAsyncEnumerable<DeploymentEvent> RollBackAsync(RollbackRequest request, CancellationToken cancellationToken) =>
        Sorted(agent.StreamAsync((client, options) => client.Rollback(request, options), cancellationToken), cancellationToken);

    public Task<string?> AilmentAsync(string app, CancellationToken cancellationToken) => AskAsync(async () =>
    {
        GetHealthResponse health = await agent.AskAsync((client, options) => client.GetHealthAsync(new GetHealthRequest { App = app }, options), cancellationToken);
        if (health.Apps.FirstOrDefault() is not { Healthy: false } ill) return null;
        return ill.Checks.FirstOrDefault(check => !check.Passed) is { } failed ? $"{failed.Name}: {failed.Detail}" : "nothing runs";
    });

    public void Dispose() => agent.Dispose();

    /// <summary>The stream of a request, in the words of <see cref="IRolloutHost"/>.</summary>
    public static async IAsyncEnumerable<DeploymentEvent> Sorted(IAsyncEnumerable<DeploymentEvent> events, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using IAsyncEnumerator<DeploymentEvent> each = events.GetAsyncEnumerator(cancellationToken);
        while (await AskAsync(async () => await each.MoveNextAsync())) yield return each.Current;
    }

    private static async Task<T> AskAsync<T>(Func<Task<T>> ask)
    {
        try
        {
            return await ask();
        }
        catch (OperatorException e) when (!IsAnswer(e))
        {
            throw new HostLostException(e);
        }
    }

    // What the agent itself has said is an answer; all else is a connection that could not be had, or broke.
    private static bool IsAnswer(OperatorException e) =>
        e.InnerException is RpcException answer && (answer.StatusCode == StatusCode.Unimplemented || Errors.FromException(answer) is not null);
}

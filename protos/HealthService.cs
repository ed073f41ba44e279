using Grpc.Core;
using Grpc.Health.V1;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace Agent.Protos;

/// <summary>The standard health service. Register it as a singleton.</summary>
public sealed class HealthService : Health.HealthBase
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, ServingStatus> statuses = new(StringComparer.Ordinal) { [""] = ServingStatus.Serving };
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Tells callers, and those who watch.</summary>
    /// <param name="service">With its package, as in the proto; empty: the server as a whole, which serves until told otherwise.</param>
    /// <param name="status">What is true from now on.</param>
    public void SetStatus(string service, ServingStatus status)
    {
        TaskCompletionSource before;
        lock (gate)
        {
            statuses[service] = status;
            before = changed;
            changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        before.SetResult();
    }

    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context)
    {
        lock (gate)
            return statuses.TryGetValue(request.Service, out var status)
                ? Task.FromResult(new HealthCheckResponse { Status = status })
                : throw new RpcException(new Status(StatusCode.NotFound, "unknown service"));
    }

    /// <summary>A slow watcher misses what did not last, never the last word.</summary>
    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        ServingStatus? told = null;
        while (true)
        {
            ServingStatus status;
            Task next;
            lock (gate)
            {
                status = statuses.GetValueOrDefault(request.Service, ServingStatus.ServiceUnknown);
                next = changed.Task;
            }
            if (status != told)
                await responseStream.WriteAsync(new HealthCheckResponse { Status = status }, context.CancellationToken).ConfigureAwait(false);
            told = status;
            await next.WaitAsync(context.CancellationToken).ConfigureAwait(false);
        }
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Daemon.Releases;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.PushService: reads a release from a caller as from a store, and keeps it until it is deployed.</summary>
internal sealed class PushService(
    ApiCalls calls, UnsignedPushes unsigned, PushedReleases pushed, InstalledReleases installed, DeploymentEngine engine, TimeProvider time) : V1.PushService.PushServiceBase
{
    /// <summary>As long as the fetch of a deployment may take.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromHours(1);

    public override Task Push(IAsyncStreamReader<V1.PushRequest> requestStream, IServerStreamWriter<V1.PushReply> responseStream, ServerCallContext context) =>
        calls.StreamAsync(context, async (caller, cancellationToken) =>
        {
            V1.PushStart start = await BeginAsync(requestStream, cancellationToken);
            var wish = new Wish(start.App, $"push {start.Version}{(start.Unsigned ? " --unsigned" : "")}");
            await calls.AuditedAsync(caller, wish, () => ReceiveAsync(caller, start, requestStream, responseStream, cancellationToken), done => $"{done.Version} {done.Digest[..19]} is here");
        });

    private async Task<V1.PushStart> BeginAsync(IAsyncStreamReader<V1.PushRequest> requestStream, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(PacedStream.Stall, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            if (await requestStream.MoveNext(either.Token) && requestStream.Current.Start is { } start) return start;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // As if it had said nothing.
        }
        throw new OperatorException(ExitCode.Usage, "the push does not say of what it is", "begin it with its start message");
    }

    private async Task<V1.PushDone> ReceiveAsync(
        Caller caller, V1.PushStart start, IAsyncStreamReader<V1.PushRequest> requestStream, IServerStreamWriter<V1.PushReply> responseStream, CancellationToken cancellationToken)
    {
        AppName app = calls.One(start.App);
        var push = new Push(app, new ReleaseVersion(start.Version), start.Unsigned, caller.By);
        if (push.Unsigned) unsigned.Demand(caller, app);
        string[] directories = [.. installed.List(app).Select(release => installed.ReleaseDirectory(app, release.Version))];
        using var late = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        await using var store = new PushedStore($"the push of {caller.By}", requestStream, responseStream, time, either.Token);
        try
        {
            PushedRelease release = await pushed.ReceiveAsync(push, store, directories, KeepWhereUnsigned, new Progress(store, time), either.Token);
            var done = new V1.PushDone { Version = release.Id.Version.Text, Digest = $"sha256:{release.Id.Digest.Hex}", Received = store.Received };
            await store.EndAsync(done, either.Token);
            return done;
        }
        catch (OperationCanceledException e) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new OperatorException(ExitCode.Unreachable, $"the push took longer than {Limit.TotalMinutes:0} minutes", "push again: what has come is not sent twice", e);
        }
    }

    private void KeepWhereUnsigned(PushedRelease release)
    {
        if (release.Unsigned) engine.KeepUnsigned(release);
    }

    /// <summary>A few times a second, and the last one.</summary>
    private sealed class Progress(PushedStore store, TimeProvider time) : IProgress<TransferProgress>
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

        private long told;

        public void Report(TransferProgress value)
        {
            if (told != 0 && value.Done < value.Total && time.GetElapsedTime(told) < Pause) return;
            told = time.GetTimestamp();
            store.Tell(new V1.PushProgress { Done = value.Done, Total = value.Total });
        }
    }
}

using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Agent.Protos;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>What changes something: each is recorded by <see cref="AuditLog"/>, with who asked and what became of it.</summary>
internal sealed partial class AgentService
{
    public override Task Deploy(V1.DeployRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context)
    {
        var wish = new Wish(request.App, Words("deploy", request.Version, request.Pushed.Length > 0 ? $"as pushed {request.Pushed}" : "", request.Force ? "--force" : "", Expected(request.Expect), InRollout(request.Rollout)), request.Force ? Role.Admin : Role.None);
        return DeployAsync(wish, app => Request(app, request.Version, Trigger.Deploy, request.Expect) with
        {
            Force = request.Force,
            Pushed = Pushed(request.Pushed),
            Request = RolloutMessages.RequestOf(request.Request, request.Rollout, ""),
            Turn = RolloutMessages.Of(request.Rollout),
        }, request.Wait, responseStream, context);
    }

    public override Task Rollback(V1.RollbackRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context)
    {
        string point = request.RestorePoint.Length > 0 ? $"--restore-database {request.RestorePoint}" : "", ignore = request.IgnoreSchema ? "--ignore-schema" : "";
        var wish = new Wish(request.App, Words("rollback", request.Version, point, ignore, Expected(request.Expect), InRollout(request.Rollout)), point.Length + ignore.Length > 0 ? Role.Admin : Role.None);
        return DeployAsync(wish, app => Request(app, request.Version, Trigger.Rollback, request.Expect) with
        {
            RestorePoint = request.RestorePoint.Length > 0 ? request.RestorePoint : null,
            IgnoreSchema = request.IgnoreSchema,
            Request = RolloutMessages.RequestOf(request.Request, request.Rollout, RolloutWords.Back),
            Turn = RolloutMessages.Of(request.Rollout),
        }, request.Wait, responseStream, context);
    }

    public override Task<V1.CancelDeploymentResponse> CancelDeployment(V1.CancelDeploymentRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, new Wish(request.App, Words("cancel", request.Deployment)), async (caller, cancellationToken) =>
        {
            string id = request.Deployment.Length > 0 ? engine.Find(request.Deployment).Id : UnderWay(calls.One(request.App));
            return new V1.CancelDeploymentResponse { Deployment = Messages.Of(await engine.CancelAsync(id, caller.By, cancellationToken)) };
        }, response => $"{response.Deployment.Id} goes back");

    public override Task<V1.ChangeResponse> Hold(V1.HoldRequest request, ServerCallContext context) =>
        ChangeAsync(context, new Wish(request.App, Words("hold", Because(request.Reason))), caller =>
        {
            AppName app = calls.One(request.App);
            engine.Hold(app, caller.By, PlainText.Reason(request.Reason));
            return $"{app} is held: tracking leaves it alone until it is resumed";
        });

    public override Task<V1.ChangeResponse> Resume(V1.ResumeRequest request, ServerCallContext context) =>
        ChangeAsync(context, new Wish(request.App, "resume"), caller =>
        {
            AppName app = calls.One(request.App);
            engine.Resume(app, caller.By);
            Track? track = configuration.App(app).Track;
            return track is null ? $"{app} is held no more; it follows nothing, and runs what it is told" : $"{app} follows {track} again";
        });

    public override Task<V1.ChangeResponse> Pin(V1.PinRequest request, ServerCallContext context) =>
        ChangeAsync(context, new Wish(request.App, Words("pin", request.Version, Because(request.Reason))), caller =>
        {
            AppName app = calls.One(request.App);
            string version = engine.Pin(app, request.Version.Length > 0 ? new ReleaseVersion(request.Version) : null, caller.By, PlainText.Reason(request.Reason));
            return $"{app} is pinned to {version}: tracking wants no other version";
        });

    public override Task<V1.ChangeResponse> Unpin(V1.UnpinRequest request, ServerCallContext context) =>
        ChangeAsync(context, new Wish(request.App, "unpin"), caller =>
        {
            AppName app = calls.One(request.App);
            engine.Unpin(app, caller.By);
            return $"{app} is not pinned";
        });

    public override Task<V1.ChangeResponse> Unquarantine(V1.UnquarantineRequest request, ServerCallContext context) =>
        ChangeAsync(context, new Wish(request.App, Words("unquarantine", request.Version, Because(request.Reason))), caller =>
        {
            string reason = PlainText.Reason(request.Reason);
            if (reason.Length == 0) throw new OperatorException(ExitCode.Usage, "a release leaves quarantine for a reason only", "say why: --reason TEXT");
            AppName app = calls.One(request.App);
            var version = new ReleaseVersion(request.Version);
            engine.Unquarantine(app, version, caller.By, reason);
            return $"{app} {version} is not quarantined: it may be deployed by itself again";
        });

    public override Task<V1.PollResponse> Poll(V1.PollRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, new Wish(request.App, "poll"), async (_, cancellationToken) =>
        {
            AppName? app = request.App.Length > 0 ? calls.One(request.App) : null;
            var response = new V1.PollResponse();
            foreach (PollResult answer in await tracking.PollAsync(app, cancellationToken))
            {
                response.Results.Add(new V1.PollResult
                {
                    App = answer.App.Value,
                    Latest = answer.Latest?.Text ?? "",
                    Deployment = answer.Deployment ?? "",
                    Message = answer.Message,
                    Error = answer.Error is { } error ? ApiErrors.Told(error) : null,
                });
            }
            return response;
        }, response => string.Join(", ", response.Results.Select(result => result.Deployment).Where(id => id.Length > 0).DefaultIfEmpty(Done)));

    private static string Words(params IEnumerable<string> words) => string.Join(' ', words.Where(word => word.Length > 0));

    private static string Because(string reason) => reason.Length > 0 ? $"because: {reason}" : "";

    private static string Expected(string version) => version.Length > 0 ? $"--expect {version}" : "";

    private static string InRollout(V1.RolloutTurn? turn) => turn is null ? "" : $"in rollout {turn.Id}";

    private string UnderWay(AppName app) => engine.State(app).Running?.Id
        ?? throw new OperatorException(ExitCode.Refused, $"no deployment of {app} is under way", $"agentctl history --app {app}");

    /// <param name="change">Returns what is so now.</param>
    private Task<V1.ChangeResponse> ChangeAsync(ServerCallContext context, Wish wish, Func<Caller, string> change) =>
        calls.ChangeAsync(context, wish, (caller, _) => Task.FromResult(new V1.ChangeResponse { Message = change(caller) }), _ => Done);

    private static DeploymentRequest Request(AppName app, string version, Trigger trigger, string expect) =>
        new(app, version.Length > 0 ? new Track.Exactly(new ReleaseVersion(version)) : null, trigger, By: "", Force: false)
        {
            Expect = expect is "" or "none" ? (expect.Length > 0 ? expect : null) : new ReleaseVersion(expect).Text,
        };

    private static Digest? Pushed(string digest)
    {
        if (digest.Length == 0) return null;
        try
        {
            return new Digest(digest.StartsWith("sha256:", StringComparison.Ordinal) ? digest["sha256:".Length..] : digest);
        }
        catch (FormatException e)
        {
            throw new OperatorException(ExitCode.Usage, "what was pushed is named by the digest that the push ended with", "write it as sha256: and 64 hexadecimal digits", e);
        }
    }

    private Task DeployAsync(Wish wish, Func<AppName, DeploymentRequest> wanted, bool wait, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        calls.StreamAsync(context, async (caller, cancellationToken) =>
        {
            Deployment deployment = await calls.AuditedAsync(caller, wish, () =>
            {
                DeploymentRequest request = wanted(calls.One(wish.App)) with { By = caller.By };
                if (request.Pushed is { } digest && engine.IsUnsigned(request.App, digest)) unsigned.Demand(caller, request.App);
                return wait ? WaitAndStartAsync(request, responseStream, cancellationToken) : engine.StartAsync(request, cancellationToken);
            }, started => started.Id);
            if (deployment.Outcome is null)
            {
                await SendEventsAsync(deployment.Id, responseStream, cancellationToken);
                return;
            }
            // Nothing was to be done: this is the deployment that did it, and its steps are of another time.
            await responseStream.WriteAsync(
                new V1.DeploymentEvent { At = Messages.Of(deployment.Finished ?? deployment.Started), Deployment = deployment.Id, Finished = Messages.Of(deployment) }, cancellationToken);
        }, wish);

    /// <summary>Tells the caller what is waited for. A caller that goes away gives up its place.</summary>
    private async Task<Deployment> WaitAndStartAsync(DeploymentRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, CancellationToken cancellationToken)
    {
        // A caller that reads slowly must not hold up the engine.
        Channel<string> waiting = Channel.CreateBounded<string>(new BoundedChannelOptions(4) { FullMode = BoundedChannelFullMode.DropOldest });
        Task<Deployment> starting = StartAsync();
        try
        {
            await foreach (string text in waiting.Reader.ReadAllAsync(cancellationToken))
                await responseStream.WriteAsync(new V1.DeploymentEvent { At = Messages.Of(time.GetUtcNow()), Progress = new V1.ProgressEvent { Message = text } }, cancellationToken);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or RpcException)
        {
            // Gone; whether the deployment began all the same is told by the task.
        }
        return await starting;

        async Task<Deployment> StartAsync()
        {
            try
            {
                return await engine.StartAsync(request with { Waiting = text => waiting.Writer.TryWrite(text) }, cancellationToken);
            }
            finally
            {
                waiting.Writer.TryComplete();
            }
        }
    }
}

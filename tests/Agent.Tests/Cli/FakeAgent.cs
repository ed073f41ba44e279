using Agent.Protos;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Connections.Features;
using static Agent.V1.StepEvent.Types;
using Status = Grpc.Core.Status;

namespace Agent.Tests.Cli;

/// <summary>
/// An agent with a fixed story. The app <c>shop</c> runs v2.3.1 well; <c>blog</c> is unhealthy and needs its operator; <c>vault</c> is not for the caller;
/// any other is unknown. What becomes of a deployment depends on the version: see <see cref="Deploy"/>.
/// </summary>
internal sealed partial class FakeAgent : AgentService.AgentServiceBase
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);
    private const string OldDigest = "1f0c1e3a5b7d9f1b3d5f7a9c1e3a5b7d9f1b3d5f7a9c1e3a5b7d9f1b3d5f7a9c";
    private const string NewDigest = "2a4c6e8a0c2e4a6c8e0a2c4e6a8c0e2a4c6e8a0c2e4a6c8e0a2c4e6a8c0e2a4c";

    /// <summary>Completes when the caller of the endless deployment v2.6.0 has gone away.</summary>
    public TaskCompletionSource Left { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>To be completed when the deployment v2.7.0 may lose its connection.</summary>
    public TaskCompletionSource Cut { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override Task<GetVersionResponse> GetVersion(GetVersionRequest request, ServerCallContext context) =>
        Task.FromResult(new GetVersionResponse { Version = "0.1.0", By = "uid 1000 (ann)", Role = "deployer", Now = Timestamp.FromDateTimeOffset(DateTimeOffset.UtcNow + Clock) });

    /// <summary>How far its clock is ahead.</summary>
    public TimeSpan Clock { get; set; }

    public override Task<GetStatusResponse> GetStatus(GetStatusRequest request, ServerCallContext context)
    {
        var shop = new AppStatus
        {
            App = "shop",
            Version = "v2.3.1",
            Digest = OldDigest,
            Since = At(-3600),
            Track = "channel stable",
            Latest = "v2.4.0",
            HeldAt = "v2.3.5",
            Hold = new PersonsWish { By = "uid 1000 (ann)", Reason = "maintenance", Since = At(-60) },
            MaxVersion = "v3.0.0",
            Tracking = "v2.4.0 is quarantined here: GET /up gave 503 for 20s",
            Last = Ended("d2", "v2.4.0", Outcome.RolledBack),
            Units = { new UnitStatus { Name = "shop.service", ActiveState = "active", SubState = "running", Since = At(-3600), MainPid = 812, Restarts = 2 } },
            Quarantined = { new QuarantinedRelease { Version = "v2.4.0", Digest = NewDigest, Cause = "GET /up gave 503 for 20s", Since = At(20), Deployment = "d2" } },
        };
        var blog = new AppStatus
        {
            App = "blog",
            Attention = "deployment d3 of v0.2.0 failed and could not be undone: blog.service ended with exit status 1 (agentctl why d3)",
            Running = Begun("d4", "v0.2.1"),
            PassedOver = "v0.3.0",
            Unsigned = new UnsignedPush { Version = "v0.0.0-push.20261120114500", By = "uid 1000 (ann)", At = At(-900) },
            Pin = new PersonsWish { By = "uid 0 (root)", Since = At(-60), Version = "v0.2.1" },
        };
        blog.Running.App = "blog";
        blog.Running.Step = "gate";
        return Task.FromResult(new GetStatusResponse
        {
            Host = "web1",
            AgentVersion = "0.1.0",
            Store = "/srv/store",
            Apps = { Known(request.App) switch { "shop" => [shop], "blog" => [blog], _ => new[] { blog, shop } } },
        });
    }

    public override Task<GetHealthResponse> GetHealth(GetHealthRequest request, ServerCallContext context)
    {
        var shop = new AppHealth { App = "shop", Version = "v2.3.1", Healthy = true };
        shop.Checks.Add(new CheckResult { Name = "unit shop.service", Passed = true, Detail = "active (running)" });
        shop.Checks.Add(new CheckResult { Name = "http /up", Passed = true, Detail = "200 in 12 ms" });
        var blog = new AppHealth { App = "blog", Version = "v0.1.0" };
        blog.Checks.Add(new CheckResult { Name = "unit blog.service", Detail = "failed (failed), result exit-code" });
        blog.Checks.Add(new CheckResult { Name = "tcp 127.0.0.1:4000", Detail = "connection refused\e[2J", Failures = 3, FailingSince = At(-30) });
        var store = new StoreHealth { Description = "/srv/store", LastSuccess = At(0) };
        if (request.App == "blog")
            store = new StoreHealth { Description = "https://store.example", Error = "timestamp.json has expired", Stale = true, Warnings = { "root expires in 12 days" } };
        return Task.FromResult(new GetHealthResponse { Apps = { Known(request.App) switch { "shop" => [shop], "blog" => [blog], _ => new[] { blog, shop } } }, Store = store });
    }

    /// <remarks>
    /// v2.3.2 becomes live; v2.3.1 is live already; v2.4.0 fails its check and is rolled back; v2.5.0 cannot be undone; v2.5.1 is refused in prepare;
    /// v2.5.2 meets a deployment under way; v2.6.0 goes on until the caller leaves; v2.7.0 loses the connection, v2.7.1 before it said anything.
    /// </remarks>
    public override async Task Deploy(DeployRequest request, IServerStreamWriter<DeploymentEvent> responseStream, ServerCallContext context)
    {
        Known(request.App);
        Expected(request.Expect);
        string version = request.Version.Length > 0 ? request.Version : "v2.3.2";
        Task SendAsync(params DeploymentEvent[] events) => SendAllAsync(responseStream, events);
        switch (version)
        {
            case "v2.3.1":
                await SendAsync(Finished("d8", version, Outcome.Live));
                break;
            case "v2.3.2":
                await SendAsync([Started("d1", version), .. Steps("d1", "fetch", "stage", "prepare", "flip", "restart", "gate", "sweep"), Finished("d1", version, Outcome.Live)]);
                break;
            case "v2.4.0":
                await SendAsync([Started("d2", version), .. Steps("d2", "fetch", "stage", "prepare", "flip", "restart"), .. Gate("d2"), .. Undo("d2"), Finished("d2", version, Outcome.RolledBack)]);
                break;
            case "v2.5.0":
                await SendAsync([Started("d5", version), .. Steps("d5", "fetch", "stage", "prepare", "flip", "restart"), .. Gate("d5"), .. Undo("d5"), Finished("d5", version, Outcome.NeedsOperator)]);
                break;
            case "v2.5.1":
                await SendAsync([Started("d6", version), .. Steps("d6", "fetch"), Step("d6", "stage", Phase.Failed, "no space left"), Finished("d6", version, Outcome.Refused)]);
                break;
            case "v2.5.2" when request.Wait:
                await SendAsync(new DeploymentEvent { At = At(0), Progress = new ProgressEvent { Message = "waiting for d4" } });
                await SendAsync([Started("d1", version), .. Steps("d1", "fetch", "stage", "prepare", "flip", "restart", "gate", "sweep"), Finished("d1", version, Outcome.Live)]);
                break;
            case "v2.5.2":
                throw Error(StatusCode.FailedPrecondition, "deployment d4 of shop v2.5.1 is under way, at gate", "agentctl watch d4", 5);
            case "v2.6.0":
                await SendAsync([Started("d9", version), .. Steps("d9", "fetch"), Progress("d9", "stage", "")]);
                try
                {
                    await Task.Delay(Timeout.Infinite, context.CancellationToken);
                }
                finally
                {
                    Left.TrySetResult();
                }
                break;
            case "v2.7.0":
                await SendAsync([Started("d7", version), .. Steps("d7", "fetch", "stage")]);
                await Cut.Task.WaitAsync(context.CancellationToken);
                context.GetHttpContext().Features.Get<IConnectionLifetimeFeature>()!.Abort();
                break;
            case "v2.7.1":
                context.GetHttpContext().Features.Get<IConnectionLifetimeFeature>()!.Abort();
                break;
            default:
                throw Error(StatusCode.InvalidArgument, $"the store has no shop {version}", "agentctl store list --app shop", 2);
        }
    }

    public override Task Rollback(RollbackRequest request, IServerStreamWriter<DeploymentEvent> responseStream, ServerCallContext context) =>
        Expected(request.Expect) && request.Version == "v1.0.0"
            ? throw Error(StatusCode.InvalidArgument, "shop v1.0.0 is not on this host any more", "agentctl releases --app shop", 2)
            : SendAllAsync(responseStream, [Started("d1", "v2.3.0"), .. Steps("d1", "prepare", "flip", "restart", "gate", "sweep"), Finished("d1", "v2.3.0", Outcome.Live)]);

    public override Task WatchDeployment(WatchDeploymentRequest request, IServerStreamWriter<DeploymentEvent> responseStream, ServerCallContext context) =>
        request.Deployment == "d2"
            ? Deploy(new DeployRequest { App = "shop", Version = "v2.4.0" }, responseStream, context)
            : throw Error(StatusCode.InvalidArgument, $"there is no deployment {request.Deployment}", "agentctl history", 2);

    public override Task<ListDeploymentsResponse> ListDeployments(ListDeploymentsRequest request, ServerCallContext context)
    {
        Deployment[] all = [Begun("d4", "v2.5.1"), Ended("d2", "v2.4.0", Outcome.RolledBack), Ended("d1", "v2.3.1", Outcome.Live)];
        all[2].FromVersion = "";
        return Task.FromResult(new ListDeploymentsResponse { Deployments = { all.Take(request.Limit) } });
    }

    public override Task<GetDeploymentResponse> GetDeployment(GetDeploymentRequest request, ServerCallContext context)
    {
        Known(request.App);
        if (request.App == "blog") throw Error(StatusCode.FailedPrecondition, "no deployment of blog has failed here", "agentctl history --app blog", 5);
        return Task.FromResult(new GetDeploymentResponse
        {
            Deployment = Ended("d2", "v2.4.0", Outcome.RolledBack),
            Quarantined = true,
            Verdict = "v2.4.0 failed at its gate: GET /up gave 503 for 20s; it looks like the release's fault, as v2.3.1 is healthy again",
            Steps =
            {
                new StepEvent { Step = "fetch", Phase = Phase.Done, Took = Duration.FromTimeSpan(TimeSpan.FromSeconds(1.25)), Detail = "3.2 MB of 58.1 MB" },
                new StepEvent { Step = "gate", Phase = Phase.Failed, Took = Duration.FromTimeSpan(TimeSpan.FromSeconds(20)), Detail = "GET /up gave 503 for 20s" },
                new StepEvent { Step = "restart", Phase = Phase.UndoDone },
            },
            Evidence = new Evidence
            {
                Step = "gate",
                Cause = "GET /up gave 503 for 20s",
                Checks = { new CheckResult { Name = "http /up", Detail = "GET /up gave 503" } },
                Units = { new UnitEvidence { Name = "shop.service", ActiveState = "active", SubState = "running", Result = "success", Exit = "exit status 1", Restarts = 3 } },
                Log = { new LogLine { At = At(5), Unit = "shop.service", Pid = 901, Priority = 3, Message = "no database: connection refused" } },
                DiskFreeBytes = 12_300_000_000,
                MemoryAvailableBytes = 1_230_000_000,
                Hooks = { new HookEvidence { Name = "before-flip", Output = { "warming up" } }, new HookEvidence { Name = "after-flip", Cause = "exit status 3", Output = { "no cache\e[2J" } } },
                Changed = { "changed bin/shop", "added environment CACHE" },
                OldChecks = { new CheckResult { Name = "http /up", Passed = true, Detail = "200 in 9 ms" } },
                OldUnits = { new UnitEvidence { Name = "shop.service", ActiveState = "active", SubState = "running", Result = "success" } },
            },
        });
    }

    public override Task<ListReleasesResponse> ListReleases(ListReleasesRequest request, ServerCallContext context)
    {
        Known(request.App);
        return Task.FromResult(new ListReleasesResponse
        {
            Releases =
            {
                new InstalledRelease { Version = "v2.4.0", Digest = NewDigest, SizeBytes = 58_100_000, Quarantined = true, GoesBecause = "it failed here" },
                new InstalledRelease { Version = "v2.3.1", Digest = OldDigest, SizeBytes = 57_900_000, Current = true, KeptBecause = "runs", Proved = At(-3600) },
            },
        });
    }

    public override async Task ReadLogs(ReadLogsRequest request, IServerStreamWriter<LogLine> responseStream, ServerCallContext context)
    {
        Known(request.App);
        await responseStream.WriteAsync(new LogLine { At = At(0), Unit = "shop.service", Pid = 812, Priority = 6, Message = $"listening; asked for {request.Lines} lines" });
        await responseStream.WriteAsync(new LogLine { At = At(1.5), Unit = "shop.service", Pid = 812, Priority = 3, Message = "red \e[31malert\r\n" });
        if (request.Follow) await Task.Delay(Timeout.Infinite, context.CancellationToken);
    }

    public override Task<PollResponse> Poll(PollRequest request, ServerCallContext context)
    {
        Known(request.App);
        var shop = new PollResult { App = "shop", Latest = "v2.4.1", Deployment = "d10", Message = "deploying v2.4.1" };
        var blog = new PollResult { App = "blog", Latest = "v0.1.0", Message = "v0.1.0 is current" };
        var sick = new PollResult { App = "blog", Error = new OperatorError { What = "store.example does not answer", Remedy = "agentctl health", ExitCode = 4 } };
        return Task.FromResult(new PollResponse { Results = { request.App == "blog" ? [sick] : new[] { blog, shop } } });
    }

    private static bool Expected(string version) => version is "" or "v2.3.1"
        ? true
        : throw Error(StatusCode.FailedPrecondition, $"shop runs v2.3.1, not {version} as expected", "look again: agentctl status --app shop", 5);

    private static string Known(string app) => app switch
    {
        "" or "shop" or "blog" => app,
        "vault" => throw Error(StatusCode.PermissionDenied, "uid 1000 (ann) may not deploy: it is viewer, and that takes deployer", "use sudo", 5),
        "broken" => throw new RpcException(new Status(StatusCode.Unimplemented, "no such method")),
        _ => throw Error(StatusCode.InvalidArgument, $"there is no app '{app}' on this host", "name one of blog, shop: --app shop", 2),
    };

    private static RpcException Error(StatusCode code, string what, string remedy, int exitCode) =>
        Errors.ToException(code, new OperatorError { What = what, Remedy = remedy, ExitCode = exitCode });

    private static Timestamp At(double seconds) => Timestamp.FromDateTimeOffset(Noon.AddSeconds(seconds));

    private static Deployment Begun(string id, string to) => new()
    {
        Id = id,
        App = "shop",
        FromVersion = "v2.3.1",
        ToVersion = to,
        ToDigest = NewDigest,
        Trigger = "deploy",
        By = "uid 0 (root)",
        Started = At(0),
    };

    private static Deployment Ended(string id, string to, Outcome outcome)
    {
        Deployment deployment = Begun(id, to);
        deployment.Finished = At(21.5);
        deployment.Outcome = outcome;
        switch (outcome)
        {
            case Outcome.RolledBack:
                (deployment.Step, deployment.Cause) = ("gate", "GET /up gave 503 for 20s");
                break;
            case Outcome.NeedsOperator:
                (deployment.Step, deployment.Cause) = ("gate", "GET /up gave 503 for 20s, and v2.3.1 did not answer either");
                deployment.Remedy = "look at it: agentctl why d5; then agentctl deploy VERSION";
                break;
            case Outcome.Refused:
                (deployment.Step, deployment.Cause, deployment.Remedy) = ("stage", "no space left", "free 60 MB below /srv");
                break;
        }
        return deployment;
    }

    private static DeploymentEvent Started(string id, string to) => new() { At = At(0), Deployment = id, Started = Begun(id, to) };

    private static DeploymentEvent Finished(string id, string to, Outcome outcome) => new() { At = At(21.5), Deployment = id, Finished = Ended(id, to, outcome) };

    private static DeploymentEvent Progress(string id, string step, string message) =>
        new() { At = At(0.5), Deployment = id, Progress = new ProgressEvent { Step = step, Message = message, Done = 1_200_000, Total = 4_000_000 } };

    private static DeploymentEvent Step(string id, string step, Phase phase, string detail = "") =>
        new() { At = At(1), Deployment = id, Step = new StepEvent { Step = step, Phase = phase, Detail = detail } };

    private static IEnumerable<DeploymentEvent> Steps(string id, params string[] steps) =>
        steps.SelectMany(step => new[] { Step(id, step, Phase.Started), Progress(id, step, "working"), Step(id, step, Phase.Done) });

    private static DeploymentEvent[] Gate(string id) => [Step(id, "gate", Phase.Started), Step(id, "gate", Phase.Failed, "GET /up gave 503 for 20s")];

    private static DeploymentEvent[] Undo(string id) => [Step(id, "restart", Phase.UndoStarted), Step(id, "restart", Phase.UndoDone), Step(id, "flip", Phase.UndoStarted), Step(id, "flip", Phase.UndoDone)];

    private static async Task SendAllAsync(IServerStreamWriter<DeploymentEvent> responseStream, params DeploymentEvent[] events)
    {
        foreach (DeploymentEvent happened in events) await responseStream.WriteAsync(happened);
    }
}

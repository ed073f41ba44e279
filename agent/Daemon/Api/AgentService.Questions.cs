using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Grpc.Core;
using Timestamp = Google.Protobuf.WellKnownTypes.Timestamp;

namespace Agent.Daemon.Api;

/// <summary>What only asks.</summary>
internal sealed partial class AgentService
{
    private const int DefaultDeployments = 20, DefaultLines = 50, MostLines = 10_000, DefaultRecords = 50, MostRecords = 10_000;

    public override Task<V1.GetStatusResponse> GetStatus(V1.GetStatusRequest request, ServerCallContext context) => calls.AnswerAsync(context, async (_, cancellationToken) =>
    {
        var response = new V1.GetStatusResponse { Host = Environment.MachineName, AgentVersion = AgentApi.Version, Store = configuration.Agent.Store ?? "" };
        foreach (AppOptions app in calls.OneOrAll(request.App)) response.Apps.Add(await StatusAsync(app, cancellationToken));
        return response;
    });

    public override Task<V1.GetHealthResponse> GetHealth(V1.GetHealthRequest request, ServerCallContext context) => calls.AnswerAsync(context, async (_, cancellationToken) =>
    {
        V1.AppHealth[] apps = await Task.WhenAll(calls.OneOrAll(request.App).Select(app => HealthAsync(app.Name, cancellationToken)));
        return new V1.GetHealthResponse { Apps = { apps }, Store = Messages.Of(tracking.Health()) };
    });

    public override Task WatchDeployment(V1.WatchDeploymentRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        calls.StreamAsync(context, (_, cancellationToken) => SendEventsAsync(engine.Find(request.Deployment).Id, responseStream, cancellationToken));

    public override Task<V1.ListDeploymentsResponse> ListDeployments(V1.ListDeploymentsRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        IEnumerable<Deployment> newest = calls.OneOrAll(request.App).SelectMany(app => engine.State(app.Name).Deployments)
            .OrderByDescending(deployment => deployment.Started)
            .Take(request.Limit > 0 ? request.Limit : DefaultDeployments);
        return Task.FromResult(new V1.ListDeploymentsResponse { Deployments = { newest.Select(Messages.Of) } });
    });

    public override Task<V1.GetDeploymentResponse> GetDeployment(V1.GetDeploymentRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        Deployment deployment = request.Deployment.Length > 0 ? engine.Find(request.Deployment) : NewestFailure(request.App);
        var response = new V1.GetDeploymentResponse
        {
            Deployment = Messages.Of(deployment),
            Steps = { EventMessages.Steps(deployment) },
            Quarantined = engine.State(deployment.App).Quarantined.Values.Any(quarantine => quarantine.Release.Digest == deployment.To.Digest),
            Verdict = deployment.Outcome is null or Outcome.Live ? "" : engine.Verdict(deployment),
        };
        if (engine.EvidenceOf(deployment) is { } evidence) response.Evidence = Messages.Of(evidence, deployment);
        return Task.FromResult(response);
    });

    public override Task<V1.ListReleasesResponse> ListReleases(V1.ListReleasesRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
        Task.FromResult(new V1.ListReleasesResponse { Releases = { engine.Releases(calls.One(request.App)).Select(Messages.Of) } }));

    public override Task ReadLogs(V1.ReadLogsRequest request, IServerStreamWriter<V1.LogLine> responseStream, ServerCallContext context) =>
        calls.StreamAsync(context, async (_, cancellationToken) =>
        {
            AppName app = calls.One(request.App);
            AppDefinition running = engine.Running(app)
                ?? throw new OperatorException(ExitCode.Refused, $"nothing of {app} was deployed yet, so it has no log", $"agentctl history --app {app}");
            UnitName[] units = [.. running.Units.Select(unit => unit.Name.IsService ? unit.Name : unit.Name.ToService()).Distinct()];
            // What an app prints of its own secrets is not for everybody who may look.
            Redactor redactor = Redactor.Of(running, configuration);
            int lines = Math.Min(request.Lines > 0 ? request.Lines : DefaultLines, MostLines);
            if (request.Follow)
            {
                await foreach (LogEntry line in supervisor.FollowLogAsync(units, lines, cancellationToken))
                    await responseStream.WriteAsync(Messages.Of(line with { Message = redactor.Clean(line.Message) }), cancellationToken);
                return;
            }
            var all = new List<LogEntry>();
            foreach (UnitName unit in units) all.AddRange(await supervisor.ReadLogAsync(unit, lines, cancellationToken));
            foreach (LogEntry line in all.OrderBy(line => line.At).TakeLast(lines))
                await responseStream.WriteAsync(Messages.Of(line with { Message = redactor.Clean(line.Message) }), cancellationToken);
        });

    public override Task<V1.DiffGenerationsResponse> DiffGenerations(V1.DiffGenerationsRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
        Task.FromResult(Messages.Of(engine.Diff(calls.One(request.App), request.A.Length > 0 ? request.A : null, request.B.Length > 0 ? request.B : null))));

    public override Task<V1.CheckConfigurationResponse> CheckConfiguration(V1.CheckConfigurationRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        var response = new V1.CheckConfigurationResponse();
        try
        {
            configuration.Check();
        }
        catch (OperatorException e) when (e.Code == ExitCode.Usage)
        {
            response.Problems.Add(e.Message.Split('\n'));
        }
        return Task.FromResult(response);
    });

    public override Task<V1.ShowConfigurationResponse> ShowConfiguration(V1.ShowConfigurationRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        AppName? app = request.App.Length > 0 ? calls.One(request.App) : null;
        return Task.FromResult(new V1.ShowConfigurationResponse { Yaml = configuration.Effective(app, app is null ? null : engine.RunningYaml(app)) });
    });

    public override Task<V1.ListAuditResponse> ListAudit(V1.ListAuditRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
    {
        int limit = Math.Min(request.Limit > 0 ? request.Limit : DefaultRecords, MostRecords);
        return Task.FromResult(new V1.ListAuditResponse { Records = { audit.Read(limit).Select(Messages.Of) } });
    });

    public override Task<V1.GetVersionResponse> GetVersion(V1.GetVersionRequest request, ServerCallContext context) => calls.AnswerAsync(context, (caller, _) => Task.FromResult(new V1.GetVersionResponse
    {
        Version = AgentApi.Version,
        Api = AgentApi.Level,
        By = caller.By,
        Role = Roles.Word(caller.Role),
        Now = Timestamp.FromDateTimeOffset(time.GetUtcNow()),
    }));

    private async Task SendEventsAsync(string deployment, IServerStreamWriter<V1.DeploymentEvent> responseStream, CancellationToken cancellationToken)
    {
        var messages = new EventMessages(engine.Find);
        await foreach (DeploymentEvent happened in engine.WatchAsync(deployment, cancellationToken))
        {
            if (messages.Of(happened) is { } message) await responseStream.WriteAsync(message, cancellationToken);
        }
    }

    private async Task<V1.AppStatus> StatusAsync(AppOptions app, CancellationToken cancellationToken)
    {
        AppState state = engine.State(app.Name);
        var status = new V1.AppStatus
        {
            App = app.Name.Value,
            Version = state.Current?.Version ?? "",
            Digest = state.Current?.Digest ?? "",
            Since = Messages.Of(state.Since),
            Track = app.Track?.ToString() ?? "",
            Latest = app.Track is null ? "" : tracking.Latest(app.Name)?.Text ?? "",
            HeldAt = state.HeldAt ?? "",
            PassedOver = state.PassedOver ?? "",
            Hold = Messages.Of(state.Hold),
            Pin = Messages.Of(state.Pin),
            Unsigned = Messages.Of(state.Unsigned),
            MaxVersion = app.MaxVersion?.Text ?? "",
            Tracking = app.Track is null ? "" : tracking.Reason(app.Name) ?? "",
            Quarantined = { state.Quarantined.Values.OrderByDescending(quarantine => quarantine.Since).Select(Messages.Of) },
        };
        if (state.Running is { } running) status.Running = Messages.Of(running);
        if (state.Deployments.LastOrDefault(deployment => deployment.Outcome is not null) is { } last) status.Last = Messages.Of(last);
        if (state.Attention is { } failed) status.Attention = $"deployment {failed.Deployment} of {failed.Version} failed and could not be undone: {failed.Cause} (agentctl why {failed.Deployment})";
        foreach (UnitSource unit in engine.Running(app.Name)?.Units ?? [])
            status.Units.Add(await UnitAsync(unit.Name, cancellationToken));
        return status;
    }

    // A bus that is gone must not take the rest of the answer along: then, of all times, somebody wants to see it.
    private async Task<V1.UnitStatus> UnitAsync(UnitName unit, CancellationToken cancellationToken)
    {
        try
        {
            return Messages.Of(await supervisor.GetStateAsync(unit, cancellationToken));
        }
        catch (OperatorException e)
        {
            return new V1.UnitStatus { Name = unit.Value, ActiveState = "unknown", SubState = e.Message };
        }
    }

    private async Task<V1.AppHealth> HealthAsync(AppName app, CancellationToken cancellationToken)
    {
        var health = new V1.AppHealth { App = app.Value, Version = engine.State(app).Current?.Version ?? "" };
        if (engine.Running(app) is not { } running) return health;   // nothing runs: nobody is served, so it is not healthy
        IReadOnlyList<CheckAnswer> now = await new HealthRound(supervisor, probe).RunAsync(running, cancellationToken);
        health.Checks.Add(HealthRound.Join(now, watch.Of(app)).Select(Messages.Of));
        health.Healthy = health.Checks.All(check => check.Passed);
        return health;
    }

    private Deployment NewestFailure(string appText)
    {
        AppName app = calls.One(appText);
        return engine.State(app).Deployments.LastOrDefault(deployment => deployment.Outcome is not (null or Outcome.Live))
            ?? throw new OperatorException(ExitCode.Refused, $"no deployment of {app} has failed here", $"agentctl history --app {app}");
    }
}

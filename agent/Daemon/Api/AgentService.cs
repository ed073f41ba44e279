using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Grpc.Core;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.AgentService: asks the engine, the supervisor and tracking, and puts their answers into messages.</summary>
internal sealed class AgentService(
    DeploymentEngine engine, IConfiguration configuration, ISupervisor supervisor, IHealthProbe probe, TrackingService tracking, Callers callers,
    IHostApplicationLifetime lifetime, ILogger<AgentService> logger) : V1.AgentService.AgentServiceBase
{
    private const int DefaultDeployments = 20, DefaultLines = 50, MostLines = 10_000;

    public override Task<V1.GetStatusResponse> GetStatus(V1.GetStatusRequest request, ServerCallContext context) => AnswerAsync(context, async cancellationToken =>
    {
        var response = new V1.GetStatusResponse { Host = Environment.MachineName, AgentVersion = AgentApi.Version, Store = configuration.Agent.Store ?? "" };
        foreach (AppOptions app in OneOrAll(request.App)) response.Apps.Add(await StatusAsync(app, cancellationToken));
        return response;
    });

    public override Task<V1.GetHealthResponse> GetHealth(V1.GetHealthRequest request, ServerCallContext context) => AnswerAsync(context, async cancellationToken =>
    {
        V1.AppHealth[] apps = await Task.WhenAll(OneOrAll(request.App).Select(app => HealthAsync(app.Name, cancellationToken)));
        return new V1.GetHealthResponse { Apps = { apps }, Store = Messages.Of(tracking.Health()) };
    });

    public override Task Deploy(V1.DeployRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        ChangeAsync(request.App, request.Version, Trigger.Deploy, request.Force, responseStream, context);

    public override Task Rollback(V1.RollbackRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        ChangeAsync(request.App, request.Version, Trigger.Rollback, force: false, responseStream, context);

    public override Task WatchDeployment(V1.WatchDeploymentRequest request, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        StreamAsync(context, cancellationToken => SendEventsAsync(engine.Find(request.Deployment).Id, responseStream, cancellationToken));

    public override Task<V1.ListDeploymentsResponse> ListDeployments(V1.ListDeploymentsRequest request, ServerCallContext context) => AnswerAsync(context, _ =>
    {
        IEnumerable<Deployment> newest = OneOrAll(request.App).SelectMany(app => engine.State(app.Name).Deployments)
            .OrderByDescending(deployment => deployment.Started)
            .Take(request.Limit > 0 ? request.Limit : DefaultDeployments);
        return Task.FromResult(new V1.ListDeploymentsResponse { Deployments = { newest.Select(Messages.Of) } });
    });

    public override Task<V1.GetDeploymentResponse> GetDeployment(V1.GetDeploymentRequest request, ServerCallContext context) => AnswerAsync(context, _ =>
    {
        Deployment deployment = request.Deployment.Length > 0 ? engine.Find(request.Deployment) : NewestFailure(request.App);
        var response = new V1.GetDeploymentResponse
        {
            Deployment = Messages.Of(deployment),
            Steps = { EventMessages.Steps(deployment) },
            Quarantined = engine.State(deployment.App).Quarantined.Values.Any(quarantine => quarantine.Release.Digest == deployment.To.Digest),
        };
        if (engine.EvidenceOf(deployment) is { } evidence) response.Evidence = Messages.Of(evidence, deployment);
        return Task.FromResult(response);
    });

    public override Task<V1.ListReleasesResponse> ListReleases(V1.ListReleasesRequest request, ServerCallContext context) => AnswerAsync(context, _ =>
        Task.FromResult(new V1.ListReleasesResponse { Releases = { engine.Releases(One(request.App)).Select(Messages.Of) } }));

    public override Task ReadLogs(V1.ReadLogsRequest request, IServerStreamWriter<V1.LogLine> responseStream, ServerCallContext context) =>
        StreamAsync(context, async cancellationToken =>
        {
            AppName app = One(request.App);
            AppDefinition running = engine.Running(app)
                ?? throw new OperatorException(ExitCode.Refused, $"nothing of {app} was deployed yet, so it has no log", $"agentctl history --app {app}");
            UnitName[] units = [.. running.Units.Select(unit => unit.Name)];
            int lines = Math.Min(request.Lines > 0 ? request.Lines : DefaultLines, MostLines);
            if (request.Follow)
            {
                await foreach (LogEntry line in supervisor.FollowLogAsync(units, lines, cancellationToken))
                    await responseStream.WriteAsync(Messages.Of(line), cancellationToken);
                return;
            }
            var all = new List<LogEntry>();
            foreach (UnitName unit in units) all.AddRange(await supervisor.ReadLogAsync(unit, lines, cancellationToken));
            foreach (LogEntry line in all.OrderBy(line => line.At).TakeLast(lines))
                await responseStream.WriteAsync(Messages.Of(line), cancellationToken);
        });

    public override Task<V1.PollResponse> Poll(V1.PollRequest request, ServerCallContext context) => AnswerAsync(context, async cancellationToken =>
    {
        string by = callers.Demand(Caller(context), "poll");
        AppName? app = request.App.Length > 0 ? One(request.App) : null;
        logger.ChangeAsked(app?.Value ?? "all apps", "poll", by);
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
    });

    public override Task<V1.GetVersionResponse> GetVersion(V1.GetVersionRequest request, ServerCallContext context) =>
        Task.FromResult(new V1.GetVersionResponse { Version = AgentApi.Version });

    private static PeerCredentials? Caller(ServerCallContext context) => context.GetHttpContext().Features.Get<PeerCredentials>();

    private Task ChangeAsync(
        string appText, string version, Trigger trigger, bool force, IServerStreamWriter<V1.DeploymentEvent> responseStream, ServerCallContext context) =>
        StreamAsync(context, async cancellationToken =>
        {
            string wish = Messages.Word(trigger);
            string by = callers.Demand(Caller(context), wish);
            AppName app = One(appText);
            Track? wanted = version.Length > 0 ? new Track.Exactly(new ReleaseVersion(version)) : null;
            logger.ChangeAsked(app.Value, wanted is null ? wish : $"{wish} {wanted}", by);
            Deployment deployment = await engine.StartAsync(new DeploymentRequest(app, wanted, trigger, by, force), cancellationToken);
            if (deployment.Outcome is null)
            {
                await SendEventsAsync(deployment.Id, responseStream, cancellationToken);
                return;
            }
            // Nothing was to be done: this is the deployment that did it, and its steps are of another time.
            await responseStream.WriteAsync(
                new V1.DeploymentEvent { At = Messages.Of(deployment.Finished ?? deployment.Started), Deployment = deployment.Id, Finished = Messages.Of(deployment) }, cancellationToken);
        });

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
            Latest = tracking.Latest(app.Name)?.Text ?? "",
            HeldAt = state.HeldAt ?? "",
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
        foreach (CheckAnswer answer in await new HealthRound(supervisor, probe).RunAsync(running, cancellationToken)) health.Checks.Add(Messages.Of(answer));
        health.Healthy = health.Checks.All(check => check.Passed);
        return health;
    }

    private Deployment NewestFailure(string appText)
    {
        AppName app = One(appText);
        return engine.State(app).Deployments.LastOrDefault(deployment => deployment.Outcome is not (null or Outcome.Live))
            ?? throw new OperatorException(ExitCode.Refused, $"no deployment of {app} has failed here", $"agentctl history --app {app}");
    }

    private AppName One(string app)
    {
        if (app.Length > 0) return configuration.App(new AppName(app)).Name;
        return configuration.Apps switch
        {
            [var only] => only.Name,
            [] => throw new OperatorException(ExitCode.Usage, "there is no app on this host", "write /etc/agentd/apps.d/APP.yaml and restart agentd"),
            var several => throw new OperatorException(ExitCode.Usage, $"which app? There are {string.Join(", ", several.Select(a => a.Name))}", $"name one: --app {several[0].Name}"),
        };
    }

    private IEnumerable<AppOptions> OneOrAll(string app) => app.Length > 0 ? [configuration.App(new AppName(app))] : configuration.Apps;

    private async Task<T> AnswerAsync<T>(ServerCallContext context, Func<CancellationToken, Task<T>> answer)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        try
        {
            return await answer(stop.Token);
        }
        catch (Exception e)
        {
            throw ApiErrors.From(e, context.Method, context.CancellationToken.IsCancellationRequested, lifetime.ApplicationStopping.IsCancellationRequested, logger);
        }
    }

    // Ends with the agent, so that a stop does not wait for those who watch; their deployment is left to recovery.
    private Task StreamAsync(ServerCallContext context, Func<CancellationToken, Task> stream) => AnswerAsync(context, async cancellationToken =>
    {
        await stream(cancellationToken);
        return true;
    });
}

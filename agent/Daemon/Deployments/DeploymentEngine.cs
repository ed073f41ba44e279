using System.Collections.Concurrent;
using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>What somebody wants deployed.</summary>
/// <param name="Wanted">What to deploy; null: what the app's track says, or for <see cref="Trigger.Rollback"/> the release before.</param>
/// <param name="By">Who asks: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
/// <param name="Force">Also a quarantined release, and one that runs already.</param>
internal sealed record DeploymentRequest(AppName App, Track? Wanted, Trigger Trigger, string By, bool Force)
{
    /// <summary>Refused unless this version runs; <c>none</c>: nothing runs. Null: anything.</summary>
    public string? Expect { get; init; }

    /// <summary>Takes what is waited for, for people, where one deployment is under way; null: it is refused then.</summary>
    public Action<string>? Waiting { get; init; }
}

/// <summary>What differs between two generations; a value is null where it may not be shown.</summary>
/// <param name="A">For people: <c>v1.1.0 (shop-3)</c>.</param>
internal sealed record GenerationDifference(
    string A, string B, ImmutableArray<Difference> Files, ImmutableArray<Difference> Units, ImmutableArray<Difference> Environment);

/// <param name="Before">Null: it was not there, or may not be shown.</param>
/// <param name="After">Null: it is not there any more, or may not be shown.</param>
internal sealed record Difference(DifferenceKind Kind, string Name, string? Before, string? After);

internal enum DifferenceKind
{
    Added,
    Removed,
    Changed,
}

/// <summary>What happens in a deployment: a journal record, or progress that is not journaled.</summary>
internal abstract record DeploymentEvent
{
    private DeploymentEvent() { }

    public sealed record Recorded(JournalRecord Record) : DeploymentEvent;

    /// <param name="Message">For people: <c>http /up: connection refused</c>.</param>
    /// <param name="Done">Bytes; 0 of 0 where it is no transfer.</param>
    public sealed record Progress(DateTimeOffset At, string Deployment, Step Step, string Message, long Done, long Total) : DeploymentEvent;
}

/// <summary>A release that lies on this host.</summary>
/// <param name="KeptBecause">Null: it goes at the next sweep.</param>
internal sealed record InstalledRelease(ReleaseRef Release, bool Current, string? KeptBecause, long Size, DateTimeOffset? Proved, bool Quarantined)
{
    /// <summary>Why the next sweep takes it; null: it stays.</summary>
    public string? GoesBecause { get; init; }
}

/// <summary>The one state machine: all that Api and Tracking may ask of it.</summary>
/// <param name="stopping">The agent stops; deployments in flight are left for recovery.</param>
internal sealed class DeploymentEngine(
    DeploymentLog log, DeploymentRunner runner, DeploymentSteps steps, IConfiguration configuration, IArtifactSource source,
    InstalledReleases installed, TimeProvider time, ILogger<DeploymentEngine> logger, CancellationToken stopping)
{
    /// <summary>Apps for which a deployment is being resolved, and who asked; the journal knows those under way.</summary>
    private readonly ConcurrentDictionary<AppName, string> starting = new();
    private readonly ConcurrentDictionary<string, Task> running = new();

    /// <summary>Resolves what is wanted, then starts the deployment; it goes on whatever becomes of the caller.</summary>
    /// <returns>The deployment; it has an outcome already where nothing is to be done.</returns>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Refused"/>: one is under way for this app (its id and step are told), or the release is quarantined;
    /// <see cref="ExitCode.Usage"/>: no such app or version; <see cref="ExitCode.Unreachable"/>: the store does not answer.
    /// </exception>
    public async Task<Deployment> StartAsync(DeploymentRequest request, CancellationToken cancellationToken)
    {
        AppOptions options = configuration.App(request.App);
        if (!starting.TryAdd(request.App, request.By)) throw Busy(request.App);
        try
        {
            if (log.State.App(request.App).Running is not null) throw Busy(request.App);
            string id = $"{request.App}-{log.State.App(request.App).Count + 1}";
            ReleaseRef to = await ResolveAsync(options, request, cancellationToken);
            AppState state = log.State.App(request.App);
            if (state.Current == to && !request.Force && LastLive(state) is { } live) return live;
            if (state.Quarantined.TryGetValue(to.Digest, out Quarantine? quarantine) && !request.Force)
                throw new OperatorException(
                    ExitCode.Refused, $"{request.App} {to.Version} is quarantined on this host since {quarantine.Deployment}: {quarantine.Cause}",
                    $"publish a mended version, or deploy this one all the same with 'agentctl deploy {to.Version} --app {request.App} --force'");
            log.Record(new JournalRecord.DeploymentStarted(time.GetUtcNow(), id, request.App.Value, state.Current, state.Generation, to, request.Trigger, request.By));
            Go(id);
            return log.State.Find(id)!;
        }
        finally
        {
            starting.TryRemove(request.App, out _);
        }
    }

    /// <summary>All events of a deployment from its beginning; ends after its outcome. Slow readers lose progress, never records.</summary>
    /// <exception cref="OperatorException">No such deployment (<see cref="ExitCode.Usage"/>).</exception>
    public IAsyncEnumerable<DeploymentEvent> WatchAsync(string deployment, CancellationToken cancellationToken) =>
        log.WatchAsync(Find(deployment).Id, cancellationToken);

    /// <summary>The state of an app; an empty one where nothing was ever deployed.</summary>
    public AppState State(AppName app) => log.State.App(app);

    /// <exception cref="OperatorException">No such deployment (<see cref="ExitCode.Usage"/>).</exception>
    public Deployment Find(string deployment) => log.State.Find(deployment)
        ?? throw new OperatorException(ExitCode.Usage, $"there is no deployment '{deployment}' on this host", "list them with 'agentctl history'");

    /// <summary>Goes back from a deployment under way, as if the step under way had failed; returns when that has begun.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: it has an outcome, goes back already, or is behind its commit point.</exception>
    public Task<Deployment> CancelAsync(string deployment, string by, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Tracking leaves the app alone until <see cref="Resume"/>.</summary>
    public void Hold(AppName app, string by, string reason) => log.Record(new JournalRecord.Held(time.GetUtcNow(), configuration.App(app).Name.Value, by, reason));

    /// <summary>Ends a hold, and what a person's rollback or deploy made tracking leave alone.</summary>
    public void Resume(AppName app, string by) => log.Record(new JournalRecord.Resumed(time.GetUtcNow(), configuration.App(app).Name.Value, by));

    /// <summary>Tracking wants this version and no other; null: the one that runs.</summary>
    /// <returns>The version.</returns>
    /// <exception cref="OperatorException">Nothing runs (<see cref="ExitCode.Refused"/>).</exception>
    public string Pin(AppName app, ReleaseVersion? version, string by, string reason)
    {
        string wanted = version?.Text ?? State(configuration.App(app).Name).Current?.Version ?? throw new OperatorException(
            ExitCode.Refused, $"nothing of {app} runs here that it could be pinned to", $"name a version: agentctl pin VERSION --app {app}");
        log.Record(new JournalRecord.Pinned(time.GetUtcNow(), app.Value, wanted, by, reason));
        return wanted;
    }

    public void Unpin(AppName app, string by) => log.Record(new JournalRecord.Unpinned(time.GetUtcNow(), configuration.App(app).Name.Value, by));

    /// <summary>A release that failed here may be deployed by itself again.</summary>
    /// <exception cref="OperatorException">It is not quarantined (<see cref="ExitCode.Refused"/>).</exception>
    public void Unquarantine(AppName app, ReleaseVersion version, string by, string reason)
    {
        Quarantine[] found = [.. State(configuration.App(app).Name).Quarantined.Values.Where(quarantine => quarantine.Release.Version == version.Text)];
        if (found.Length == 0)
            throw new OperatorException(ExitCode.Refused, $"{app} {version} is not quarantined on this host", $"see what is: agentctl status --app {app}");
        foreach (Quarantine quarantine in found)
            log.Record(new JournalRecord.Unquarantined(time.GetUtcNow(), app.Value, quarantine.Release.Digest, by, reason));
    }

    /// <summary>What differs between two generations on this host.</summary>
    /// <param name="a">A version or a deployment's id; null: the generation before the one that runs.</param>
    /// <param name="b">Null: the one that runs.</param>
    /// <exception cref="OperatorException">It is not on this host (any more), or nothing ran (<see cref="ExitCode.Refused"/>).</exception>
    public GenerationDifference Diff(AppName app, string? a, string? b) => throw new NotImplementedException();

    /// <summary>What was seen when a deployment failed; null: nothing, or it is gone.</summary>
    public Evidence? EvidenceOf(Deployment deployment) => throw new NotImplementedException();

    /// <summary>A sentence on a deployment that did not end live: what failed first, and whose fault it looks like.</summary>
    public string Verdict(Deployment deployment) => throw new NotImplementedException();

    /// <summary>agent.yaml of the release that runs; null: none.</summary>
    public string? RunningYaml(AppName app) => State(app).Current is { } current ? installed.ReadText(app, current.Version, "agent.yaml") : null;

    /// <summary>What the running release is defined as; null before the first deployment.</summary>
    public AppDefinition? Running(AppName app) => log.State.App(app).Generation is { } id ? steps.Definition(app, id) : null;

    public ImmutableArray<InstalledRelease> Releases(AppName app)
    {
        AppState state = log.State.App(app);
        ImmutableDictionary<string, string> kept = Retention.Reasons(state, configuration.App(app).Keep);
        return
        [
            .. installed.List(app)
                .Select(release => new InstalledRelease(
                    release, installed.Current(app) == release.Version, kept.GetValueOrDefault(release.Digest), installed.Manifest(app, release.Version).TotalSize,
                    state.Proved.Find(p => p.Release.Digest == release.Digest)?.At, state.Quarantined.ContainsKey(release.Digest)))
                .OrderByDescending(release => new ReleaseVersion(release.Release.Version)),
        ];
    }

    /// <summary>
    /// Finishes or undoes what an earlier run of the agent left. To be awaited before READY: on return every effect is undone
    /// or the sweep is done; whether the old release answers again is watched afterwards.
    /// </summary>
    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        foreach (AppState state in log.State.Apps.Values)
        {
            if (state.Running is { } deployment)
            {
                logger.Recovering(state.Name, deployment.Id);
                log.Record(new JournalRecord.Interrupted(time.GetUtcNow(), deployment.Id));
                await runner.RunAsync(deployment.Id, s => s is DeploymentState.Backward { Undo: [Step.Gate] }, cancellationToken);
                steps.RemoveLeftovers(log.State.App(state.Name));
                Go(deployment.Id);
            }
            else steps.RemoveLeftovers(state);
        }
    }

    /// <summary>Waits until nothing is under way any more, or the agent stops.</summary>
    public Task IdleAsync() => Task.WhenAll(running.Values);

    private void Go(string id) => running[id] = Task.Run(async () =>
    {
        try
        {
            await runner.RunAsync(id, _ => false, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Left for recovery.
        }
        catch (Exception e)
        {
            logger.Broken(id, e);
        }
        finally
        {
            running.TryRemove(id, out _);
        }
    });

    private async Task<ReleaseRef> ResolveAsync(AppOptions options, DeploymentRequest request, CancellationToken cancellationToken)
    {
        if (request.Trigger == Trigger.Rollback) return RollbackTarget(options.Name, request.Wanted);
        Track wanted = request.Wanted ?? options.Track ?? throw new OperatorException(
            ExitCode.Usage, $"{options.Name} follows nothing, so a version is needed", $"name one: agentctl deploy v1.2.3 --app {options.Name}");
        ReleaseId found = await source.ResolveAsync(options.Name, wanted, cancellationToken) ?? throw new OperatorException(
            ExitCode.Usage, $"the store has no {options.Name} {wanted}", $"list what it has: agentctl store list --app {options.Name}");
        return new ReleaseRef(found.Version.Text, found.Digest.Hex);
    }

    /// <summary>From this host alone: going back must work without the store.</summary>
    private ReleaseRef RollbackTarget(AppName app, Track? wanted)
    {
        AppState state = log.State.App(app);
        ImmutableList<ReleaseRef> candidates = [.. state.Proved.Select(p => p.Release).Where(r => r != state.Current && installed.Holds(app, r))];
        if (wanted is not Track.Exactly exactly)
            return candidates.FirstOrDefault() ?? throw new OperatorException(
                ExitCode.Refused, $"there is no release of {app} on this host to go back to", $"deploy one: agentctl deploy VERSION --app {app}");
        return candidates.Find(r => r.Version == exactly.Version.Text)
            ?? (state.Current?.Version == exactly.Version.Text ? state.Current : throw new OperatorException(
                ExitCode.Usage, $"{app} {exactly.Version} has not run healthy on this host, or is gone from it",
                candidates.IsEmpty ? $"deploy it: agentctl deploy {exactly.Version} --app {app}" : $"choose one of {string.Join(", ", candidates.Select(r => r.Version))}"));
    }

    private static Deployment? LastLive(AppState state) => state.Deployments.FindLast(d => d.Id == state.Generation && d.Outcome == Outcome.Live);

    private OperatorException Busy(AppName app)
    {
        Deployment? first = log.State.App(app).Running;
        return first is null
            ? new OperatorException(ExitCode.Refused, $"a deployment of {app}, asked for by {starting.GetValueOrDefault(app)}, is just starting", "look at it with 'agentctl status'")
            : new OperatorException(
                ExitCode.Refused, $"{app} is being deployed: {first.Id} to {first.To.Version} is at {first.Step?.ToString().ToLowerInvariant() ?? "its start"}",
                $"wait for it: agentctl watch {first.Id}");
    }
}

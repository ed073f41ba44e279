using System.Collections.Concurrent;
using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

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

/// <summary>What a deployment would do.</summary>
/// <param name="From">What runs; null: nothing.</param>
/// <param name="Runs">What that is defined as; null: nothing runs, or it is not known any more.</param>
/// <param name="Refusal">Null: it would begin.</param>
internal sealed record DeploymentPreview(ReleaseRef? From, AppDefinition? Runs, ReleaseRef To, OperatorException? Refusal);

/// <summary>The one state machine: all that Api and Tracking may ask of it.</summary>
/// <param name="stopping">The agent stops; deployments in flight are left for recovery.</param>
internal sealed partial class DeploymentEngine(
    DeploymentLog log, DeploymentRunner runner, DeploymentSteps steps, IConfiguration configuration, IArtifactSource source,
    InstalledReleases installed, GenerationComparison comparison, EvidenceFiles evidence, TimeProvider time, ILogger<DeploymentEngine> logger, CancellationToken stopping)
{
    private readonly StartQueue queue = new();
    private readonly ConcurrentDictionary<string, Task> running = new();
    private readonly ConcurrentDictionary<string, Cancellation> cancellations = new();

    /// <summary>Resolves what is wanted, then starts the deployment; it goes on whatever becomes of the caller.</summary>
    /// <returns>The deployment; it has an outcome already where nothing is to be done. That of an earlier call where the request is the same.</returns>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Refused"/>: one is under way for this app (its id and step are told), something else runs than was expected, the rollout is not
    /// (any more) the caller's to drive, or the release is quarantined or above the operator's ceiling; <see cref="ExitCode.Usage"/>: no such app or version; <see cref="ExitCode.Unreachable"/>: the store does not answer.
    /// </exception>
    public async Task<Deployment> StartAsync(DeploymentRequest request, CancellationToken cancellationToken)
    {
        AppOptions options = configuration.App(request.App);
        if (BegunBy(request, log.State) is { } known) return known;
        using IDisposable turn = await queue.TakeAsync(request.App, request.By, request.Request, request.Waiting is not null, cancellationToken) ?? throw Busy(request.App);
        if (BegunBy(request, log.State) is { } begun) return begun;
        RefuseTurn(request, log.State);
        while (log.State.App(request.App).Running is { } first)
        {
            if (request.Waiting is null) throw Busy(request.App);
            request.Waiting($"waiting for {first.Id} to {first.To.Version}, which is at {Word(first.Step)}");
            await foreach (DeploymentEvent _ in log.WatchAsync(first.Id, cancellationToken)) { }
        }
        (ReleaseRef? current, string? generation) = Standing(request.App);
        RefuseUnexpected(request, current);
        ReleaseRef to = await ResolveAsync(options, request, cancellationToken);
        string? passedOver = await PassedOverAsync(options, request, to, cancellationToken);
        AppState state = log.State.App(request.App);
        // Where a person is needed, what runs need not be what was kept last.
        if (state.Current == to && state.Attention is null && !request.Force && LastLive(state) is { } live
            && (request.Trigger == Trigger.Track || (!HasOtherSettings(request.App, live) && await steps.IsRunningAsync(live, cancellationToken)))) return live;
        if (!request.Force) RefuseUnwanted(options, state, to, request.Trigger);
        string id = $"{request.App}-{state.Count + 1}";
        string? pushedBy = request.Trigger == Trigger.Deploy ? source.FindPushed(request.App, new Digest(to.Digest))?.By : null;
        bool isUnsigned = (request.Pushed is not null || request.Trigger == Trigger.Rollback) && IsUnsigned(request.App, new Digest(to.Digest));
        log.Record(now =>
        {
            RefuseTurn(request, now);   // a pause or another driver may have come while the version was looked up
            return new JournalRecord.DeploymentStarted(time.GetUtcNow(), id, request.App.Value, current, generation, to, request.Trigger, request.By)
            {
                PassedOver = passedOver,
                RestorePoint = request.RestorePoint,
                IgnoreSchema = request.IgnoreSchema,
                Request = request.Request,
                Rollout = request.Turn?.Id,
                PushedBy = pushedBy,
                Unsigned = isUnsigned,
            };
        });
        Deployment started = log.State.Find(id)!;   // before it goes: a quick one may be over at once, and is one that began all the same
        Go(id);
        return started;
    }

    /// <summary>What <see cref="StartAsync"/> would begin now, without beginning it.</summary>
    /// <exception cref="OperatorException">There is no such app or version, or the store does not answer.</exception>
    public async Task<DeploymentPreview> PreviewAsync(DeploymentRequest request, CancellationToken cancellationToken)
    {
        AppOptions options = configuration.App(request.App);
        (ReleaseRef? current, string? generation) = Standing(request.App);
        ReleaseRef to = await ResolveAsync(options, request, cancellationToken);
        OperatorException? refusal = null;
        try
        {
            AppState state = log.State.App(request.App);
            if (state.Running is not null) throw Busy(request.App);
            RefuseUnexpected(request, current);
            if (!request.Force) RefuseUnwanted(options, state, to, request.Trigger);
        }
        catch (OperatorException e)
        {
            refusal = e;
        }
        return new DeploymentPreview(current, generation is null ? null : steps.Definition(request.App, generation), to, refusal);
    }

    /// <summary>Keeps deployments of an app from starting, for what must not meet one: until it is disposed of.</summary>
    /// <exception cref="OperatorException">One is under way (<see cref="ExitCode.Refused"/>).</exception>
    public IDisposable TakeTurn(AppName app, string by)
    {
        IDisposable turn = queue.TryTake(app, by) ?? throw Busy(app);
        if (log.State.App(app).Running is null) return turn;
        turn.Dispose();
        throw Busy(app);
    }

    /// <summary>Goes back from a deployment under way, as if the step under way had failed; returns when that has begun.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: it has an outcome, goes back already, or is behind its commit point.</exception>
    public async Task<Deployment> CancelAsync(string deployment, string by, CancellationToken cancellationToken)
    {
        Deployment found = Find(deployment);
        OperatorException Late(string what) => new(ExitCode.Refused, $"{deployment} {what}", $"look at it: agentctl watch {deployment}");
        switch (DeploymentState.Of(found))
        {
            case DeploymentState.Finished: throw Late("has ended");
            case DeploymentState.Backward or DeploymentState.Concluding { Outcome: not Outcome.Live }: throw Late("goes back already");
            case DeploymentState.Sweeping or DeploymentState.Concluding: throw Late($"is behind its commit point: {found.To.Version} is live");
        }
        if (!cancellations.TryGetValue(deployment, out Cancellation? cancellation)) throw Late("is about to end");
        cancellation.Request(by);
        await foreach (DeploymentEvent happened in log.WatchAsync(deployment, cancellationToken))
        {
            switch ((happened as DeploymentEvent.Recorded)?.Record)
            {
                case JournalRecord.Committed: throw Late($"was quicker: {found.To.Version} is live");
                case JournalRecord.StepFailed or JournalRecord.UndoStarted or JournalRecord.DeploymentFinished: return Find(deployment);
            }
        }
        return Find(deployment);
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

    /// <summary>Keeps for ever that a release came without signatures. To be called before it can be deployed.</summary>
    public void KeepUnsigned(PushedRelease release) =>
        log.Record(new JournalRecord.UnsignedPushed(time.GetUtcNow(), release.Id.App.Value, release.Id.Version.Text, release.Id.Digest.Hex, release.By));

    /// <summary>Whether a release that waits or was kept here came without signatures.</summary>
    public bool IsUnsigned(AppName app, Digest digest) =>
        source.FindPushed(app, digest) is { } pushed ? pushed.Unsigned : State(app).Proved.Find(p => p.Release.Digest == digest.Hex)?.Unsigned == true;

    /// <summary>What differs between two generations on this host.</summary>
    /// <param name="a">A version or a deployment's id; null: the generation before the one that runs.</param>
    /// <param name="b">Null: the one that runs.</param>
    /// <exception cref="OperatorException">It is not on this host (any more), or nothing ran (<see cref="ExitCode.Refused"/>).</exception>
    public GenerationDifference Diff(AppName app, string? a, string? b)
    {
        AppState state = State(configuration.App(app).Name);
        string Nothing(int place) => state.Proved.ElementAtOrDefault(place)?.Generation ?? throw new OperatorException(
            ExitCode.Refused, $"{(place == 0 ? "nothing" : "only one release")} of {app} has run on this host", $"see what has: agentctl history --app {app}");
        string Of(string wanted) =>
            state.Deployments.FindLast(d => d.Id == wanted)?.Id
            ?? state.Proved.Find(p => p.Release.Version == wanted || p.Generation == wanted)?.Generation
            ?? state.Deployments.FindLast(d => d.To.Version == wanted)?.Id
            ?? throw new OperatorException(ExitCode.Usage, $"there is no version or deployment '{wanted}' of {app} on this host", $"see what is: agentctl releases --app {app}");
        return comparison.Compare(app, a is null ? Nothing(1) : Of(a), b is null ? Nothing(0) : Of(b));
    }

    /// <summary>What was seen when a deployment failed; null: nothing, or it is gone.</summary>
    public Evidence? EvidenceOf(Deployment deployment) => evidence.Read(deployment.App, deployment.Id);

    /// <summary>A sentence on a deployment that did not end live: what failed first, and whose fault it looks like.</summary>
    public string Verdict(Deployment deployment) => Deployments.Verdict.Of(deployment, EvidenceOf(deployment));

    /// <summary>agent.yaml of the release that runs; null: none.</summary>
    public string? RunningYaml(AppName app) => State(app).Current is { } current ? installed.ReadText(app, current.Version, "agent.yaml") : null;

    /// <summary>What the running release is defined as; null before the first deployment.</summary>
    public AppDefinition? Running(AppName app) => log.State.App(app).Generation is { } id ? steps.Definition(app, id) : null;

    public ImmutableArray<InstalledRelease> Releases(AppName app)
    {
        AppState state = log.State.App(app);
        AppOptions options = configuration.App(app);
        ImmutableDictionary<string, string> kept = Retention.Reasons(state, options.Keep);
        IReadOnlyList<ReleaseRef> spare = options.KeepFree > 0 ? Retention.Spare(state, options.Keep) : [];
        return
        [
            .. installed.List(app)
                .Select(release => new InstalledRelease(
                    release, installed.Current(app) == release.Version,
                    spare.Contains(release) ? $"{kept[release.Digest]}, unless less than {options.KeepFree / 1_000_000} MB are free" : kept.GetValueOrDefault(release.Digest),
                    installed.Manifest(app, release.Version).TotalSize,
                    state.Proved.Find(p => p.Release.Digest == release.Digest)?.At, state.Quarantined.ContainsKey(release.Digest))
                {
                    GoesBecause = Retention.Goes(state, options.Keep, release),
                })
                .OrderByDescending(release => new ReleaseVersion(release.Release.Version)),
        ];
    }

    /// <summary>
    /// Finishes or undoes what an earlier run of the agent left. To be awaited before READY: on return every effect is undone
    /// or the sweep is done; whether the old release answers again is watched afterwards, and what takes the database, which may
    /// start later than the agent or be held by another host.
    /// </summary>
    public async Task RecoverAsync(CancellationToken cancellationToken)
    {
        log.CompactWhereDue();   // a cut may have come before it, or less history is wanted now
        foreach (AppState state in log.State.Apps.Values)
        {
            if (state.Running is { } deployment)
            {
                logger.Recovering(state.Name, deployment.Id);
                log.RecordIfPossible(new JournalRecord.Interrupted(time.GetUtcNow(), deployment.Id));
                await runner.StopHooksAsync(deployment, cancellationToken);
                using var nobody = new Cancellation();
                await runner.RunAsync(deployment.Id, MayComeLater, nobody, cancellationToken);
            }
            Tidy(() => steps.RemoveLeftovers(log.State.App(state.Name)));
            Tidy(() => RemoveOldEvidence(state.Name));
            if (log.State.App(state.Name).Running is { } verdictLeft) Go(verdictLeft.Id);
        }
    }

    /// <summary>Waits until nothing is under way any more, or the agent stops.</summary>
    public Task IdleAsync() => Task.WhenAll(running.Values);

    private static bool MayComeLater(DeploymentState state) =>
        state is DeploymentState.Backward { Undo: [Step.Gate] or [Step.Migrate, ..] } or DeploymentState.Sweeping { Step: Step.Contract };

    private void Go(string id)
    {
        var cancellation = new Cancellation();
        cancellations[id] = cancellation;
        running[id] = Task.Run(async () =>
        {
            try
            {
                await runner.RunAsync(id, _ => false, cancellation, stopping);
                Tidy(() => RemoveOldEvidence(Find(id).App));
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
                cancellations.TryRemove(id, out _);
                running.TryRemove(id, out _);
            }
        });
    }

    private void Tidy(Action remove)
    {
        try
        {
            remove();
        }
        catch (IOException e)
        {
            logger.NotTidied(e);   // a full or read-only disk: the next start or sweep takes it
        }
    }

    private void RemoveOldEvidence(AppName app) => evidence.RemoveAllBut(app, log.State.App(app).Deployments.Select(d => d.Id).ToHashSet());
}

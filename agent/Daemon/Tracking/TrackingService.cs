using System.Collections.Concurrent;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Tracking;

/// <summary>What one look at the store came to for one app.</summary>
/// <param name="Latest">What the track points at; null: nothing, or it is not known.</param>
/// <param name="Deployment">Id of the deployment that this started; null: none.</param>
/// <param name="Message">For people: <c>v1.2.0 is current</c>.</param>
/// <param name="Error">Why it could not be looked or deployed; else null.</param>
internal sealed record PollResult(AppName App, ReleaseVersion? Latest, string? Deployment, string Message, OperatorException? Error);

/// <summary>How it stands with the store.</summary>
/// <param name="Description">Where it is; <c>none</c> where no store is configured.</param>
/// <param name="LastSuccess">When it was last read and believed; null: not since the agent started.</param>
/// <param name="Error">Of the last look; null: it went well.</param>
/// <param name="Stale">Its signed metadata has expired: no network deployments.</param>
/// <param name="Warnings">Roles past half of their life.</param>
internal sealed record StoreHealth(string Description, DateTimeOffset? LastSuccess, string? Error, bool Stale, IReadOnlyList<string> Warnings);

/// <summary>What the trust client knows of the age of the signed metadata; see <see cref="StoreHealth"/>.</summary>
internal sealed record StoreFreshness(bool Stale, IReadOnlyList<string> Warnings);

/// <summary>
/// Follows the store: at every poll it asks what each app's track points at, and starts a deployment where <see cref="Decision"/> says so.
/// Polls are made one after the other. A failure is told in <see cref="Health"/> and the log, and the next poll comes later.
/// To be started after recovery, since it deploys from its first poll on.
/// </summary>
/// <param name="start">Starts a deployment (<see cref="DeploymentEngine.StartAsync"/>).</param>
/// <param name="state">State of an app (<see cref="DeploymentEngine.State"/>).</param>
/// <param name="freshness">Asked whenever health is; must not block.</param>
internal sealed class TrackingService(
    IConfiguration configuration, IArtifactSource source, Func<DeploymentRequest, CancellationToken, Task<Deployment>> start, Func<AppName, AppState> state,
    Func<StoreFreshness> freshness, TimeProvider time, Random random, ILogger<TrackingService> logger) : BackgroundService
{
    private readonly SemaphoreSlim onePoll = new(1, 1);
    private readonly ConcurrentDictionary<AppName, Seen> seen = new();
    private readonly ConcurrentDictionary<AppName, Attempt> attempts = new();
    private readonly ConcurrentDictionary<AppName, string> reasons = new();
    private long lastSuccessTicks;   // UTC; 0: never
    private int failures;

    /// <summary>Looks at the store now, also where a failed release is paused, and deploys what the track says. Waits for a poll under way.</summary>
    /// <param name="app">Null: all that follow something.</param>
    /// <returns>A result for each app; what fails for one of them is in its result.</returns>
    /// <exception cref="OperatorException">No such app (<see cref="ExitCode.Usage"/>).</exception>
    public async Task<IReadOnlyList<PollResult>> PollAsync(AppName? app, CancellationToken cancellationToken)
    {
        IReadOnlyList<AppOptions> apps = app is null ? Followed() : [configuration.App(app)];
        return await PollAsync(apps, byHand: true, cancellationToken).ConfigureAwait(false);
    }

    public StoreHealth Health()
    {
        StoreFreshness fresh = freshness();
        long ticks = Interlocked.Read(ref lastSuccessTicks);
        string? error = Followed().Select(app => seen.GetValueOrDefault(app.Name)?.Error).FirstOrDefault(text => text is not null);
        return new StoreHealth(
            configuration.Agent.Store ?? "none", ticks == 0 ? null : new DateTimeOffset(ticks, TimeSpan.Zero), error, fresh.Stale, fresh.Warnings);
    }

    /// <summary>What the app's track pointed at when it was last seen; null: never, or nothing.</summary>
    public ReleaseVersion? Latest(AppName app) => seen.GetValueOrDefault(app)?.Latest;

    /// <summary>Why the last look led to no deployment: <c>v1.2.0 is current</c>; null: it led to one, or there was none yet.</summary>
    public string? Reason(AppName app) => reasons.GetValueOrDefault(app);

    public override void Dispose()
    {
        onePoll.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (configuration.Agent.Store is not null) await PollAsync(Followed(), byHand: false, stoppingToken).ConfigureAwait(false);
                await Task.Delay(PollTiming.Next(configuration.Agent.Poll, failures, random.NextDouble()), time, stoppingToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private List<AppOptions> Followed() => [.. configuration.Apps.Where(app => app.Track is not null)];

    private async Task<IReadOnlyList<PollResult>> PollAsync(IReadOnlyList<AppOptions> apps, bool byHand, CancellationToken cancellationToken)
    {
        await onePoll.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var results = new List<PollResult>();
            bool asked = false, reached = false;
            foreach (AppOptions app in apps)
            {
                if (app.Track is not { } track)
                {
                    results.Add(new PollResult(app.Name, null, null, $"{app.Name} follows nothing: apps.d/{app.Name}.yaml has neither channel nor versions", null));
                    continue;
                }
                (PollResult result, bool answered) = await LookAsync(app.Name, track, app.MaxVersion, byHand, cancellationToken).ConfigureAwait(false);
                asked = true;
                reached |= answered;
                results.Add(result);
            }
            // The store counts as failing only where no app gets an answer: one with bad metadata does not slow down the others.
            if (asked) failures = reached ? 0 : failures + 1;
            return results;
        }
        catch (Exception e) when (!byHand && e is not OperationCanceledException)
        {
            logger.PollBroke(e);
            failures++;
            return [];
        }
        finally
        {
            onePoll.Release();
        }
    }

    private async Task<(PollResult Result, bool Answered)> LookAsync(AppName app, Track track, ReleaseVersion? maxVersion, bool byHand, CancellationToken cancellationToken)
    {
        Seen? before = seen.GetValueOrDefault(app);
        Track wanted = Wanted(state(app), track, maxVersion);
        ReleaseId? latest;
        try
        {
            if (configuration.Agent.Store is null) throw new OperatorException(ExitCode.Usage, "no store is configured", "write 'store: URL' into agentd.yaml");
            latest = await source.ResolveAsync(app, wanted, cancellationToken).ConfigureAwait(false);
        }
        catch (OperatorException e)
        {
            // Once for each cause: a store that is away for a night is no reason to fill the log.
            if (before?.Error != e.Message) logger.PollFailed(app, e.Message, e.Remedy);
            seen[app] = new Seen(before?.Latest, e.Message);
            return (new PollResult(app, null, null, $"{app}: {e.Message}", e), false);
        }
        if (before?.Error is not null) logger.PollWorksAgain(app);
        seen[app] = new Seen(latest?.Version, null);
        Interlocked.Exchange(ref lastSuccessTicks, time.GetUtcNow().UtcTicks);

        AppState now = state(app);
        switch (Decision.Decide(now, latest, wanted, maxVersion, byHand ? TimeSpan.Zero : PauseLeft(app, now, latest)))
        {
            case Decision.Deploy deploy:
                reasons.TryRemove(app, out _);
                return (await StartAsync(deploy.Release, cancellationToken).ConfigureAwait(false), true);
            case Decision.Nothing nothing:
                logger.NothingToDo(app, nothing.Reason);
                reasons[app] = nothing.Reason;
                return (new PollResult(app, latest?.Version, null, nothing.Reason, null), true);
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    private async Task<PollResult> StartAsync(ReleaseId release, CancellationToken cancellationToken)
    {
        // Counted before the outcome is known: a release that ends live or quarantined is never asked for again, so only the others pause.
        int count = attempts.TryGetValue(release.App, out Attempt? last) && last.Digest == release.Digest ? last.Count + 1 : 1;
        attempts[release.App] = new Attempt(release.Digest, count, time.GetTimestamp());
        logger.Found(release.App, release.Version);
        try
        {
            // By its version and not by the track, so that what was decided on is what is deployed, whatever the track says a moment later.
            var request = new DeploymentRequest(release.App, new Track.Exactly(release.Version), Trigger.Track, "tracking", Force: false);
            Deployment deployment = await start(request, cancellationToken).ConfigureAwait(false);
            return new PollResult(release.App, release.Version, deployment.Id, $"deploying {release.Version}", null);
        }
        catch (OperatorException e)
        {
            logger.StartFailed(release.App, release.Version, e.Message, e.Remedy);
            return new PollResult(release.App, release.Version, null, $"{release.Version} was not deployed: {e.Message}", e);
        }
    }

    /// <summary>Time for which this release is still left alone after attempts that failed; the pause counts from when the last was seen running.</summary>
    private TimeSpan PauseLeft(AppName app, AppState now, ReleaseId? latest)
    {
        if (!attempts.TryGetValue(app, out Attempt? last))
        {
            // The agent was started again since. Its wall clock may have been set meanwhile, so the pause begins anew.
            if (latest is null || FailuresInARow(now, latest.Digest.Hex) is not (> 0 and var failed)) return TimeSpan.Zero;
            attempts[app] = last = new Attempt(latest.Digest, failed, time.GetTimestamp());
        }
        if (latest is null || latest.Digest != last.Digest || now.Current?.Digest == last.Digest.Hex)
        {
            attempts.TryRemove(app, out _);
            return TimeSpan.Zero;
        }
        if (now.Running is not null) attempts[app] = last = last with { Since = time.GetTimestamp() };
        return PollTiming.Pause(configuration.Agent.Poll, last.Count) - time.GetElapsedTime(last.Since);
    }

    /// <summary>A pin is one version; below a ceiling the best of a range is another one.</summary>
    private static Track Wanted(AppState state, Track track, ReleaseVersion? maxVersion) => (state.Pin, track, maxVersion) switch
    {
        ({ } pin, _, _) => new Track.Exactly(new ReleaseVersion(pin.Version)),
        (_, Track.Range range, { } most) => new Track.Range(new VersionRange($"{range.Versions} <={most}")),
        _ => track,
    };

    /// <summary>How often tracking has tried this release since anything else was deployed, without an end that settles it.</summary>
    private static int FailuresInARow(AppState state, string digest) => state.Deployments
        .Reverse()
        .TakeWhile(d => d.Trigger == Trigger.Track && d.To.Digest == digest && d.Outcome is Outcome.Refused or Outcome.RolledBack)
        .Count();

    /// <param name="Error">Of the last look; null: it went well.</param>
    private sealed record Seen(ReleaseVersion? Latest, string? Error);

    private sealed record Attempt(Digest Digest, int Count, long Since);
}

using System.Collections.Concurrent;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;

namespace Agent.Daemon.Health;

/// <summary>A unit or check as it was watched since the last deployment.</summary>
/// <param name="Failures">In a row; 0: it passed.</param>
/// <param name="FailingSince">When the first of them was seen; null: it passed.</param>
internal sealed record WatchedCheck(CheckAnswer Last, int Failures, DateTimeOffset? FailingSince);

/// <summary>An app as it was watched since the last deployment.</summary>
/// <param name="Healthy">Whether no check fails by its threshold, and every unit is active. Null: nothing runs, or it was not looked at yet.</param>
/// <param name="Since">Since when it is unhealthy; null: it is not.</param>
/// <param name="Checks">Units first, then checks in the order of their definition. Empty: not looked at yet.</param>
internal sealed record WatchedHealth(bool? Healthy, DateTimeOffset? Since, IReadOnlyList<WatchedCheck> Checks)
{
    public static readonly WatchedHealth Unknown = new(null, null, []);
}

/// <summary>
/// Looks at every app between its deployments, a round every <see cref="AppDefinition.Watch"/>, and tells when one becomes unhealthy and healthy again.
/// It only watches: nothing is restarted or rolled back for it. While an app is deployed the gate watches, and with each deployment
/// the watch begins anew. Apps never wait for each other. To be started after recovery.
/// </summary>
/// <param name="apps">Every app that is configured now.</param>
/// <param name="state">State of an app (<see cref="DeploymentEngine.State"/>).</param>
/// <param name="running">What runs of it (<see cref="DeploymentEngine.Running"/>); asked once for each deployment.</param>
internal sealed class HealthWatch(
    Func<IEnumerable<AppName>> apps, Func<AppName, AppState> state, Func<AppName, AppDefinition?> running, Round round, TimeProvider time,
    ILogger<HealthWatch> logger) : BackgroundService
{
    public static readonly TimeSpan DefaultInterval = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Finest = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<AppName, Watched> watched = new();

    /// <summary>What was seen of an app since its last deployment; <see cref="WatchedHealth.Unknown"/> while one is under way.</summary>
    public WatchedHealth Of(AppName app) =>
        watched.GetValueOrDefault(app)?.Release is { } seen && Quiet(app) == seen.Deployments ? seen.Health : WatchedHealth.Unknown;

    /// <summary>Waits for the rounds under way.</summary>
    public Task IdleAsync() => Task.WhenAll(watched.Values.Select(app => app.Round));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                TimeSpan pause = Begin(stoppingToken);
                await Task.Delay(pause > Finest ? pause : Finest, time, stoppingToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await IdleAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Begins the rounds that are due.</summary>
    /// <returns>Time until the next one is.</returns>
    private TimeSpan Begin(CancellationToken cancellationToken)
    {
        HashSet<AppName> configured = [.. apps()];
        foreach (AppName gone in watched.Keys.Where(app => !configured.Contains(app))) watched.TryRemove(gone, out _);
        long now = time.GetTimestamp();
        TimeSpan pause = DefaultInterval;
        foreach (AppName app in configured)
        {
            Watched seen = watched.GetOrAdd(app, static _ => new Watched());
            TimeSpan left = seen.Began is { } began ? seen.Interval - time.GetElapsedTime(began, now) : TimeSpan.Zero;
            if (left < Finest / 2)   // rounds that are due at nearly the same time share a wake-up
            {
                seen.Began = now;
                if (seen.Round.IsCompleted) seen.Round = LookAsync(app, seen, cancellationToken);   // else this one is left out
                left = seen.Interval;
            }
            if (left < pause) pause = left;
        }
        return pause;
    }

    /// <summary>Never throws.</summary>
    private async Task LookAsync(AppName app, Watched seen, CancellationToken cancellationToken)
    {
        try
        {
            if (Quiet(app) is not { } deployments) return;
            WatchedRelease release = seen.Release is { } same && same.Deployments == deployments ? same : new WatchedRelease(deployments, running(app), WatchedHealth.Unknown);
            seen.Release = release;
            if (release.Definition is not { } definition) return;
            IReadOnlyList<RoundAnswer> answers = await round.RunAsync(definition, cancellationToken).ConfigureAwait(false);
            if (Quiet(app) != deployments) return;   // what a deployment did meanwhile says nothing about health
            WatchedHealth before = release.Health, after = Add(before, answers, time.GetUtcNow());
            seen.Release = release with { Health = after };
            seen.Broke = false;
            if (after.Healthy == false && before.Healthy != false)
            {
                seen.UnhealthyAt = time.GetTimestamp();
                logger.Unhealthy(app, Cause(after, answers));
            }
            else if (after.Healthy == true && before.Healthy == false)
                logger.HealthyAgain(app, Spoken.Duration(time.GetElapsedTime(seen.UnhealthyAt)));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The agent stops.
        }
        catch (Exception e)
        {
            if (!seen.Broke) logger.RoundBroke(app, e);   // the next one is made as planned
            seen.Broke = true;
        }
    }

    /// <summary>How many deployments there were: the mark of what runs. Null: one is under way, or nothing runs.</summary>
    private int? Quiet(AppName app) => state(app) is { Running: null, Generation: not null } quiet ? quiet.Count : null;

    private static WatchedHealth Add(WatchedHealth before, IReadOnlyList<RoundAnswer> answers, DateTimeOffset now)
    {
        var checks = new WatchedCheck[answers.Count];
        for (int i = 0; i < checks.Length; i++)
        {
            WatchedCheck? last = before.Checks.Count > i ? before.Checks[i] : null;
            checks[i] = answers[i] switch
            {
                { Answer: { Passed: true } passed } => new WatchedCheck(passed, 0, null),
                { Known: false } unknown => last ?? new WatchedCheck(unknown.Answer, 0, null),
                { Answer: var failed } => new WatchedCheck(failed, (last?.Failures ?? 0) + 1, last?.FailingSince ?? now),
            };
        }
        bool healthy = !checks.Where((check, i) => check.Failures >= answers[i].Unhealthy).Any();
        return new WatchedHealth(healthy, healthy ? null : before.Since ?? now, checks);
    }

    private static string Cause(WatchedHealth health, IReadOnlyList<RoundAnswer> answers) =>
        string.Join("; ", health.Checks.Where((check, i) => check.Failures >= answers[i].Unhealthy).Select(check => $"{check.Last.Check}: {check.Last.Detail}"));

    /// <param name="Deployments">How many there were when it was first looked at.</param>
    /// <param name="Definition">Null: nothing is to be watched.</param>
    private sealed record WatchedRelease(int Deployments, AppDefinition? Definition, WatchedHealth Health);

    /// <summary>One app. The loop writes the first two, between rounds; the round writes the others.</summary>
    private sealed class Watched
    {
        private volatile WatchedRelease? release;

        public Task Round { get; set; } = Task.CompletedTask;

        public long? Began { get; set; }

        /// <summary>Null: before the first look. Read by anybody.</summary>
        public WatchedRelease? Release
        {
            get => release;
            set => release = value;
        }

        public TimeSpan Interval => release?.Definition?.Watch ?? DefaultInterval;

        public long UnhealthyAt { get; set; }

        /// <summary>The last round ended in an error, which was told.</summary>
        public bool Broke { get; set; }
    }
}

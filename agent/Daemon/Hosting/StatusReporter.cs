using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Hosting;

/// <summary>Keeps the line of <c>systemctl status agentd</c> true.</summary>
internal sealed class StatusReporter(Notify notify, DeploymentEngine engine, IConfiguration configuration, TimeProvider time) : BackgroundService
{
    // People look at it; programs ask the API.
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>The line as of now.</summary>
    public string Line() => Describe(configuration.Apps.Select(app => (engine.State(app.Name), app.Track)));

    /// <summary>What each app is doing: <c>shop v1.2.0 live; following channel stable</c>.</summary>
    public static string Describe(IEnumerable<(AppState State, Track? Track)> apps)
    {
        string line = string.Join(", ", apps.Select(app => $"{Describe(app.State)}{Following(app.State, app.Track)}"));
        return line.Length == 0 ? "no apps in apps.d" : line;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!notify.IsEnabled) return;
        using var timer = new PeriodicTimer(Interval, time);
        int ended = Ended();
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            notify.Status(Line());
            if (ended == Ended()) continue;
            ended = Ended();
            // A deployment is the one time when much is held; the hours after it need little (docs/reference/figures.md).
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
    }

    private int Ended() => configuration.Apps.Sum(app => engine.State(app.Name).Deployments.Count(deployment => deployment.Outcome is not null));

    private static string Describe(AppState state)
    {
        if (state.Running is { } d) return $"{state.Name} {d.From?.Version ?? "nothing"} -> {d.To.Version} at {d.Step?.Word() ?? "start"}";
        if (state.Attention is { } attention) return $"{state.Name} needs operator (deployment {attention.Deployment})";
        return state.Current is { } current ? $"{state.Name} {current.Version} live" : $"{state.Name} not deployed";
    }

    private static string Following(AppState state, Track? track) => (state.HeldAt, track) switch
    {
        (_, null) => "",
        ({ } held, _) => $"; held at {held}",
        _ => $"; following {track}",
    };
}

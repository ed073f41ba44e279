namespace Agent.Daemon.Hosting;

/// <summary>
/// Tells systemd at half of its watchdog time that the agent is alive. The timer fires on the thread pool, where all of
/// the agent's work is done too: when that is stuck, systemd hears nothing and starts the agent anew.
/// </summary>
internal sealed class WatchdogService(Notify notify, TimeProvider time) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (notify.Watchdog is not { } silence) return;
        using var timer = new PeriodicTimer(silence / 2, time);
        do notify.Alive();
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}

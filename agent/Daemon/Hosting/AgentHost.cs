using System.Runtime.InteropServices;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Hosting;

/// <summary>The daemon's life: one instance, recovery, ready, and a quick stop.</summary>
internal static class AgentHost
{
    /// <summary>Of the 5 s in which the agent has to be gone; the rest is the runtime's.</summary>
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(4);

    // While recovering: systemd waits this long from each sign of life.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30), Sign = TimeSpan.FromSeconds(10);

    /// <summary>Logging, the notification socket, watchdog and status line. Wants TimeProvider, the engine and the configuration among the services.</summary>
    public static WebApplicationBuilder AddAgentHosting(this WebApplicationBuilder builder)
    {
        builder.Logging.AddAgentLogging();
        builder.Services.Configure<HostOptions>(static options =>
        {
            options.ShutdownTimeout = StopTime;
            options.ServicesStopConcurrently = true;
        });
        builder.Services.AddSingleton(static _ => Notify.FromEnvironment())
            .AddSingleton<StatusReporter>()
            .AddHostedService(static provider => provider.GetRequiredService<StatusReporter>())
            .AddHostedService<WatchdogService>();
        return builder;
    }

    /// <summary>Runs the agent until SIGTERM or SIGINT.</summary>
    /// <returns>The exit status: 0 after a stop that was asked for; the code of an <see cref="OperatorException"/>, which was told on standard error.</returns>
    public static Task<int> RunAgentAsync(this WebApplication app)
    {
        IServiceProvider services = app.Services;
        return app.RunAgentAsync(
            () => InstanceLock.Take(services.GetRequiredService<IDisk>(), services.GetRequiredService<IConfiguration>().Agent.Data),
            // Made only when the lock is held: opening the journal cuts a torn tail.
            async token =>
            {
                await services.GetRequiredService<DeploymentEngine>().RecoverAsync(token);
                services.GetRequiredService<PushedReleases>().SweepAll();
            },
            () => services.GetRequiredService<StatusReporter>().Line());
    }

    /// <summary>As the other one, with the parts of the agent that it needs handed in.</summary>
    /// <remarks>
    /// 1. Be the only one. 2. Recover, before anything can ask for a deployment. 3. Start the API and the services.
    /// 4. READY. 5. Wait for the signal. 6. Stop within 5 s; deployments under way are left as they are, for step 2 of the next start.
    /// </remarks>
    public static async Task<int> RunAgentAsync(
        this WebApplication app, Func<IDisposable> takeLock, Func<CancellationToken, Task> recover, Func<string> status)
    {
        Notify notify = app.Services.GetRequiredService<Notify>();
        TimeProvider time = app.Services.GetRequiredService<TimeProvider>();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Agent.Daemon.Hosting");
        long began = time.GetTimestamp();
        try
        {
            using IDisposable only = takeLock();                                                    // 1
            if (!await RecoverAsync(recover, notify, time, logger)) return (int)ExitCode.Live;      // 2
            await app.StartAsync();                                                                 // 3
            string line = status();
            notify.Ready(line);                                                                     // 4
            logger.Ready(AgentApi.Version, (long)time.GetElapsedTime(began).TotalMilliseconds, line);
            await StoppingAsync(app.Lifetime);                                                      // 5
            notify.Stopping();                                                                      // 6
            logger.Stopping();
            await StopAsync(app, time, logger);
            return (int)ExitCode.Live;
        }
        catch (OperatorException e)
        {
            logger.CannotRun(e.Message, e.Remedy);
            return Report(e);
        }
    }

    /// <summary>Tells the person who started the agent why it does not run.</summary>
    /// <returns>The exit status.</returns>
    public static int Report(OperatorException error)
    {
        Console.Error.WriteLine($"agentd: {error.Message}\nfix: {error.Remedy}");
        return (int)error.Code;
    }

    /// <returns>False: it was told to stop meanwhile.</returns>
    private static async Task<bool> RecoverAsync(Func<CancellationToken, Task> recover, Notify notify, TimeProvider time, ILogger logger)
    {
        using var stop = new CancellationTokenSource();
        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;      // not the runtime's default, which is to end at once
            stop.Cancel();
        }
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        notify.Extend(Grace, "recovering");
        using ITimer sign = time.CreateTimer(_ => notify.Extend(Grace, "recovering"), null, Sign, Sign);
        try
        {
            // A recovery that does not heed the token is left behind: it can be taken up at any place.
            await recover(stop.Token).WaitAsync(stop.Token);
            return true;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            notify.Stopping();
            logger.StoppedWhileRecovering();
            return false;
        }
    }

    private static async Task StoppingAsync(IHostApplicationLifetime lifetime)
    {
        var stopping = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration registration = lifetime.ApplicationStopping.Register(stopping.SetResult);
        await stopping.Task;
    }

    private static async Task StopAsync(WebApplication app, TimeProvider time, ILogger logger)
    {
        try
        {
            using var limit = new CancellationTokenSource(StopTime, time);
            await app.StopAsync(limit.Token).WaitAsync(StopTime, time);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            logger.StopTookTooLong(StopTime.TotalSeconds);
        }
    }
}

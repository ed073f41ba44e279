using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

internal static class SystemdServices
{
    /// <summary>systemd over D-Bus. Connects at the first call.</summary>
    public static IServiceCollection AddSystemd(this IServiceCollection services) => services
        .AddSingleton<Supervisor>(static provider => new Supervisor(
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<Supervisor>>()))
        .AddSingleton<ISupervisor>(static provider => provider.GetRequiredService<Supervisor>());
}

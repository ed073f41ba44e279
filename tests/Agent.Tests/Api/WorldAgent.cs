using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Health;
using Agent.Daemon.Tracking;
using Agent.Tests.Fakes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Api;

/// <summary>An agent in this process, as agentctl meets it on a socket; only the world below its engine is simulated.</summary>
internal sealed class WorldAgent : IAsyncDisposable
{
    private readonly string directory;
    private readonly WebApplication app;

    private WorldAgent(string directory, WebApplication app) => (this.directory, this.app) = (directory, app);

    public string Socket => Path.Combine(directory, "agentd.sock");

    /// <param name="world">Not disposed of with this.</param>
    public static async Task<WorldAgent> StartAsync(World world)
    {
        string directory = Directory.CreateTempSubdirectory("agentapi-").FullName;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IDisk, Disk>().AddSingleton(TimeProvider.System).AddSingleton<Agent.Daemon.Configuration.IConfiguration>(world.Configuration);
        builder.AddAgentApi(world.Configuration.Agent with { Socket = Path.Combine(directory, "agentd.sock"), Data = directory });
        builder.Services.AddSingleton(world.Engine);
        builder.Services.AddSingleton(services => new HealthWatch(
            () => [World.Shop], world.Engine.State, world.Engine.Running, new Round(world.System, new PassingProbe()), TimeProvider.System, services.GetRequiredService<ILogger<HealthWatch>>()));
        builder.Services.AddSingleton(services => new AgentService(
            world.Engine, world.Configuration, world.System, new PassingProbe(), services.GetRequiredService<HealthWatch>(),
            new TrackingService(world.Configuration, world.Source, world.Engine.StartAsync, world.Engine.State, () => new StoreFreshness(false, []),
                TimeProvider.System, new Random(1), services.GetRequiredService<ILogger<TrackingService>>()),
            services.GetRequiredService<ApiCalls>(), services.GetRequiredService<UnsignedPushes>(), services.GetRequiredService<AuditLog>(), TimeProvider.System));
        var agent = new WorldAgent(directory, builder.Build().MapAgentApi());
        await agent.app.StartAsync(TestContext.Current.CancellationToken);
        return agent;
    }

    public async ValueTask DisposeAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await app.StopAsync(soon.Token);
        await app.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    private sealed class PassingProbe : Daemon.Deployments.IHealthProbe
    {
        public Task<Daemon.Deployments.CheckAnswer> ProbeAsync(Daemon.Configuration.AppDefinition app, Daemon.Configuration.CheckOptions check, CancellationToken cancellationToken) =>
            Task.FromResult(new Daemon.Deployments.CheckAnswer(check.Name, true, "200"));
    }
}

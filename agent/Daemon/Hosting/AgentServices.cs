using System.Runtime.InteropServices;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Access;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Fetching;
using Agent.Daemon.Health;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Administration;
using Agent.Daemon.Migrations.Planning;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Daemon.Systemd;
using Agent.Daemon.Tracking;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Daemon.Hosting;

/// <summary>How the rooms are joined; a method a room.</summary>
internal static class AgentServices
{
    public static IServiceCollection AddConfiguration(this IServiceCollection services, ConfigurationFiles configuration, string directory) => services
        .AddSingleton(TimeProvider.System)
        .AddSingleton<IDisk, Disk>()
        .AddSingleton<IConfiguration>(configuration)
        .AddSingleton(configuration.Agent)
        .AddSingleton(new RootFile(Path.Combine(directory, "root.json")))
        .AddHostedService(provider => new ReloadService(configuration, provider.GetService<TlsDoor>(), provider.GetRequiredService<ILogger<ReloadService>>()));

    public static IServiceCollection AddState(this IServiceCollection services) => services.AddSingleton(provider =>
    {
        IDisk disk = provider.GetRequiredService<IDisk>();
        AgentOptions options = provider.GetRequiredService<AgentOptions>();
        string path = Path.Combine(options.Data, "journal");
        ILogger<DeploymentLog> logger = provider.GetRequiredService<ILogger<DeploymentLog>>();
        Journal journal = Journal.Open(disk, path, out IReadOnlyList<JournalRecord> records, out long cutBytes);
        if (cutBytes > 0) logger.JournalTailCut(path, cutBytes);
        return new DeploymentLog(journal, records, options.History, provider.GetRequiredService<TimeProvider>(), logger);
    });

    public static IServiceCollection AddArtifacts(this IServiceCollection services) => services
        .AddSingleton<NoStore>()
        .AddSingleton<IStoreReader>(provider => provider.GetRequiredService<AgentOptions>().Store is { } location
            ? Stores.Open(location, provider.GetRequiredService<IDisk>(), provider.GetRequiredService<TimeProvider>())
            : provider.GetRequiredService<NoStore>())
        .AddSingleton(provider =>
        {
            IDisk disk = provider.GetRequiredService<IDisk>();
            string directory = Path.Combine(provider.GetRequiredService<AgentOptions>().Data, "trust");
            var trust = new TrustClient(provider.GetRequiredService<IStoreReader>(), disk, directory, provider.GetRequiredService<TimeProvider>());
            string root = provider.GetRequiredService<RootFile>().Path;
            if (disk.Exists(root)) trust.Init(disk.ReadAll(root));
            return trust;
        })
        .AddSingleton(provider =>
        {
            InstalledReleases installed = provider.GetRequiredService<InstalledReleases>();
            DeploymentLog log = provider.GetRequiredService<DeploymentLog>();
            return new PushedReleases(
                provider.GetRequiredService<TrustClient>(), provider.GetRequiredService<IDisk>(), provider.GetRequiredService<AgentOptions>().Data,
                (app, digest) => log.State.App(app).Proved.Exists(p => p.Release.Digest == digest.Hex && installed.Holds(app, p.Release)),
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<PushedReleases>>());
        })
        .AddSingleton<IArtifactSource>(provider =>
        {
            AgentOptions options = provider.GetRequiredService<AgentOptions>();
            IArtifactSource store = options.Store is null ? provider.GetRequiredService<NoStore>() : new ArtifactSource(
                provider.GetRequiredService<IStoreReader>(), provider.GetRequiredService<TrustClient>(), provider.GetRequiredService<IDisk>(), options.Data,
                provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ArtifactSource>>());
            return new PushedFirst(provider.GetRequiredService<PushedReleases>(), store);
        });

    public static IServiceCollection AddHealth(this IServiceCollection services) => services
        .AddSingleton<IHealthProbe>(provider => new HealthProbe(
            provider.GetRequiredService<ISupervisor>(), provider.GetRequiredService<AgentOptions>().Releases, provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<Gate>()
        .AddSingleton<Round>()
        .AddSingleton(provider =>
        {
            IConfiguration configuration = provider.GetRequiredService<IConfiguration>();
            DeploymentEngine engine = provider.GetRequiredService<DeploymentEngine>();
            return new HealthWatch(
                () => configuration.Apps.Select(app => app.Name), engine.State, engine.Running,
                provider.GetRequiredService<Round>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<HealthWatch>>());
        })
        .AddHostedService(provider => provider.GetRequiredService<HealthWatch>());

    public static IServiceCollection AddDeployments(this IServiceCollection services) => services
        .AddSingleton(provider => new InstalledReleases(provider.GetRequiredService<IDisk>(), provider.GetRequiredService<AgentOptions>().Releases))
        .AddSingleton(provider =>
        {
            AgentOptions options = provider.GetRequiredService<AgentOptions>();
            return new Generations(provider.GetRequiredService<IDisk>(), options.Data, options.Units, provider.GetRequiredService<InstalledReleases>());
        })
        .AddSingleton(provider => new SharedTree(provider.GetRequiredService<IDisk>(), provider.GetRequiredService<InstalledReleases>()))
        .AddSingleton(provider => new EvidenceFiles(provider.GetRequiredService<IDisk>(), provider.GetRequiredService<AgentOptions>().Data))
        .AddSingleton<GenerationComparison>()
        .AddSingleton<EvidenceCollector>()
        .AddSingleton<HookRunner>()
        .AddSingleton<DeploymentSteps>()
        .AddSingleton<DeploymentRunner>()
        .AddSingleton(provider => ActivatorUtilities.CreateInstance<DeploymentEngine>(provider, provider.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping));

    public static IServiceCollection AddMigrations(this IServiceCollection services) => services
        .AddSingleton(provider => new AdminSession(
            provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<ISupervisor>(), provider.GetRequiredService<IDisk>(),
            Path.GetDirectoryName(provider.GetRequiredService<AgentOptions>().Socket)!))
        .AddSingleton(provider => new DatabaseCreation(
            provider.GetRequiredService<AdminSession>(), provider.GetRequiredService<IDisk>(), provider.GetRequiredService<AgentOptions>().Data))
        .AddSingleton<RestorePointService.Admin>(provider => (app, options) => (database, statements, cancellationToken) =>
            provider.GetRequiredService<AdminSession>().ExecuteAsync(provider.GetRequiredService<IConfiguration>().App(app), options, database, statements, cancellationToken))
        .AddSingleton<ReleaseOnHost>()
        .AddSingleton<MigrationPlans>()
        .AddSingleton<ReleasePlans>()
        .AddSingleton<Rehearsals>()
        .AddSingleton<RestorePointService>()
        .AddSingleton(_ => new MigrationPlanner(SqlParser.Load()))
        .AddSingleton<IRestorePoints, DeploymentRestorePoints>()
        .AddSingleton(provider => new MigrationTools(
            provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<ISupervisor>(), provider.GetRequiredService<IDisk>(), provider.GetRequiredService<IRestorePoints>(),
            provider.GetRequiredService<MigrationPlanner>().OnlyAdds, Environment.MachineName, provider.GetRequiredService<TimeProvider>(), Random.Shared, provider.GetRequiredService<ILogger<Migrator>>()))
        .AddSingleton<MigrationList>()
        .AddSingleton<IMigrator, Migrator>();

    public static IServiceCollection AddTracking(this IServiceCollection services) => services
        .AddSingleton(provider =>
        {
            DeploymentEngine engine = provider.GetRequiredService<DeploymentEngine>();
            TrustClient trust = provider.GetRequiredService<TrustClient>();
            bool hasStore = provider.GetRequiredService<AgentOptions>().Store is not null;
            return new TrackingService(
                provider.GetRequiredService<IConfiguration>(), provider.GetRequiredService<IArtifactSource>(), engine.StartAsync, engine.State,
                () => hasStore ? new StoreFreshness(trust.IsStale, trust.Warnings()) : new StoreFreshness(false, []),
                provider.GetRequiredService<TimeProvider>(), Random.Shared, provider.GetRequiredService<ILogger<TrackingService>>());
        })
        .AddHostedService(provider => provider.GetRequiredService<TrackingService>());

    /// <summary>The root of trust that the operator gave this host.</summary>
    private sealed record RootFile(string Path);

    /// <summary>SIGHUP reads the files again; what is wrong in them is told, and the old ones stay in force.</summary>
    /// <param name="door">Null: the agent does not listen on the network.</param>
    private sealed class ReloadService(ConfigurationFiles configuration, TlsDoor? door, ILogger<ReloadService> logger) : IHostedService, IDisposable
    {
        private PosixSignalRegistration? registration;

        public Task StartAsync(CancellationToken cancellationToken)
        {
            registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
            {
                context.Cancel = true;
                Reload();
            });
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Dispose() => registration?.Dispose();

        private void Reload()
        {
            try
            {
                string before = Lasting();
                configuration.Reload();
                logger.Reloaded();
                if (Lasting() != before) logger.RestartNeeded();
            }
            catch (OperatorException e)
            {
                logger.NotReloaded(e.Message, e.Remedy);
                return;
            }
            try
            {
                if (configuration.Agent.Listener is { } listener) door?.Renew(listener);
            }
            catch (OperatorException e)
            {
                logger.CertificatesNotRead(e.Message, e.Remedy);
            }
        }

        /// <summary>What agentd.yaml says that holds until the agent is restarted: all but who is let in by certificates.</summary>
        private string Lasting()
        {
            AgentOptions agent = configuration.Agent;
            ListenerOptions? listener = agent.Listener is { } listen ? new ListenerOptions(listen.Address) { Certificate = listen.Certificate is null ? null : "", Key = listen.Key is null ? null : "" } : null;
            return EffectiveText.Of(agent with { Listener = listener }, new HashSet<string>());
        }
    }
}

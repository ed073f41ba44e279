using System.Collections.Concurrent;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using AgentService = Agent.Daemon.Api.AgentService;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;

namespace Agent.Tests.Api;

/// <summary>The API in this process, with nothing behind it but a configuration of one app; on a Unix socket, and over TLS where a test wants it.</summary>
internal sealed class ApiHost : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly SocketsHttpHandler handler;

    private ApiHost(WebApplication app, string path, ConcurrentQueue<string> logged)
    {
        this.app = app;
        Logged = logged;
        handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        Channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler });
        Client = new V1.AgentService.AgentServiceClient(Channel);
    }

    public GrpcChannel Channel { get; }

    public V1.AgentService.AgentServiceClient Client { get; }

    public IReadOnlyCollection<string> Logged { get; }

    public IServiceProvider Services => app.Services;

    /// <summary>Of the TLS listener.</summary>
    public int Port => new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single(address => address.StartsWith("https", StringComparison.Ordinal))).Port;

    public static async Task<ApiHost> StartAsync(string path, ListenerOptions? listener = null, TimeProvider? time = null)
    {
        var logged = new ConcurrentQueue<string>();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(new QueueLogger(logged));
        var configuration = new OneAppConfiguration();
        builder.Services.AddSingleton<IDisk, Disk>().AddSingleton(time ?? TimeProvider.System).AddSingleton<Agent.Daemon.Configuration.IConfiguration>(configuration);
        builder.AddAgentApi(configuration.Agent with { Socket = path, Data = Path.GetDirectoryName(path)!, Listener = listener });
        builder.Services.AddSingleton(services => new AgentService(
            null!,   // no call of these tests comes as far as the engine
            configuration, new OneStateSupervisor(null), null!, null!,
            new TrackingService(configuration, new NoSource(), (_, _) => throw new NotSupportedException(), NothingDeployed, () => new StoreFreshness(false, []),
                TimeProvider.System, new Random(1), services.GetRequiredService<ILogger<TrackingService>>()),
            services.GetRequiredService<ApiCalls>(), services.GetRequiredService<UnsignedPushes>(), services.GetRequiredService<AuditLog>(), TimeProvider.System));
        WebApplication app = builder.Build().MapAgentApi();
        try
        {
            await app.StartAsync(TestContext.Current.CancellationToken);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
        return new ApiHost(app, path, logged);
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        handler.Dispose();
        await app.StopAsync();
        await app.DisposeAsync();
    }

    private static AppState NothingDeployed(AppName app) => AppState.Empty(app);

    private sealed class OneAppConfiguration : IConfiguration
    {
        public AgentOptions Agent { get; } = new("/srv/store", TimeSpan.FromSeconds(60), "/srv", "/var/lib/agentd", "/etc/systemd/system", "/run/agentd/agentd.sock");

        public IReadOnlyList<AppOptions> Apps { get; } = [new AppOptions(new AppName("shop"), new Track.Channel("stable"), new Dictionary<string, string>(), null, null, null, 3)];

        public AppOptions App(AppName name) => name.Value switch
        {
            "shop" => Apps[0],
            "bug" => throw new InvalidOperationException("secret inner workings"),
            _ => throw new OperatorException(ExitCode.Usage, $"no app {name}", "name one of shop"),
        };

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

        public void Check() => throw new NotSupportedException();

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();

        public AppDefinition Define(AppName app, string? releaseYaml) => throw new NotSupportedException();
    }

    private sealed class NoSource : IArtifactSource
    {
        public Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken) =>
            throw new OperatorException(ExitCode.Unreachable, "the store does not answer", "look at it");

        public Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken) => throw new NotSupportedException();

        public void Sweep(AppName app) => throw new NotSupportedException();
    }

    private sealed class QueueLogger(ConcurrentQueue<string> lines) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue($"{formatter(state, exception)} {exception}");
    }
}

using System.Collections.Concurrent;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;
using Agent.Protos;
using Agent.V1;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using AgentService = Agent.Daemon.Api.AgentService;
using IConfiguration = Agent.Daemon.Configuration.IConfiguration;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Api;

public sealed class AgentApiTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("agentapi-").FullName;

    private string SocketPath => Path.Combine(directory, "agentd.sock");

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Fact]
    public async Task Answers_on_a_socket_that_only_root_and_the_groups_may_open()
    {
        await using Api api = await Api.StartAsync(SocketPath);
        Assert.Equal(AgentApi.Version, (await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken)).Version);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite, File.GetUnixFileMode(SocketPath));
    }

    [Fact]
    public async Task Tells_a_caller_who_it_is_here_and_what_time_it_is()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root has a role: run the tests as root");
        await using Api api = await Api.StartAsync(SocketPath);
        DateTimeOffset before = TimeProvider.System.GetUtcNow();
        GetVersionResponse told = await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("uid 0 (root)", "admin"), (told.By, told.Role));
        Assert.InRange(told.Now.ToDateTimeOffset(), before, TimeProvider.System.GetUtcNow());
    }

    [Fact]
    public async Task An_operators_error_comes_with_its_remedy_and_exit_status()
    {
        await using Api api = await Api.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<RpcException>(async () => await api.Client.ListReleasesAsync(new ListReleasesRequest { App = "shp" }, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.InvalidArgument, e.StatusCode);
        Assert.Equal(new OperatorError { What = "no app shp", Remedy = "name one of shop", ExitCode = 2 }, Errors.FromException(e));
    }

    [Fact]
    public async Task A_bug_tells_an_id_that_the_log_has_and_nothing_more()
    {
        await using Api api = await Api.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<RpcException>(async () => await api.Client.ListReleasesAsync(new ListReleasesRequest { App = "bug" }, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.Internal, e.StatusCode);
        OperatorError told = Errors.FromException(e)!;
        Assert.DoesNotContain("secret", told.What, StringComparison.Ordinal);
        string id = told.Remedy[^12..];
        Assert.Contains(api.Logged, line => line.Contains(id, StringComparison.Ordinal) && line.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Poll_looks_at_the_store_and_tells_what_it_found()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may poll: run the tests as root");
        await using Api api = await Api.StartAsync(SocketPath);
        PollResponse polled = await api.Client.PollAsync(new PollRequest(), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("shop", "", 4), (polled.Results.Single().App, polled.Results.Single().Deployment, polled.Results.Single().Error.ExitCode));
        Assert.Contains(api.Logged, line => line.Contains("poll asked by uid 0 (root)", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_standard_health_service_answers()
    {
        await using Api api = await Api.StartAsync(SocketPath);
        var health = new Grpc.Health.V1.Health.HealthClient(api.Channel);
        Assert.Equal(Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus.Serving,
            (await health.CheckAsync(new Grpc.Health.V1.HealthCheckRequest(), cancellationToken: TestContext.Current.CancellationToken)).Status);
    }

    [Fact]
    public async Task A_socket_that_a_killed_agent_left_is_replaced()
    {
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            left.Bind(new UnixDomainSocketEndPoint(Path.Combine(directory, "other.sock")));
            File.Move(Path.Combine(directory, "other.sock"), SocketPath);   // so that closing it does not remove the file
        }
        Assert.True(Path.Exists(SocketPath));
        await using Api api = await Api.StartAsync(SocketPath);
        await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_socket_of_a_living_agent_is_left_alone()
    {
        await using Api api = await Api.StartAsync(SocketPath);
        var e = await Assert.ThrowsAsync<OperatorException>(() => Api.StartAsync(SocketPath));
        Assert.Equal(ExitCode.Refused, e.Code);
        await api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_file_that_is_no_socket_is_left_alone()
    {
        File.WriteAllText(SocketPath, "precious");
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => Api.StartAsync(SocketPath))).Code);
        Assert.Equal("precious", File.ReadAllText(SocketPath));
    }

    private sealed class Api : IAsyncDisposable
    {
        private readonly WebApplication app;
        private readonly SocketsHttpHandler handler;

        private Api(WebApplication app, string path, ConcurrentQueue<string> logged)
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

        public static async Task<Api> StartAsync(string path)
        {
            var logged = new ConcurrentQueue<string>();
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders().AddProvider(new QueueLogger(logged));
            var configuration = new OneAppConfiguration();
            builder.Services.AddSingleton<IDisk, Disk>().AddSingleton(TimeProvider.System).AddSingleton<Agent.Daemon.Configuration.IConfiguration>(configuration);
            builder.AddAgentApi(configuration.Agent with { Socket = path, Data = Path.GetDirectoryName(path)! });
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
            return new Api(app, path, logged);
        }

        public async ValueTask DisposeAsync()
        {
            Channel.Dispose();
            handler.Dispose();
            await app.StopAsync();
            await app.DisposeAsync();
        }

        private static AppState NothingDeployed(AppName app) => AppState.Empty(app);
    }

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

using System.Net;
using System.Net.Sockets;
using Agent.Tests.Protos.V1;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Protos;

/// <summary>What a test wants its service to do; the rest echoes.</summary>
internal sealed class ScriptedEcho : Echo.EchoBase
{
    public Func<EchoMessage, ServerCallContext, Task<EchoMessage>> OnUnary { get; set; } = (request, _) => Task.FromResult(request);

    public Func<EchoMessage, IServerStreamWriter<EchoMessage>, ServerCallContext, Task> OnServerStream { get; set; } = async (request, responses, _) =>
    {
        for (var i = 0; i < request.Count; i++)
            await responses.WriteAsync(new EchoMessage { Text = request.Text, Count = i, Payload = request.Payload });
    };

    public Func<IAsyncStreamReader<EchoMessage>, ServerCallContext, Task<EchoMessage>> OnClientStream { get; set; } = async (requests, context) =>
    {
        var all = new EchoMessage();
        await foreach (var request in requests.ReadAllAsync(context.CancellationToken))
        {
            all.Text += request.Text;
            all.Count++;
        }
        return all;
    };

    public Func<IAsyncStreamReader<EchoMessage>, IServerStreamWriter<EchoMessage>, ServerCallContext, Task> OnDuplex { get; set; } = async (requests, responses, context) =>
    {
        await foreach (var request in requests.ReadAllAsync(context.CancellationToken))
            await responses.WriteAsync(request);
    };

    public override Task<EchoMessage> Unary(EchoMessage request, ServerCallContext context) => OnUnary(request, context);

    public override Task ServerStream(EchoMessage request, IServerStreamWriter<EchoMessage> responseStream, ServerCallContext context) =>
        OnServerStream(request, responseStream, context);

    public override Task<EchoMessage> ClientStream(IAsyncStreamReader<EchoMessage> requestStream, ServerCallContext context) => OnClientStream(requestStream, context);

    public override Task Duplex(IAsyncStreamReader<EchoMessage> requestStream, IServerStreamWriter<EchoMessage> responseStream, ServerCallContext context) =>
        OnDuplex(requestStream, responseStream, context);
}

/// <summary>A real Kestrel on a loopback port and on a Unix socket, and channels to it.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly DirectoryInfo directory;
    private readonly List<GrpcChannel> channels = [];

    private TestServer(WebApplication app, DirectoryInfo directory) => (this.app, this.directory) = (app, directory);

    public int Port { get; private set; }

    public int Connections;

    public string SocketPath => Path.Combine(directory.FullName, "grpc.sock");

    public static Task<TestServer> StartAsync(ScriptedEcho? echo = null, Action<GrpcServiceOptions>? options = null) =>
        StartAsync(services => services.AddSingleton(echo ?? new ScriptedEcho()).AddGrpc(options ?? (_ => { })), app => app.MapGrpcService<ScriptedEcho>());

    public static async Task<TestServer> StartAsync(Action<IServiceCollection> services, Action<WebApplication> map)
    {
        var directory = Directory.CreateTempSubdirectory("agent-tests-");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.ListenUnixSocket(Path.Combine(directory.FullName, "grpc.sock"), listen => listen.Protocols = HttpProtocols.Http2);
        });
        services(builder.Services);
        var app = builder.Build();
        map(app);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new TestServer(app, directory)
        {
            Port = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses
                .Select(address => BindingAddress.Parse(address)).First(address => !address.IsUnixPipe).Port,
        };
    }

    /// <summary>A request to the echo service with this body.</summary>
    public static HttpRequestMessage Request(string method, byte[] body, string contentType = "application/grpc")
    {
        var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("content-type", contentType);
        return new HttpRequestMessage(HttpMethod.Post, $"/tests.v1.Echo/{method}")
        {
            Content = content,
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
    }

    public GrpcChannel Channel(bool unix = false, GrpcChannelOptions? options = null)
    {
        options ??= new GrpcChannelOptions();
        options.HttpHandler = Handler(unix);
        options.DisposeHttpClient = true;
        var channel = GrpcChannel.ForAddress("http://localhost", options);
        channels.Add(channel);
        return channel;
    }

    public Echo.EchoClient Client(bool unix = false) => new(Channel(unix));

    /// <summary>HTTP/2 without gRPC on top, for requests that no good client sends.</summary>
    public HttpClient Http() => new(Handler(unix: false))
    {
        BaseAddress = new Uri("http://localhost"),
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    /// <summary>At once, whatever calls are under way.</summary>
    public Task StopAsync() => app.StopAsync(new CancellationToken(canceled: true));

    public async ValueTask DisposeAsync()
    {
        foreach (var channel in channels)
            channel.Dispose();
        await StopAsync();
        await app.DisposeAsync();
        directory.Delete(recursive: true);
    }

    private SocketsHttpHandler Handler(bool unix) => new()
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = unix
                ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
                : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            EndPoint to = unix ? new UnixDomainSocketEndPoint(SocketPath) : new IPEndPoint(IPAddress.Loopback, Port);
            await socket.ConnectAsync(to, cancellationToken);
            Interlocked.Increment(ref Connections);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };
}

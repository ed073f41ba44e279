using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Protos.Access;
using Agent.Tests.Fakes;
using Grpc.Net.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Api;

/// <summary>An agent that listens on loopback, and machines that call it.</summary>
internal sealed class TlsRoom : IAsyncDisposable
{
    private readonly List<IDisposable> used = [];

    private TlsRoom(TemporaryDirectory directory, TimeProvider time) => (Directory, Time) = (directory, time);

    public TemporaryDirectory Directory { get; }

    public TimeProvider Time { get; }

    public ApiHost Api { get; private set; } = null!;

    public HostAddress.Tls Address => new("127.0.0.1", Api.Port);

    public Refusals Refusals => Api.Services.GetRequiredService<Refusals>();

    public AuditLog Audit => Api.Services.GetRequiredService<AuditLog>();

    public static async Task<TlsRoom> StartAsync(Func<TemporaryDirectory, ListenerOptions, ListenerOptions>? change = null, TimeProvider? time = null)
    {
        var room = new TlsRoom(new TemporaryDirectory(), time ?? TimeProvider.System);
        var listener = new ListenerOptions(new IPEndPoint(IPAddress.Loopback, 0));
        room.Api = await ApiHost.StartAsync(Path.Combine(room.Directory.Path, "agentd.sock"), change is null ? listener : change(room.Directory, listener), room.Time);
        return room;
    }

    /// <summary>What a machine keeps.</summary>
    public KeyFiles Machine(string name) => new(Path.Combine(Directory.Path, name));

    /// <summary>A code, as the agent hands it out.</summary>
    public byte[] Invite(string name, string role = "deployer") => Invite(Api.Services, name, role);

    /// <inheritdoc cref="Invite(string, string)"/>
    public static byte[] Invite(IServiceProvider agent, string name, string role)
    {
        string code = agent.GetRequiredService<PairingCodes>().Create(new Invitation(name, Roles.Parse(role), "uid 0 (root)"), PairingCodes.Usual);
        Assert.True(Pairing.TryRead(code, out byte[] secret));
        return secret;
    }

    /// <summary>A machine that was paired.</summary>
    public async Task<KeyFiles> PairAsync(string name, string role = "deployer")
    {
        KeyFiles machine = Machine(name);
        await AgentPairing.PairAsync(Address, Invite(name, role), machine, Time, TestContext.Current.CancellationToken);
        return machine;
    }

    /// <summary>Calls as agentctl does.</summary>
    public AgentConnection Connect(KeyFiles machine, string? pin = null, Func<string, string?>? variable = null)
    {
        var connection = new AgentConnection(new HostEntry("web1", Address), new TlsDialer(Address, pin, machine, Time, variable ?? (_ => null)), Time);
        used.Add(connection);
        return connection;
    }

    /// <summary>Calls with any certificate, whatever the agent shows.</summary>
    public GrpcChannel Channel(X509Certificate2? certificate)
    {
        var handler = new SocketsHttpHandler { ConnectCallback = async (_, cancellationToken) => await HandshakeAsync(certificate, cancellationToken: cancellationToken) };
        GrpcChannel channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        used.Add(channel);
        return channel;
    }

    public async Task<SslStream> HandshakeAsync(X509Certificate2? certificate, SslProtocols protocols = SslProtocols.Tls13, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Api.Port, cancellationToken);
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            EnabledSslProtocols = protocols,
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            ClientCertificateContext = certificate is null ? null : SslStreamCertificateContext.Create(certificate, null, offline: true),
            RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null,
        }, cancellationToken);
        return stream;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable one in used) one.Dispose();
        await Api.DisposeAsync();
        Directory.Dispose();
    }
}

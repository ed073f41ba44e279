using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Protos.Access;
using Agent.Tests.Protos;
using Agent.V1;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Api;

/// <summary>Callers over the network, welcome and not.</summary>
public sealed class TlsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_paired_caller_is_known_by_its_name_and_may_what_its_role_says()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        AgentConnection ann = room.Connect(await room.PairAsync("ann-laptop", "viewer"));
        Assert.Equal(AgentApi.Version, (await VersionAsync(ann)).Version);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => ann.AskAsync((client, options) => client.HoldAsync(new HoldRequest { App = "shop" }, options), Cancel));
        Assert.Equal((ExitCode.Refused, "ann-laptop (tls) may not hold: it is viewer, and that takes deployer"), (refused.Code, refused.Message));
        AuditEntry record = room.Audit.Read(1).Single();
        Assert.Equal(("ann-laptop (tls)", "viewer", "hold", true), (record.By, record.Role, record.Wish, record.Refused));
        Assert.Matches(@"\A127\.0\.0\.1 port \d+\z", record.From);
    }

    [Fact]
    public async Task All_hosts_of_a_command_are_shown_one_certificate()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop", "viewer");
        var own = new OwnCertificate(ann, room.Time, _ => null);
        Assert.Single((await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => own.ContextAsync()))).Distinct());
        for (int i = 0; i < 2; i++)
        {
            using var agent = new AgentConnection(new HostEntry("web1", room.Address), new TlsDialer(room.Address, null, ann, room.Time, _ => null, own), room.Time);
            await VersionAsync(agent);
        }
        Assert.Null(await new OwnCertificate(room.Machine("nobody"), room.Time, _ => null).ContextAsync());
    }

    [Fact]
    public async Task What_is_kept_of_callers_is_for_root_alone_and_outlives_the_agent()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        await room.PairAsync("ann-laptop");
        string file = Path.Combine(room.Directory.Path, "clients.json"), key = Path.Combine(room.Directory.Path, "tls", "key.pem");
        Assert.All((string[])[file, key, Path.Combine(room.Directory.Path, "ann-laptop/keys/key.pem")], path => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path)));
        var again = new Clients(new Agent.Artifacts.Durable.Disk(), room.Directory.Path, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<Clients>.Instance);
        Assert.Equal(("ann-laptop", "deployer", "uid 0 (root)"), (again.All[0].Name, again.All[0].Role, again.All[0].By));
    }

    [Fact]
    public async Task A_key_that_nobody_knows_may_call_nothing_and_fills_no_disk()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        using X509Certificate2 stranger = Stranger();
        var client = new Agent.V1.AgentService.AgentServiceClient(room.Channel(stranger));
        var huge = new HoldRequest { App = new string('x', 400_000) };
        for (int i = 0; i < 100; i++)
        {
            RpcException refused = await Assert.ThrowsAsync<RpcException>(async () => await client.HoldAsync(huge, cancellationToken: Cancel));
            Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
            Assert.Contains("it has no role here", Agent.Protos.Errors.FromException(refused)!.What, StringComparison.Ordinal);
        }
        var health = new Grpc.Health.V1.Health.HealthClient(room.Channel(stranger));
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(async () => await health.CheckAsync(new Grpc.Health.V1.HealthCheckRequest(), cancellationToken: Cancel))).StatusCode);
        Assert.Equal(101, room.Refusals.Total(Refusals.NoRole));
        Assert.Equal(RefusalBudget.MostInAMinute, room.Audit.Read(1000).Count);
    }

    [Fact]
    public async Task An_expired_certificate_is_refused_also_where_its_key_is_known()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles ann = await room.PairAsync("ann-laptop");
        string pem = await File.ReadAllTextAsync(Path.Combine(room.Directory.Path, "ann-laptop/keys/key.pem"), Cancel);
        using var key = ECDsa.Create();
        key.ImportFromPem(pem);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using X509Certificate2 expired = new CertificateRequest("CN=ann", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-2), now.AddDays(-1));
        Assert.Equal(ann.Key()!.Fingerprint, Fingerprint.Of(expired));
        await AssertDroppedAsync(room, expired);
        Assert.Equal(1, room.Refusals.Total(Refusals.Expired));
        string file = room.Directory.Write("expired.pem", expired.ExportCertificatePem() + "\n" + pem);
        OperatorException told = await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(ann, null, name => name == TlsDialer.CertificateVariable ? file : null)));
        Assert.True(told.Code == ExitCode.Refused, told.ToString());
        Assert.Contains("turned this machine away", told.Message, StringComparison.Ordinal);
        await VersionAsync(room.Connect(ann));
    }

    [Fact]
    public async Task A_revoked_key_is_refused_whatever_else_is_known_of_it()
    {
        using X509Certificate2 revoked = Stranger();
        await using TlsRoom room = await TlsRoom.StartAsync((_, listener) => listener with { Revoked = [Fingerprint.Of(revoked)] });
        await AssertDroppedAsync(room, revoked);
        Assert.Equal(1, room.Refusals.Total(Refusals.Revoked));
    }

    [Fact]
    public async Task What_is_not_TLS_13_with_a_certificate_does_not_come_in()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        using X509Certificate2 stranger = Stranger();
        await Assert.ThrowsAnyAsync<Exception>(() => room.HandshakeAsync(stranger, SslProtocols.Tls12, Cancel));
        await AssertDroppedAsync(room, null);
        using var plain = new TcpClient();
        await plain.ConnectAsync(IPAddress.Loopback, room.Api.Port, Cancel);
        await plain.GetStream().WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0"u8.ToArray(), Cancel);
        Assert.True(await EndsAsync(plain.GetStream()));
        await Eventually.HoldsAsync(() => room.Refusals.Total(Refusals.Handshake) == 3);
        await VersionAsync(room.Connect(await room.PairAsync("ann-laptop")));
    }

    [Fact]
    public async Task A_removed_caller_loses_its_open_connections_at_once()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles files = await room.PairAsync("ann-laptop", "viewer");
        using X509Certificate2 certificate = files.Key()!.MakeCertificate("ann", TimeProvider.System.GetUtcNow());
        var health = new Grpc.Health.V1.Health.HealthClient(room.Channel(certificate));
        using AsyncServerStreamingCall<Grpc.Health.V1.HealthCheckResponse> watch = health.Watch(new Grpc.Health.V1.HealthCheckRequest(), cancellationToken: Cancel);
        Assert.True(await watch.ResponseStream.MoveNext(Cancel));
        Task<bool> next = watch.ResponseStream.MoveNext(Cancel);

        var removed = room.Api.Services.GetRequiredService<Clients>().Remove("ann-laptop");
        Assert.Equal(1, room.Api.Services.GetRequiredService<OpenConnections>().Abort(removed));
        await Assert.ThrowsAsync<RpcException>(() => next);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(files)));
        Assert.Equal(ExitCode.Refused, refused.Code);
        Assert.Contains("it has no role here", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_key_has_so_many_connections_and_no_more()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        using X509Certificate2 stranger = Stranger();
        var open = new List<SslStream>();
        for (int i = 0; i < OpenConnections.MostOfKey; i++) open.Add(await room.HandshakeAsync(stranger, cancellationToken: Cancel));
        await AssertDroppedAsync(room, stranger);
        Assert.Equal(1, room.Refusals.Total(Refusals.Key));
        await VersionAsync(room.Connect(await room.PairAsync("ann-laptop")));
        foreach (SslStream one in open) await one.DisposeAsync();
    }

    [Fact]
    public async Task A_key_without_a_role_has_to_go_after_a_while()
    {
        var time = new Fakes.ManualTime();
        await using TlsRoom room = await TlsRoom.StartAsync(time: time);
        using X509Certificate2 stranger = Stranger(time);
        await using SslStream idle = await room.HandshakeAsync(stranger, cancellationToken: Cancel);
        await Eventually.HoldsAsync(() => room.Api.Services.GetRequiredService<OpenConnections>().Total == 1);
        time.Advance(TimeSpan.FromSeconds(31));
        Assert.True(await EndsAsync(idle));
        Assert.Equal(1, room.Refusals.Total(Refusals.Idle));
    }

    [Fact]
    public async Task An_agent_that_shows_another_key_is_told_nothing()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles files = await room.PairAsync("ann-laptop");
        files.Keep(room.Address, new KnownAgent("sha256:" + new string('0', 64)));
        OperatorException alarm = await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(files)));
        Assert.Equal(ExitCode.Refused, alarm.Code);
        Assert.Contains("shows another key than before", alarm.Message, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(files, pin: "sha256:" + new string('1', 64))))).Code);
        string shown = room.Api.Services.GetRequiredService<AgentIdentity>().Shown.Fingerprint;
        await VersionAsync(room.Connect(files, pin: shown));
    }

    [Fact]
    public async Task A_machine_that_was_not_paired_is_told_how()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        OperatorException told = await Assert.ThrowsAsync<OperatorException>(() => VersionAsync(room.Connect(room.Machine("new"))));
        Assert.Equal(ExitCode.Refused, told.Code);
        Assert.Contains("agentctl pair", told.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_that_listens_and_what_is_no_agent_are_told_apart()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        KeyFiles files = await room.PairAsync("ann-laptop");
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var address = new HostAddress.Tls("127.0.0.1", ((IPEndPoint)other.LocalEndpoint).Port);
        files.Keep(address, new KnownAgent("sha256:" + new string('0', 64)));
        Task<Stream> dial = new TlsDialer(address, null, files, TimeProvider.System, _ => null).ConnectAsync(Cancel).AsTask();
        using (TcpClient accepted = await other.AcceptTcpClientAsync(Cancel))
        {
            await accepted.GetStream().WriteAsync("SSH-2.0-OpenSSH_9.2\r\n"u8.ToArray(), Cancel);
            OperatorException told = await Assert.ThrowsAsync<OperatorException>(() => dial);
            Assert.Equal(ExitCode.Unreachable, told.Code);
            Assert.Contains("is no agentd", told.Message, StringComparison.Ordinal);
        }
        other.Stop();
        OperatorException nothing = await Assert.ThrowsAsync<OperatorException>(async () => await new TlsDialer(address, null, files, TimeProvider.System, _ => null).ConnectAsync(Cancel));
        Assert.Equal((ExitCode.Unreachable, $"nothing listens at {address}"), (nothing.Code, nothing.Message));
    }

    private static Task<GetVersionResponse> VersionAsync(AgentConnection agent) => agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);

    private static X509Certificate2 Stranger(TimeProvider? time = null)
    {
        using OwnKey key = OwnKey.Create();
        return key.MakeCertificate("stranger", (time ?? TimeProvider.System).GetUtcNow());
    }

    /// <summary>In TLS 1.3 a caller learns only by reading that the agent did not take its certificate.</summary>
    private static async Task AssertDroppedAsync(TlsRoom room, X509Certificate2? certificate)
    {
        try
        {
            await using SslStream stream = await room.HandshakeAsync(certificate, cancellationToken: Cancel);
            Assert.True(await EndsAsync(stream));
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            // Sooner.
        }
    }

    private static async Task<bool> EndsAsync(Stream stream)
    {
        var buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer, Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel) > 0)
            {
            }
        }
        catch (IOException)
        {
        }
        return true;
    }
}

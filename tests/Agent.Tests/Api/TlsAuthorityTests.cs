using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Tests.Fakes;
using Agent.V1;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Listening = Agent.Daemon.Configuration.ListenerOptions;

namespace Agent.Tests.Api;

/// <summary>An operator's own CA, for the callers and for the agent.</summary>
public sealed class TlsAuthorityTests
{
    private static readonly Dictionary<string, string> Roles = new() { ["ann"] = "viewer", ["ci"] = "deployer" };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_common_name_has_the_role_that_the_operator_gave_it()
    {
        using var authority = new Authority();
        await using TlsRoom room = await StartAsync(authority);
        await VersionAsync(room, authority.Issue("CN=ann"));
        Assert.Contains("ann (tls, ca) may not hold: it is viewer", (await HoldAsync(room, authority.Issue("CN=ann"))).Status.Detail, StringComparison.Ordinal);
        Assert.Equal(StatusCode.InvalidArgument, (await HoldAsync(room, authority.Issue("O=Example, CN=ci"))).StatusCode);   // let in: there is no such app
    }

    [Theory]
    [InlineData("CN=bob")]
    [InlineData("O=ann")]
    [InlineData("CN=ann, CN=ci")]
    [InlineData("CN=Ann")]
    [InlineData("CN=\"ann \"")]
    public async Task No_other_subject_has_one(string subject)
    {
        using var authority = new Authority();
        await using TlsRoom room = await StartAsync(authority);
        await RefusedAsync(room, authority.Issue(subject));
    }

    [Fact]
    public async Task A_certificate_of_another_CA_of_the_same_name_has_none()
    {
        using var authority = new Authority();
        using var other = new Authority();
        await using TlsRoom room = await StartAsync(authority);
        await RefusedAsync(room, other.Issue("CN=ann"));
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        await RefusedAsync(room, new CertificateRequest("CN=ann", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1)));
    }

    [Fact]
    public async Task A_certificate_for_servers_is_none_for_callers()
    {
        using var authority = new Authority();
        await using TlsRoom room = await StartAsync(authority);
        await RefusedAsync(room, authority.Issue("CN=ann", usage: "1.3.6.1.5.5.7.3.1"));
    }

    [Fact]
    public async Task One_that_has_expired_does_not_pass_the_handshake()
    {
        using var authority = new Authority();
        await using TlsRoom room = await StartAsync(authority);
        var client = new AgentService.AgentServiceClient(room.Channel(authority.Issue("CN=ann", from: -3, to: -1)));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await client.GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancel))).StatusCode);
        Assert.Equal(1, room.Refusals.Total(Refusals.Expired));
    }

    [Fact]
    public async Task Both_sides_may_have_certificates_of_a_CA_and_no_pairing()
    {
        using var authority = new Authority();
        using X509Certificate2 agents = authority.Issue("CN=web1", "1.3.6.1.5.5.7.3.1", address: "127.0.0.1"), anns = authority.Issue("CN=ann");
        await using TlsRoom room = await StartAsync(authority, (directory, listener) => listener with
        {
            Certificate = directory.Write("agent.crt", agents.ExportCertificatePem()),
            Key = directory.Write("agent.key", Pem(agents)),
        });
        string certificate = room.Directory.Write("ann.pem", anns.ExportCertificatePem() + "\n" + Pem(anns)), ca = room.Directory.Write("ca.crt", authority.Pem);
        using var other = new Authority();
        string otherCa = room.Directory.Write("other.crt", other.Pem);
        AgentConnection By(string authorities) => room.Connect(room.Machine("ann"), null, name => name switch
        {
            TlsDialer.CertificateVariable => certificate,
            TlsDialer.AuthorityVariable => authorities,
            _ => null,
        });
        await By(ca).AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => By(otherCa).AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel));
        Assert.Contains("does not vouch", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_changed_in_configuration_holds_from_then_on_and_ends_what_is_open()
    {
        using var authority = new Authority();
        using var other = new Authority();
        using X509Certificate2 ann = authority.Issue("CN=ann"), ci = authority.Issue("CN=ci"), dora = authority.Issue("CN=dora");
        await using TlsRoom room = await StartAsync(authority);
        TlsDoor door = room.Api.Services.GetRequiredService<TlsDoor>();
        var now = new Listening(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0)) { ClientCa = Path.Combine(room.Directory.Path, "clients-ca.crt"), ClientRoles = Roles };
        AgentConnection paired = room.Connect(await room.PairAsync("bob-laptop"));
        await paired.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);
        await RefusedAsync(room, dora);

        // Another role, or none any more: what is open is ended; the others and the paired go on.
        await using SslStream anns = await room.HandshakeAsync(ann, cancellationToken: Cancel), cis = await room.HandshakeAsync(ci, cancellationToken: Cancel);
        await OpenAsync(room, 4);
        door.Renew(now = now with { ClientRoles = new Dictionary<string, string> { ["ann"] = "viewer", ["dora"] = "viewer" } });
        await OpenAsync(room, 2);
        await VersionAsync(room, dora);
        await VersionAsync(room, ann);
        await RefusedAsync(room, ci);

        // A revoked key.
        door.Renew(now = now with { Revoked = [Agent.Protos.Access.Fingerprint.Of(ann)] });
        await Assert.ThrowsAsync<RpcException>(() => VersionAsync(room, ann));
        Assert.Equal(1, room.Refusals.Total(Refusals.Revoked));
        await VersionAsync(room, dora);

        // Another CA in the same file; and a file that holds none.
        room.Directory.Write("clients-ca.crt", other.Pem);
        door.Renew(now);
        await RefusedAsync(room, dora);
        await VersionAsync(room, other.Issue("CN=dora"));
        room.Directory.Write("clients-ca.crt", "nothing");
        Assert.Throws<OperatorException>(() => door.Renew(now));
        await VersionAsync(room, other.Issue("CN=dora"));
        await paired.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);
    }

    [Fact]
    public async Task A_renewed_certificate_of_the_agent_is_shown_without_a_restart()
    {
        using var authority = new Authority();
        using X509Certificate2 first = authority.Issue("CN=web1", "1.3.6.1.5.5.7.3.1"), second = authority.Issue("CN=web1", "1.3.6.1.5.5.7.3.1");
        Listening listening = null!;
        await using TlsRoom room = await StartAsync(authority, (directory, listener) => listening = listener with
        {
            Certificate = directory.Write("agent.crt", first.ExportCertificatePem()),
            Key = directory.Write("agent.key", Pem(first)),
        });
        TlsDoor door = room.Api.Services.GetRequiredService<TlsDoor>();
        Assert.Equal(first.SerialNumber, await ShownAsync());
        room.Directory.Write("agent.crt", second.ExportCertificatePem());
        Assert.Throws<OperatorException>(() => door.Renew(listening));   // between the two files
        Assert.Equal(first.SerialNumber, await ShownAsync());
        room.Directory.Write("agent.key", Pem(second));
        door.Renew(listening);
        Assert.Equal(second.SerialNumber, await ShownAsync());

        async Task<string> ShownAsync()
        {
            await using SslStream stream = await room.HandshakeAsync(authority.Issue("CN=ann"), cancellationToken: Cancel);
            return ((X509Certificate2)stream.RemoteCertificate!).SerialNumber;
        }
    }

    private static Task OpenAsync(TlsRoom room, int count) =>
        Agent.Tests.Protos.Eventually.HoldsAsync(() => room.Api.Services.GetRequiredService<OpenConnections>().Total == count);

    private static Task<TlsRoom> StartAsync(
        Authority authority, Func<TemporaryDirectory, Listening, Listening>? change = null) =>
        TlsRoom.StartAsync((directory, listener) =>
        {
            listener = listener with { ClientCa = directory.Write("clients-ca.crt", authority.Pem), ClientRoles = Roles };
            return change is null ? listener : change(directory, listener);
        });

    private static async Task VersionAsync(TlsRoom room, X509Certificate2 certificate) =>
        await new AgentService.AgentServiceClient(room.Channel(certificate)).GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancel);

    private static async Task<RpcException> HoldAsync(TlsRoom room, X509Certificate2 certificate) => await Assert.ThrowsAsync<RpcException>(async () =>
        await new AgentService.AgentServiceClient(room.Channel(certificate)).HoldAsync(new HoldRequest { App = "shp", Reason = "night" }, cancellationToken: Cancel));

    private static async Task RefusedAsync(TlsRoom room, X509Certificate2 certificate)
    {
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => VersionAsync(room, certificate));
        Assert.Equal(StatusCode.PermissionDenied, refused.StatusCode);
        Assert.Contains("it has no role here", refused.Status.Detail, StringComparison.Ordinal);
    }

    private static string Pem(X509Certificate2 certificate) => certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem();

    private sealed class Authority : IDisposable
    {
        private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        private readonly X509Certificate2 certificate;
        private byte serial;

        public Authority()
        {
            var request = new CertificateRequest("CN=Example CA", key, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
            request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
            DateTimeOffset now = TimeProvider.System.GetUtcNow();
            certificate = request.CreateSelfSigned(now.AddDays(-30), now.AddDays(30));
        }

        public string Pem => certificate.ExportCertificatePem();

        public X509Certificate2 Issue(string subject, string usage = "1.3.6.1.5.5.7.3.2", int from = -1, int to = 1, string? address = null)
        {
            using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest(subject, own, HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], critical: false));
            if (address is not null)
            {
                var names = new SubjectAlternativeNameBuilder();
                names.AddIpAddress(System.Net.IPAddress.Parse(address));
                request.CertificateExtensions.Add(names.Build());
            }
            DateTimeOffset now = TimeProvider.System.GetUtcNow();
            using X509Certificate2 issued = request.Create(certificate, now.AddDays(from), now.AddDays(to), [++serial]);
            return issued.CopyWithPrivateKey(own);
        }

        public void Dispose()
        {
            certificate.Dispose();
            key.Dispose();
        }
    }
}

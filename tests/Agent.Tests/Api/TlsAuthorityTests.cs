using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Tests.Fakes;
using Agent.V1;
using Grpc.Core;

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

    private static Task<TlsRoom> StartAsync(
        Authority authority, Func<TemporaryDirectory, Agent.Daemon.Configuration.ListenerOptions, Agent.Daemon.Configuration.ListenerOptions>? change = null) =>
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

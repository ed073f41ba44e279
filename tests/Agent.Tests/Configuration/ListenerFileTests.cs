using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

public sealed class ListenerFileTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("0.0.0.0:7443", "0.0.0.0:7443")]
    [InlineData("[::]:7443", "[::]:7443")]
    [InlineData("192.0.2.7:1024", "192.0.2.7:1024")]
    public void An_address_is_read(string text, string address)
    {
        ListenerOptions listener = Load($"listen:\n  address: \"{text}\"\n").Listener!;
        Assert.Equal((address, null, null), (listener.Address.ToString(), listener.Certificate, listener.ClientCa));
    }

    [Theory]
    [InlineData("address: 0.0.0.0", "listen.address is '0.0.0.0'")]
    [InlineData("address: \"::1:7443\"", "listen.address is '::1:7443'")]
    [InlineData("address: 0.0.0.0:443", "listen.address is '0.0.0.0:443'")]
    [InlineData("address: web1:7443", "listen.address is 'web1:7443'")]
    [InlineData("certificate: /etc/a", "listen.address is missing")]
    [InlineData("address: 0.0.0.0:7443\n  certificate: /etc/a", "listen.certificate is here alone")]
    [InlineData("address: 0.0.0.0:7443\n  key: /etc/a", "listen.key is here alone")]
    [InlineData("address: 0.0.0.0:7443\n  client_ca: a.crt", "listen.client_ca is 'a.crt'")]
    [InlineData("address: 0.0.0.0:7443\n  client_roles:\n    ann: viewer", "listen.client_roles is here without client_ca")]
    [InlineData("address: 0.0.0.0:7443\n  client_ca: /a\n  client_roles:\n    ann: root", "listen.client_roles.ann has no role")]
    [InlineData("address: 0.0.0.0:7443\n  revoked: [abc]", "listen.revoked[0] is 'abc', which is no fingerprint")]
    [InlineData("adress: 0.0.0.0:7443", "listen.adress is not a key here; write address")]
    public void What_is_wrong_is_told(string text, string problem) =>
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => Load($"listen:\n  {text}\n")).Message, StringComparison.Ordinal);

    [Fact]
    public void The_files_are_looked_at_by_a_check()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using X509Certificate2 certificate = new CertificateRequest("CN=web1", key, HashAlgorithmName.SHA256).CreateSelfSigned(now, now.AddDays(1));
        string crt = directory.Write("a.crt", certificate.ExportCertificatePem()), good = directory.Write("a.key", key.ExportPkcs8PrivateKeyPem()), wrong = directory.Write("b.key", other.ExportPkcs8PrivateKeyPem());
        foreach (string one in (string[])[good, wrong]) File.SetUnixFileMode(one, DurableOperations.Mode600);
        Write(crt, good, crt);
        ConfigurationFiles.Check(directory.Path, new Disk());
        Write(crt, wrong, good);
        string told = Assert.Throws<OperatorException>(() => ConfigurationFiles.Check(directory.Path, new Disk())).Message;
        Assert.Contains("b.key does not hold the key of the first certificate in", told, StringComparison.Ordinal);
        Assert.Contains("a.key holds no certificate in PEM", told, StringComparison.Ordinal);
        File.SetUnixFileMode(good, DurableOperations.Mode644);
        Write(crt, good, Path.Combine(directory.Path, "missing.crt"));
        told = Assert.Throws<OperatorException>(() => ConfigurationFiles.Check(directory.Path, new Disk())).Message;
        Assert.Contains("which every user may read", told, StringComparison.Ordinal);
        Assert.Contains("listen.client_ca cannot be used", told, StringComparison.Ordinal);

        void Write(string certificateFile, string keyFile, string ca) => directory.Write(
            "agentd.yaml", $"listen:\n  address: 0.0.0.0:7443\n  certificate: {certificateFile}\n  key: {keyFile}\n  client_ca: {ca}\n");
    }

    [Fact]
    public void What_is_in_force_is_shown_as_it_is_written()
    {
        const string Text = "listen:\n  address: \"[::]:7443\"\n  client_ca: /etc/ca.crt\n  client_roles:\n    \"Ann Example\": viewer\n    ci: deployer\n";
        directory.Write("agentd.yaml", Text);
        string shown = ConfigurationFiles.Load(directory.Path, new Disk()).Effective(null, null);
        directory.Write("agentd.yaml", shown);
        ListenerOptions again = ConfigurationFiles.Load(directory.Path, new Disk()).Agent.Listener!;
        Assert.Equal(("[::]:7443", "/etc/ca.crt", "viewer", "deployer"), (again.Address.ToString(), again.ClientCa, again.ClientRoles["Ann Example"], again.ClientRoles["ci"]));
    }

    private AgentOptions Load(string text)
    {
        directory.Write("agentd.yaml", text);
        return ConfigurationFiles.Load(directory.Path, new Disk()).Agent;
    }
}

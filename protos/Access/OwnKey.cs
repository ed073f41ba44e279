using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Agent.Protos.Access;

/// <summary>
/// A side's own key: ECDSA on P-256, kept as PEM (PKCS #8). The certificate that carries it is made anew by each process and holds nothing that anybody
/// believes, but for the fingerprint of the key that is to follow: who presents it has proved in the handshake that the key is theirs.
/// </summary>
public sealed class OwnKey : IDisposable
{
    private const string NextKey = "2.25.214298327094672359316407521493620347181";   // of a random UUID: ITU-T X.667
    private static readonly TimeSpan Before = TimeSpan.FromDays(7), After = TimeSpan.FromDays(3650);   // clocks differ

    private readonly ECDsa key;

    private OwnKey(ECDsa key)
    {
        this.key = key;
        Fingerprint = Access.Fingerprint.Of(key.ExportSubjectPublicKeyInfo());
    }

    public string Fingerprint { get; }

    public static OwnKey Create() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    /// <exception cref="CryptographicException">No key in it that could be used.</exception>
    public static OwnKey Parse(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return new OwnKey(key);
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            key.Dispose();
            throw new CryptographicException("it holds no ECDSA key in PEM", e);
        }
    }

    /// <summary>With the private key.</summary>
    public string ToPem() => key.ExportPkcs8PrivateKeyPem() + "\n";

    /// <param name="name">For people who look at it with other tools.</param>
    /// <param name="next">Fingerprint of the key that is to take this one's place; null: none is.</param>
    /// <returns>With the private key; for either side of TLS.</returns>
    public X509Certificate2 MakeCertificate(string name, DateTimeOffset now, string? next = null)
    {
        var subject = new X500DistinguishedNameBuilder();
        subject.AddCommonName(name);
        var request = new CertificateRequest(subject.Build(), key, HashAlgorithmName.SHA256);
        if (next is not null) request.CertificateExtensions.Add(new X509Extension(NextKey, Encoding.ASCII.GetBytes(next), critical: false));
        return request.CreateSelfSigned(now - Before, now + After);
    }

    /// <returns>Fingerprint of the key that is to take the place of this certificate's; null: none is.</returns>
    public static string? NextOf(X509Certificate2 certificate)
    {
        X509Extension? found = certificate.Extensions.FirstOrDefault(extension => extension.Oid?.Value == NextKey);
        string? next = found is null ? null : Encoding.ASCII.GetString(found.RawData);
        return next is not null && Access.Fingerprint.IsOne(next) ? next : null;
    }

    public void Dispose() => key.Dispose();
}

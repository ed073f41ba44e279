using System.Security.Cryptography.X509Certificates;

namespace Agent.Protos.Access;

/// <summary>How either side of TLS judges the certificate of the other.</summary>
public static class CertificateChecks
{
    /// <summary>Chains to these authorities alone, at this moment; nothing is fetched from addresses that a certificate names.</summary>
    public static X509ChainPolicy Policy(X509Certificate2Collection authorities, DateTimeOffset now)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
            VerificationTimeIgnored = false,
            VerificationTime = now.UtcDateTime,
        };
        policy.CustomTrustStore.AddRange(authorities);
        return policy;
    }

    /// <summary>Whether it is neither before its time nor expired.</summary>
    public static bool IsInTime(X509Certificate2 certificate, DateTimeOffset now) =>
        now.UtcDateTime >= certificate.NotBefore.ToUniversalTime() && now.UtcDateTime <= certificate.NotAfter.ToUniversalTime();
}

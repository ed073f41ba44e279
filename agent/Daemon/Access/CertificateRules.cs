using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Access;

/// <summary>
/// Whom <c>listen</c> of agentd.yaml lets in, and keeps out, by certificates alone: callers with one of the operator's CA, and revoked keys. Changes while the
/// agent runs. Thread-safe.
/// </summary>
/// <exception cref="OperatorException">The CA's file cannot be used.</exception>
internal sealed class CertificateRules(IDisk disk, ListenerOptions options)
{
    private volatile Rules now = Read(disk, options);

    /// <summary>Of the operator; empty: only paired callers are let in.</summary>
    public X509Certificate2Collection Authorities => now.Authorities;

    public bool IsRevoked(string fingerprint) => now.Options.Revoked.Contains(fingerprint);

    /// <param name="name">The common name in a certificate of one of <see cref="Authorities"/>; null: it is in none.</param>
    /// <returns>As a word; null: none.</returns>
    public string? RoleOf(string? name) => now.RoleOf(name);

    /// <summary>Puts other rules in force, with what the CA's file holds now.</summary>
    /// <returns>Whether they still let in who came in with the rules before.</returns>
    /// <exception cref="OperatorException">The CA's file cannot be used; the rules stay as they were.</exception>
    public Func<TlsPeer, bool> Change(ListenerOptions wanted)
    {
        (Rules before, Rules after) = (now, Read(disk, wanted));
        now = after;
        bool sameAuthorities = before.Authorities.Select(Bytes).SequenceEqual(after.Authorities.Select(Bytes));
        return peer => !IsRevoked(peer.Fingerprint) && (peer.Known is not null || peer.CertifiedName is not { } name
            || (sameAuthorities && before.RoleOf(name) == after.RoleOf(name)));

        static string Bytes(X509Certificate2 certificate) => certificate.GetCertHashString(HashAlgorithmName.SHA256);
    }

    private static Rules Read(IDisk disk, ListenerOptions options)
    {
        try
        {
            return new Rules(options, options.ClientCa is { } file ? ListenerFile.ReadCertificates(disk, file) : []);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Usage, $"listen.client_ca cannot be used: {e.Message}", "correct the file, or name another in /etc/agentd/agentd.yaml", e);
        }
    }

    private sealed record Rules(ListenerOptions Options, X509Certificate2Collection Authorities)
    {
        public string? RoleOf(string? name) => name is null ? null : Options.ClientRoles.GetValueOrDefault(name);
    }
}

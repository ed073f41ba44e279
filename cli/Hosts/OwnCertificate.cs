using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Protos.Access;

namespace Agent.Cli.Hosts;

/// <summary>
/// What agentctl shows to agents: a certificate of its own key, or the one that the environment names. Made once for all the hosts that a command asks: for
/// each, .NET builds a chain and looks through every CA of the machine. Thread-safe.
/// </summary>
/// <param name="files">Where the own key is.</param>
/// <param name="variable">Reads the environment; null: it is not asked.</param>
/// <param name="makes">Makes a key where there is none.</param>
internal sealed class OwnCertificate(KeyFiles files, TimeProvider time, Func<string, string?>? variable, bool makes = false)
{
    private readonly Lazy<Task<SslStreamCertificateContext?>> context = new(() => Task.Run(() =>
        Certificate(files, time, variable, makes) is { } certificate ? SslStreamCertificateContext.Create(certificate, null, offline: true) : null));

    /// <returns>Null: there is no key on this machine.</returns>
    /// <exception cref="OperatorException">Key or certificate cannot be used.</exception>
    public Task<SslStreamCertificateContext?> ContextAsync() => context.Value;

    private static X509Certificate2? Certificate(KeyFiles files, TimeProvider time, Func<string, string?>? variable, bool makes)
    {
        if (variable?.Invoke(TlsDialer.CertificateVariable) is { Length: > 0 } certificate)
            return FromFiles(TlsDialer.CertificateVariable, () => X509Certificate2.CreateFromPemFile(certificate, variable(TlsDialer.KeyVariable) is { Length: > 0 } key ? key : null));
        using OwnKey? own = makes ? files.KeyOrNew() : files.Key();
        return own?.MakeCertificate("agentctl", time.GetUtcNow());
    }

    /// <exception cref="OperatorException">They cannot be used.</exception>
    public static T FromFiles<T>(string variable, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new OperatorException(ExitCode.Usage, $"the files that {variable} names cannot be used: {e.Message}", "name others, or take the variable away", e);
        }
    }
}

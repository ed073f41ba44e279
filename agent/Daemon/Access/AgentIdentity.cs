using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Protos.Access;

namespace Agent.Daemon.Access;

/// <summary>What the agent shows to callers.</summary>
/// <param name="Fingerprint">Of its key.</param>
/// <param name="Next">Of the key that is to take its place; null: none is.</param>
internal sealed record ShownKey(SslStreamCertificateContext Context, string Fingerprint, string? Next);

/// <summary>
/// The agent's own key, in <c>DATA/tls/key.pem</c> (mode 600), made where it is missing; or the certificate that the operator gave it. While the key changes,
/// <c>next.pem</c> is beside it, and the certificate of the old key tells callers of the next one. Thread-safe.
/// </summary>
internal sealed class AgentIdentity
{
    private readonly Lock gate = new();
    private readonly IDisk disk;
    private readonly TimeProvider time;
    private readonly string directory;
    private readonly bool isOperators;
    private volatile ShownKey shown;

    /// <param name="data">The agent's directory.</param>
    /// <exception cref="OperatorException">A key or certificate cannot be used.</exception>
    public AgentIdentity(IDisk disk, string data, ListenerOptions listener, TimeProvider time)
    {
        (this.disk, this.time, directory) = (disk, time, Path.Combine(data, "tls"));
        if (listener is { Certificate: { } certificate, Key: { } key })
        {
            isOperators = true;
            shown = ReadOperators(disk, certificate, key);
            return;
        }
        disk.MakeDirectories(directory, DurableOperations.Mode700);
        disk.RemoveLeftovers(directory);
        if (!disk.Exists(KeyPath)) MakeKey(KeyPath);
        shown = Show();
        if (shown.Next != shown.Fingerprint) return;
        disk.RemoveDurable(NextPath);    // the power went between the two halves of changing over
        shown = Show();
    }

    public ShownKey Shown => shown;

    private string KeyPath => Path.Combine(directory, "key.pem");

    private string NextPath => Path.Combine(directory, "next.pem");

    /// <summary>Makes the next key; nothing where there is one.</summary>
    /// <exception cref="OperatorException">The certificate is the operator's.</exception>
    public void MakeNext() => Change(() =>
    {
        if (!disk.Exists(NextPath)) MakeKey(NextPath);
    });

    /// <summary>Shows the next key from now on.</summary>
    /// <exception cref="OperatorException">There is none, or the certificate is the operator's.</exception>
    public void ChangeOver() => Change(() =>
    {
        if (!disk.Exists(NextPath)) throw new OperatorException(ExitCode.Refused, "this agent has no next key to change over to", "make one first: agentctl host rotate-key");
        disk.WriteAtomic(KeyPath, disk.ReadAll(NextPath), DurableOperations.Mode600);
        disk.RemoveDurable(NextPath);
    });

    /// <summary>Shows what the operator's files hold now. Nothing where the key is the agent's own.</summary>
    /// <exception cref="OperatorException">They cannot be used: what was shown stays.</exception>
    public void ReadAgain(ListenerOptions listener)
    {
        if (isOperators && listener is { Certificate: { } certificate, Key: { } key }) shown = ReadOperators(disk, certificate, key);
    }

    private void Change(Action change)
    {
        if (isOperators)
            throw new OperatorException(ExitCode.Refused, "this agent shows a certificate of yours, whose key is not its own", "replace the files that listen: names in /etc/agentd/agentd.yaml, then: systemctl reload agentd");
        lock (gate)
        {
            change();
            shown = Show();
        }
    }

    private ShownKey Show()
    {
        using OwnKey key = Read(KeyPath);
        using OwnKey? next = disk.Exists(NextPath) ? Read(NextPath) : null;
        X509Certificate2 certificate = key.MakeCertificate("agentd", time.GetUtcNow(), next?.Fingerprint);
        return new ShownKey(SslStreamCertificateContext.Create(certificate, null, offline: true), key.Fingerprint, next?.Fingerprint);
    }

    private OwnKey Read(string path)
    {
        try
        {
            return OwnKey.Parse(disk.ReadText(path));
        }
        catch (CryptographicException e)
        {
            throw new OperatorException(ExitCode.NeedsOperator, $"{path} cannot be used: {e.Message}", "restore it; or move it away and restart agentd: then it makes another key, and every caller has to be paired again", e);
        }
    }

    private void MakeKey(string path)
    {
        using OwnKey made = OwnKey.Create();
        disk.WriteAtomic(path, made.ToPem(), DurableOperations.Mode600);
    }

    private static ShownKey ReadOperators(IDisk disk, string certificate, string key)
    {
        try
        {
            (X509Certificate2 own, X509Certificate2Collection others) = ListenerFile.ReadCertificate(disk, certificate, key);
            return new ShownKey(SslStreamCertificateContext.Create(own, others, offline: true), Fingerprint.Of(own), null);
        }
        catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Usage, $"the certificate to listen with cannot be used: {e.Message}", "correct the file, or name another under listen: in /etc/agentd/agentd.yaml", e);
        }
    }
}

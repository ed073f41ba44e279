using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Protos.Access;

namespace Agent.Cli.Hosts;

/// <summary>
/// Over TLS 1.3, with a key on both sides. The agent's key has to be the one that pairing has kept, or that hosts.yaml names; where neither knows it, the
/// operator's CA has to vouch for its name.
/// </summary>
internal sealed class TlsDialer : IDialer
{
    /// <summary>A certificate, its key and the CA of agents, in PEM: for those who have a CA of their own.</summary>
    public const string CertificateVariable = "AGENTCTL_TLS_CERTIFICATE", KeyVariable = "AGENTCTL_TLS_KEY", AuthorityVariable = "AGENTCTL_TLS_CA";

    /// <summary>Until the handshake is over; below the time that an answer may take, so that this is what is told.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    private readonly HostAddress.Tls address;
    private readonly string? pin;
    private readonly KeyFiles files;
    private readonly TimeProvider time;
    private readonly Func<string, string?> variable;
    private readonly OwnCertificate? own;

    /// <param name="pin">What hosts.yaml says of the agent's key; null: nothing.</param>
    /// <param name="variable">Reads the environment.</param>
    /// <param name="own">What all dialers of a command share; null: one is made for this one.</param>
    public TlsDialer(HostAddress.Tls address, string? pin, KeyFiles files, TimeProvider time, Func<string, string?>? variable = null, OwnCertificate? own = null) =>
        (this.address, this.pin, this.files, this.time, this.variable, this.own) = (address, pin, files, time, variable ?? Environment.GetEnvironmentVariable, own);

    /// <summary>To an agent of which nothing is known: for pairing alone, which proves afterwards whose key it was.</summary>
    public bool TakesAnyAgent { get; init; }

    /// <summary>Fingerprint of the key that the agent has shown; null: there was no handshake yet.</summary>
    public string? AgentsKey { get; private set; }

    public OperatorException? Failure { get; private set; }

    public async ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken)
    {
        KnownAgent? known = TakesAnyAgent ? null : Known();
        X509Certificate2Collection authorities = known is null && !TakesAnyAgent ? Authorities() : [];
        if (known is null && !TakesAnyAgent && authorities.Count == 0)
            throw NotPaired($"this machine is not paired with {address}");
        SslStreamCertificateContext shown = await (own ?? new OwnCertificate(files, time, TakesAnyAgent ? null : variable, TakesAnyAgent)).ContextAsync()
            ?? throw NotPaired($"there is no key on this machine to call {address} with");
        var answer = new Answer();
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = address.Host,
            EnabledSslProtocols = SslProtocols.Tls13,
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            ClientCertificateContext = shown,
            AllowTlsResume = false,
            CertificateChainPolicy = CertificateChecks.Policy(authorities, time.GetUtcNow()),
            RemoteCertificateValidationCallback = (_, presented, _, errors) => presented is X509Certificate2 agents && Judge(agents, errors, known, authorities.Count > 0, answer),
        };
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        SslStream? stream = null;
        try
        {
            await socket.ConnectAsync(new DnsEndPoint(address.Host, address.Port), either.Token);
            stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await stream.AuthenticateAsClientAsync(options, either.Token);
            if (stream.NegotiatedApplicationProtocol != SslApplicationProtocol.Http2) throw new AuthenticationException("it does not speak HTTP/2");
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException)
        {
            stream?.Dispose();
            socket.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            throw answer.Refusal ?? Explain(e);
        }
        AgentsKey = answer.Key;
        Learn(known, answer);
        return new AnsweredStream(stream, () => Failure = new OperatorException(ExitCode.Refused,
            $"the agent at {address} turned this machine away: its certificate has expired, its key was revoked there, or it has too many connections open",
            "see the clock of this machine; else ask who runs the host, whose agent's log has the reason: journalctl -u agentd EVENT_ID=2303"));
    }

    public void Dispose()
    {
    }

    private KnownAgent? Known()
    {
        KnownAgent? kept = files.Agent(address);
        if (pin is null) return kept is { Pin: null } ? kept : null;
        return kept?.Pin == pin ? kept : new KnownAgent(pin, null, pin);
    }

    private bool Judge(X509Certificate2 presented, SslPolicyErrors errors, KnownAgent? known, bool byAuthority, Answer answer)
    {
        string key = Fingerprint.Of(presented);
        (answer.Key, answer.Next) = (key, OwnKey.NextOf(presented));
        if (!CertificateChecks.IsInTime(presented, time.GetUtcNow()))
        {
            answer.Refusal = new OperatorException(ExitCode.Refused,
                $"the certificate of the agent at {address} is not valid now ({presented.NotBefore.ToUniversalTime():yyyy-MM-dd} to {presented.NotAfter.ToUniversalTime():yyyy-MM-dd})",
                "see the clock of this machine; else renew the certificate on the host");
        }
        else if (known is not null && key != known.Fingerprint && key != known.Next)
        {
            answer.Refusal = new OperatorException(ExitCode.Refused,
                $"the agent at {address} shows another key than before ({Fingerprint.Abbreviate(key)}, not {Fingerprint.Abbreviate(known.Fingerprint)}): somebody may be listening in between, or it was installed anew. Nothing was sent to it",
                known.Pin is null
                    ? $"ask who runs the host. Where its key has changed for good: agentctl pair {address} with a new code"
                    : $"ask who runs the host. Where its key has changed for good: write its fingerprint into hosts.yaml");
        }
        else if (byAuthority && errors != SslPolicyErrors.None)
        {
            answer.Refusal = new OperatorException(ExitCode.Refused,
                errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch) ? $"the certificate of the agent at {address} is for another name" : $"the CA of {AuthorityVariable} does not vouch for the agent at {address}",
                "see its certificate: openssl s_client -connect HOST:PORT; or pair with it: agentctl pair ADDRESS");
        }
        return answer.Refusal is null;
    }

    private void Learn(KnownAgent? known, Answer answer)
    {
        if (known is null || answer.Key is not { } key) return;
        var learnt = new KnownAgent(key, answer.Next, known.Pin);
        if (learnt == known) return;
        try
        {
            files.Keep(address, learnt);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is told again next time.
        }
    }

    private X509Certificate2Collection Authorities()
    {
        var authorities = new X509Certificate2Collection();
        if (variable(AuthorityVariable) is { Length: > 0 } path)
        {
            OwnCertificate.FromFiles(AuthorityVariable, () =>
            {
                authorities.ImportFromPemFile(path);
                return true;
            });
        }
        return authorities;
    }

    private OperatorException Explain(Exception e) => e switch
    {
        OperationCanceledException => Unreachable($"{address} did not answer within {Limit.TotalSeconds:0} s", "see whether the host is up, and whether a firewall lets this machine in"),
        SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain } => Unreachable($"the name {address.Host} cannot be resolved", "correct the address: agentctl hosts"),
        SocketException { SocketErrorCode: SocketError.ConnectionRefused } => Unreachable($"nothing listens at {address}", "on the host: listen: in /etc/agentd/agentd.yaml, and systemctl status agentd"),
        SocketException failed => Unreachable($"{address} cannot be reached: {failed.Message}", "see whether the host is up, and its address right"),
        _ => Unreachable($"what answers at {address} is no agentd, or turned the connection away: {e.Message}", "see the port; an agent that has too many connections says so in its log: journalctl -u agentd EVENT_ID=2303"),
    };

    private OperatorException NotPaired(string what) => new(ExitCode.Refused, what, $"on the host: sudo agentctl pair --new --name NAME --role ROLE; then here: agentctl pair {address}");

    private static OperatorException Unreachable(string what, string remedy) => new(ExitCode.Unreachable, what, remedy);

    private sealed class Answer
    {
        public string? Key { get; set; }

        public string? Next { get; set; }

        public OperatorException? Refusal { get; set; }
    }
}

using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Protos.Access;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Agent.Daemon.Access;

/// <summary>
/// The listener on the network: TLS 1.3 and HTTP/2 alone, a certificate from every caller. Any key passes the handshake, since a caller that is to be paired
/// has one that nobody knows; what a key may call is decided call by call. An expired certificate and a revoked key do not pass.
/// </summary>
internal sealed class TlsDoor(
    ListenerOptions options, AgentIdentity identity, CertificateRules rules, Clients clients, OpenConnections open, Refusals refusals, TimeProvider time, ILogger<TlsDoor> logger)
{
    private static readonly TimeSpan HandshakeTime = TimeSpan.FromSeconds(5);

    /// <summary>In which a key without a role may be paired; then it has to go.</summary>
    private static readonly TimeSpan StrangersTime = TimeSpan.FromSeconds(30);

    public void Listen(KestrelServerOptions kestrel) => kestrel.Listen(options.Address, listen =>
    {
        listen.Protocols = HttpProtocols.Http2;
        listen.Use(next => connection => WatchAsync(connection, next));
        listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = handshake => ValueTask.FromResult(Handshake(handshake.Connection)), HandshakeTimeout = HandshakeTime });
        listen.Use(next => connection => EnterAsync(connection, next));
        logger.Listening(options.Address.ToString(), identity.Shown.Fingerprint);
    });

    /// <summary>
    /// Takes certificates, roles and revoked keys as configuration and its files have them now. Connections of whom that does not let in any more are ended.
    /// The address, and whose key the agent shows, stay as they are until it is restarted.
    /// </summary>
    /// <exception cref="OperatorException">A file cannot be used: what it was read for stays as it was.</exception>
    public void Renew(ListenerOptions wanted)
    {
        Func<TlsPeer, bool> stays = rules.Change(wanted);
        int ended = open.Abort(peer => !stays(peer), "not let in any more");
        logger.RulesRead(ended);
        identity.ReadAgain(wanted);
    }

    // Outside of TLS: sees those that never come through it.
    private async Task WatchAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        string from = TlsPeer.FromOf(connection.RemoteEndPoint);
        BrokenConnections.Watch(connection.Features, from);
        await next(connection);
        if (connection.Features.Get<Arrival>() is null or { Outcome: null }) refusals.Count(Refusals.Handshake, from);
    }

    private SslServerAuthenticationOptions Handshake(ConnectionContext connection)
    {
        ShownKey shown = identity.Shown;
        var arrival = new Arrival();
        connection.Features.Set(arrival);
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = shown.Context,
            EnabledSslProtocols = SslProtocols.Tls13,
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            ClientCertificateRequired = true,
            AllowTlsResume = false,      // each connection proves its key anew
            AllowRenegotiation = false,
            CertificateChainPolicy = CertificateChecks.Policy(rules.Authorities, time.GetUtcNow()),
            RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
            {
                if (certificate is not X509Certificate2 presented) return false;
                arrival.Outcome = Judge(presented, errors, connection.RemoteEndPoint, shown);
                return arrival.Outcome is TlsPeer;
            },
        };
    }

    /// <returns>A <see cref="TlsPeer"/>, or what was counted.</returns>
    private object Judge(X509Certificate2 certificate, SslPolicyErrors errors, EndPoint? from, ShownKey shown)
    {
        if (!CertificateChecks.IsInTime(certificate, time.GetUtcNow())) return Refused(Refusals.Expired);
        string fingerprint = Fingerprint.Of(certificate);
        if (rules.IsRevoked(fingerprint)) return Refused(Refusals.Revoked);
        bool certified = rules.Authorities.Count > 0 && errors == SslPolicyErrors.None;
        return new TlsPeer(fingerprint, certified ? CommonName(certificate) : null, shown.Fingerprint, clients.Find(fingerprint), from as IPEndPoint);

        string Refused(string kind)
        {
            refusals.Count(kind, TlsPeer.FromOf(from));
            return kind;
        }
    }

    /// <returns>Null where there is none, or more than one.</returns>
    private static string? CommonName(X509Certificate2 certificate)
    {
        const string Oid = "2.5.4.3";
        string?[] names = [.. certificate.SubjectName.EnumerateRelativeDistinguishedNames()
            .Where(part => !part.HasMultipleElements && part.GetSingleElementType().Value == Oid).Select(part => part.GetSingleElementValue())];
        return names is [{ } only] ? only : null;
    }

    // Inside of TLS.
    private async Task EnterAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.Features.Get<Arrival>()?.Outcome is not TlsPeer peer) throw new InvalidOperationException("a connection came through TLS without a caller's key");
        connection.Features.Set(peer);
        if (!open.TryAdd(connection, peer))
        {
            refusals.Count(Refusals.Key, peer.From);
            connection.Abort(new ConnectionAbortedException("too many connections of one key"));
            return;
        }
        try
        {
            using ITimer? limit = HasRole(peer) ? null : time.CreateTimer(_ => Dismiss(connection, peer), null, StrangersTime, Timeout.InfiniteTimeSpan);
            await next(connection);
        }
        finally
        {
            open.Remove(connection);
        }
    }

    private void Dismiss(ConnectionContext connection, TlsPeer peer)
    {
        if (HasRole(peer)) return;    // it was paired meanwhile
        refusals.Count(Refusals.Idle, peer.From);
        connection.Abort(new ConnectionAbortedException("a key without a role"));
    }

    private bool HasRole(TlsPeer peer) => clients.Find(peer.Fingerprint) is not null || rules.RoleOf(peer.CertifiedName) is not null;

    /// <summary>What became of a handshake; null: it did not come as far as the certificate.</summary>
    private sealed class Arrival
    {
        public object? Outcome { get; set; }
    }
}

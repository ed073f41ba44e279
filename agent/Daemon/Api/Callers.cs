using Agent.Artifacts;
using Agent.Daemon.Access;
using Agent.Daemon.Configuration;
using Microsoft.AspNetCore.Http.Features;

namespace Agent.Daemon.Api;

/// <summary>Who calls.</summary>
/// <param name="By">As journal, history and audit name it: <c>uid 0 (root)</c>, <c>ann-laptop (tls)</c>.</param>
/// <param name="From">Where the call came from: <c>pid 4711 on the agent's socket</c>, <c>192.0.2.7 port 40222</c>.</param>
internal sealed record Caller(string By, string From, Role Role)
{
    /// <summary>Null: it called on the socket.</summary>
    public TlsPeer? Peer { get; init; }

    /// <summary>The paired caller that it is; null: it is none.</summary>
    public Client? Client { get; init; }

    /// <summary>The name alone, as configuration has it: <c>ann</c>; null: there is none.</summary>
    public string? Name { get; init; }
}

/// <summary>
/// Gives callers their role: by the groups of the process at the other end of the socket, or by the key at the other end of TLS. Who may connect at
/// all to the socket, its mode says; it is checked here again, as a mode can be changed by a slip of the hand.
/// </summary>
/// <param name="rules">Null: the agent does not listen on the network.</param>
internal sealed class Callers(RoleGroups groups, AgentOptions options, Clients clients, CertificateRules? rules)
{
    /// <param name="request">What is known of it: the caller, where <see cref="FrontDoor"/> has seen it, <see cref="PeerCredentials"/> on the socket. Nothing: without a role.</param>
    public Caller Of(IFeatureCollection request) => request.Get<Caller>() ?? Of(request.Get<PeerCredentials>());

    /// <summary>A call over TLS. Asked once a call: a next key takes the place of the one before by calling.</summary>
    public Caller Of(TlsPeer peer)
    {
        if (clients.Called(peer.Fingerprint, peer.Known) is { } client)
            return new Caller($"{client.Name} (tls)", peer.From, Roles.Parse(client.Role)) { Name = client.Name, Peer = peer, Client = client };
        if (peer.CertifiedName is { } name && rules?.RoleOf(name) is { } role)
            return new Caller($"{PlainText.Of(name, 64)} (tls, ca)", peer.From, Roles.Parse(role)) { Name = name, Peer = peer };
        return new Caller($"key {peer.KeyName} (tls)", peer.From, Role.None) { Peer = peer };
    }

    /// <param name="peer">Null: not known, so without a role.</param>
    public Caller Of(PeerCredentials? peer) =>
        new(peer?.ToString() ?? "somebody unknown", peer is null ? "" : $"pid {peer.Pid} on the agent's socket", groups.RoleOf(peer)) { Name = peer?.Name };

    /// <param name="wish">As in <c>may not deploy</c>.</param>
    /// <exception cref="CallerRefusedException">The caller's role is less than that.</exception>
    public void Demand(Caller caller, Role role, string wish)
    {
        if (caller.Role < role) throw Refusal(caller, role, wish);
    }

    /// <summary>What a caller is told whose role is less than what its wish takes.</summary>
    public CallerRefusedException Refusal(Caller caller, Role role, string wish)
    {
        string has = caller.Role == Role.None ? "it has no role here" : $"it is {Roles.Word(caller.Role)}";
        IReadOnlyList<string> names = role switch { Role.Viewer => options.Viewers, Role.Deployer => options.Deployers, _ => options.Admins };
        return new CallerRefusedException(
            $"{caller.By} may not {wish}: {has}, and that takes {Roles.Word(role)}",
            caller switch
            {
                { Peer: not null, Client: { } client } => $"on the host: sudo agentctl clients remove {client.Name}, then pair it again with --role {Roles.Word(role)}",
                { Peer: not null } => $"pair this key: on the host, sudo agentctl pair --new --name NAME --role {Roles.Word(role)}; then here, agentctl pair ADDRESS",
                _ when names.Count > 0 => $"use sudo, or join the group: sudo usermod -aG {names[0]} USER, and log in again",
                _ => "use sudo",
            });
    }
}

/// <summary>PERMISSION_DENIED: who asks may not.</summary>
internal sealed class CallerRefusedException(string what, string remedy) : Exception(what)
{
    public OperatorException Told => new(ExitCode.Refused, Message, remedy, this);
}

using System.Net;
using Agent.Artifacts;
using Agent.Daemon.Access;
using Agent.Daemon.Configuration;
using Agent.Protos.Access;
using Google.Protobuf;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>agent.v1.AccessService: who may call over the network, and by which keys.</summary>
/// <param name="listener">Null: the agent does not listen on the network.</param>
/// <param name="identity">Null: as above.</param>
internal sealed class AccessService(
    ApiCalls calls, Clients clients, PairingCodes codes, OpenConnections open, ListenerOptions? listener, AgentIdentity? identity, TimeProvider time, ILogger<AccessService> logger)
    : V1.AccessService.AccessServiceBase
{
    public override Task<V1.CreatePairingCodeResponse> CreatePairingCode(V1.CreatePairingCodeRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, OfAgent($"pair --new --name {request.Name} --role {request.Role}"), (caller, _) =>
        {
            if (listener is null) throw DoesNotListen();
            if (!Clients.IsName(request.Name)) throw new OperatorException(ExitCode.Usage, $"'{PlainText.Of(request.Name, 40)}' is no name for a caller", "use letters, digits and . _ -, 40 at most");
            Role role = Roles.Parse(request.Role);
            if (role == Role.None) throw new OperatorException(ExitCode.Usage, $"'{PlainText.Of(request.Role, 40)}' is no role", "use viewer, deployer or admin");
            TimeSpan valid = request.Valid?.ToTimeSpan() ?? PairingCodes.Usual;
            if (valid <= TimeSpan.Zero || valid > PairingCodes.Longest) throw new OperatorException(ExitCode.Usage, "a code is valid for an hour at most", "name a shorter time, or leave it out");
            clients.CheckFree(request.Name);
            return Task.FromResult(new V1.CreatePairingCodeResponse
            {
                Code = codes.Create(new Invitation(request.Name, role, caller.By), valid),
                Expires = Messages.Of(time.GetUtcNow() + valid),
                Addresses = { Address(listener) },
            });
        }, _ => ApiCalls.Done);

    public override Task<V1.PairResponse> Pair(V1.PairRequest request, ServerCallContext context) => calls.ChangeAsync(context, OfAgent("pair"), (caller, _) =>
    {
        if (caller.Peer is not { } peer) throw new OperatorException(ExitCode.Usage, "only callers over the network are paired", "the agent's socket needs no pairing");
        if (caller.Role != Role.None) throw new OperatorException(ExitCode.Refused, $"this key is known here already, as {caller.By}", "it needs no pairing");
        if (codes.Use(request.Proof.Span, peer.Fingerprint, peer.AgentsKey, out int voided) is not { } used)
        {
            if (voided > 0) logger.CodesVoided(voided);
            throw new OperatorException(ExitCode.Refused, "this code lets nobody in: it is wrong, has expired, or was used", "make a new one on the host: sudo agentctl pair --new --name NAME --role ROLE");
        }
        string role = Roles.Word(used.Invitation.Role);
        clients.Add(new Client(used.Invitation.Name, peer.Fingerprint, role, time.GetUtcNow(), used.Invitation.By));
        return Task.FromResult(new V1.PairResponse { Proof = ByteString.CopyFrom(used.Proof), Name = used.Invitation.Name, Role = role });
    }, response => $"paired as {response.Name}, {response.Role}");

    public override Task<V1.ListClientsResponse> ListClients(V1.ListClientsRequest request, ServerCallContext context) => calls.AnswerAsync(context, (_, _) =>
        Task.FromResult(new V1.ListClientsResponse
        {
            Clients =
            {
                clients.All.OrderBy(client => client.Name, StringComparer.Ordinal).Select(client => new V1.Client
                {
                    Name = client.Name,
                    Role = client.Role,
                    Fingerprint = client.Fingerprint,
                    Since = Messages.Of(client.Since),
                    By = client.By,
                    LastCall = Messages.Of(client.LastCall),
                    NextFingerprint = client.NextFingerprint ?? "",
                    Connections = open.Count(client),
                }),
            },
        }));

    public override Task<V1.ChangeResponse> RemoveClient(V1.RemoveClientRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, OfAgent($"clients remove {request.Name}"), (_, _) =>
        {
            Client removed = clients.Remove(request.Name);
            int ended = open.Abort(removed);
            logger.ClientRemoved(removed.Name, ended);
            return Task.FromResult(new V1.ChangeResponse { Message = $"{removed.Name} is let in no more; {(ended == 1 ? "1 connection was" : $"{ended} connections were")} ended" });
        }, _ => ApiCalls.Done);

    public override Task<V1.RenewClientResponse> RenewClient(V1.RenewClientRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, OfAgent($"pair --renew {PlainText.Of(Fingerprint.Abbreviate(request.Fingerprint), 40)}"), (caller, _) =>
        {
            if (caller.Client is not { } client)
                throw new OperatorException(ExitCode.Refused, $"{caller.By} was not paired, so it has no key to renew here", caller.Peer is null ? "run it where the key is" : "have the CA issue another certificate");
            if (!Fingerprint.IsOne(request.Fingerprint)) throw new OperatorException(ExitCode.Usage, "this is no fingerprint of a key", "write sha256: and 64 hexadecimal digits");
            clients.Renew(client.Name, request.Fingerprint);
            return Task.FromResult(new V1.RenewClientResponse());
        }, _ => ApiCalls.Done);

    public override Task<V1.GetIdentityResponse> GetIdentity(V1.GetIdentityRequest request, ServerCallContext context) =>
        calls.AnswerAsync(context, (_, _) => Task.FromResult(Identity()));

    public override Task<V1.GetIdentityResponse> RotateIdentity(V1.RotateIdentityRequest request, ServerCallContext context) =>
        calls.ChangeAsync(context, OfAgent(request.Finish ? "host rotate-key --finish" : "host rotate-key"), (_, _) =>
        {
            if (identity is null) throw DoesNotListen();
            if (request.Finish) identity.ChangeOver();
            else identity.MakeNext();
            return Task.FromResult(Identity());
        }, response => Fingerprint.Abbreviate(request.Finish ? response.Fingerprint : response.NextFingerprint));

    private static Wish OfAgent(string text) => new("", text) { IsOfAgent = true };

    private static OperatorException DoesNotListen() =>
        new(ExitCode.Refused, "this agent does not listen on the network", "add listen: to /etc/agentd/agentd.yaml and restart agentd; see docs/how-to/tls.md");

    private static string Address(ListenerOptions listener)
    {
        IPAddress address = listener.Address.Address;
        string host = address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? Environment.MachineName : address.ToString();
        return $"https://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{listener.Address.Port}";
    }

    private V1.GetIdentityResponse Identity()
    {
        ShownKey shown = identity?.Shown ?? throw DoesNotListen();
        return new V1.GetIdentityResponse { Fingerprint = shown.Fingerprint, NextFingerprint = shown.Next ?? "" };
    }
}

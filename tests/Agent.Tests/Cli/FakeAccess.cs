using Agent.Protos;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>Who may call the <see cref="FakeAgent"/> over the network: ann, whose key changes, and ci.</summary>
internal sealed class FakeAccess : AccessService.AccessServiceBase
{
    private static readonly Timestamp Noon = Timestamp.FromDateTimeOffset(new DateTimeOffset(2026, 11, 20, 12, 0, 0, TimeSpan.Zero));

    public override Task<CreatePairingCodeResponse> CreatePairingCode(CreatePairingCodeRequest request, ServerCallContext context) => request.Name != "ann-laptop"
        ? Task.FromResult(new CreatePairingCodeResponse { Code = "3QX7A-9F0KD-M2T5B-RW8HC-4ZE1NV", Expires = Noon + request.Valid, Addresses = { "https://web1:7443" } })
        : throw Errors.ToException(StatusCode.FailedPrecondition, new OperatorError { What = "ann-laptop is paired already", Remedy = "choose another name, or remove that one: sudo agentctl clients remove ann-laptop", ExitCode = 5 });

    public override Task<ListClientsResponse> ListClients(ListClientsRequest request, ServerCallContext context) => Task.FromResult(new ListClientsResponse
    {
        Clients =
        {
            new Client { Name = "ann-laptop", Role = "deployer", Fingerprint = Key('a'), NextFingerprint = Key('b'), Since = Noon, By = "uid 0 (root)", LastCall = Noon, Connections = 2 },
            new Client { Name = "ci", Role = "viewer", Fingerprint = Key('c'), Since = Noon, By = "ann-laptop (tls)" },
        },
    });

    public override Task<ChangeResponse> RemoveClient(RemoveClientRequest request, ServerCallContext context) => request.Name == "ci"
        ? Task.FromResult(new ChangeResponse { Message = "ci is let in no more; 0 connections were ended" })
        : throw Errors.ToException(StatusCode.InvalidArgument, new OperatorError { What = $"no caller {request.Name} is paired with this agent", Remedy = "see who is: agentctl clients list", ExitCode = 2 });

    public override Task<GetIdentityResponse> RotateIdentity(RotateIdentityRequest request, ServerCallContext context) =>
        Task.FromResult(request.Finish ? new GetIdentityResponse { Fingerprint = Key('e') } : new GetIdentityResponse { Fingerprint = Key('d'), NextFingerprint = Key('e') });

    private static string Key(char digit) => "sha256:" + new string(digit, 64);
}

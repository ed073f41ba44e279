using Agent.Protos;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace Agent.Tests.Cli;

/// <summary>What an agent with a fixed story says of the database of <c>shop</c>. A part for each matter.</summary>
internal sealed partial class FakeDatabase : DatabaseService.DatabaseServiceBase
{
    private static Timestamp At(double hours) => Timestamp.FromDateTimeOffset(new DateTimeOffset(2026, 11, 20, 12, 0, 0, TimeSpan.Zero).AddHours(hours));

    private static RpcException Error(StatusCode code, string what, string remedy, int exitCode) =>
        Errors.ToException(code, new OperatorError { What = what, Remedy = remedy, ExitCode = exitCode });
}

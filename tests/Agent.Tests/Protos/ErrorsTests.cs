using Agent.Protos;
using Agent.Tests.Protos.V1;
using Agent.V1;
using Grpc.Core;

namespace Agent.Tests.Protos;

public class ErrorsTests
{
    [Fact]
    public async Task The_operators_error_travels_with_the_status()
    {
        var error = new OperatorError { What = "shop v1.2.0 is quarantined — 50 %", Remedy = "agentctl why shop", ExitCode = 5 };
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (_, _) => throw Errors.ToException(StatusCode.FailedPrecondition, error) });
        var refused = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage()).ResponseAsync);
        Assert.Equal(error, Errors.FromException(refused));
        Assert.Equal((StatusCode.FailedPrecondition, error.What), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task Long_texts_are_cut_so_that_they_arrive()
    {
        var error = new OperatorError { What = new string('ü', 100_000), Remedy = string.Concat(Enumerable.Repeat("😀", 100_000)), ExitCode = 3 };
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (_, _) => throw Errors.ToException(StatusCode.Internal, error) });
        var refused = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage()).ResponseAsync);
        var received = Errors.FromException(refused)!;
        Assert.Equal(3, received.ExitCode);
        Assert.Equal(new string('ü', 999) + "…", received.What);
        Assert.EndsWith("😀…", received.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_failure_without_readable_detail_has_none()
    {
        Assert.Null(Errors.FromException(new RpcException(new Status(StatusCode.Internal, ""))));
        Assert.Null(Errors.FromException(new RpcException(new Status(StatusCode.Internal, ""), new Metadata { { "grpc-status-details-bin", [255, 255] } })));
        Assert.Null(Errors.FromException(new RpcException(new Status(StatusCode.Internal, ""), new Metadata { { "grpc-status-details-bin", [] } })));
    }
}

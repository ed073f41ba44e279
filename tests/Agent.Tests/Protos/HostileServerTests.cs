using Agent.Tests.Protos.V1;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Agent.Tests.Protos;

/// <summary>Answers that no good server gives: each is a failed call with a status, never a hang or another exception.</summary>
public class HostileServerTests
{
    private static readonly Dictionary<string, Func<HttpContext, Task>> Answers = new()
    {
        ["404"] = http => Plain(http, 404),
        ["403"] = http => Plain(http, 403),
        ["503"] = http => Plain(http, 503),
        ["html"] = async http =>
        {
            http.Response.ContentType = "text/html";
            await http.Response.WriteAsync("<p>hello");
        },
        ["no status"] = http => Body(http, "0000000000"),
        ["status of nonsense"] = http => Body(http, "0000000000", "nonsense"),
        ["status 99"] = http => Body(http, "0000000000", "99"),
        ["no message"] = http => Body(http, "", "0"),
        ["two messages"] = http => Body(http, "00000000000000000000", "0"),
        ["half a message"] = http => Body(http, "00000000050A", "0"),
        ["not a protobuf"] = http => Body(http, "0000000003FFFFFF", "0"),
        ["compressed"] = http => Body(http, "0100000000", "0"),
        ["four gigabytes announced"] = http => Body(http, "00FFFFFFFF", "0"),
        ["bad base64"] = http =>
        {
            http.Response.AppendTrailer("x-bin", "%%%");
            return Body(http, "0000000000", "0");
        },
        ["gone"] = async http =>
        {
            http.Response.ContentType = "application/grpc";
            await http.Response.Body.FlushAsync();
            http.Abort();
        },
    };

    [Theory]
    [InlineData("404", StatusCode.Unimplemented)]
    [InlineData("403", StatusCode.PermissionDenied)]
    [InlineData("503", StatusCode.Unavailable)]
    [InlineData("html", StatusCode.Unknown)]
    [InlineData("no status", StatusCode.Unknown)]
    [InlineData("status of nonsense", StatusCode.Unknown)]
    [InlineData("status 99", StatusCode.Unknown)]
    [InlineData("no message", StatusCode.Internal)]
    [InlineData("two messages", StatusCode.Internal)]
    [InlineData("half a message", StatusCode.Internal)]
    [InlineData("not a protobuf", StatusCode.Internal)]
    [InlineData("compressed", StatusCode.Internal)]
    [InlineData("four gigabytes announced", StatusCode.ResourceExhausted)]
    [InlineData("bad base64", StatusCode.Internal)]
    [InlineData("gone", StatusCode.Internal)]
    public async Task A_bad_answer_is_a_failed_call(string answer, StatusCode expected)
    {
        await using var server = await TestServer.StartAsync(_ => { }, app => app.Run(http => Answers[answer](http)));
        var call = server.Client().UnaryAsync(new EchoMessage());
        var failed = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Equal((answer, expected), (answer, failed.StatusCode));
        Assert.Equal(expected, call.GetStatus().StatusCode);
    }

    private static Task Plain(HttpContext http, int status)
    {
        http.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private static async Task Body(HttpContext http, string hex, string? status = null)
    {
        http.Response.ContentType = "application/grpc";
        await http.Response.StartAsync();
        await http.Response.Body.WriteAsync(Convert.FromHexString(hex));
        if (status is not null)
            http.Response.AppendTrailer("grpc-status", status);
    }
}

using System.Diagnostics;
using Agent.Protos;
using Agent.Tests.Protos.V1;
using Agent.V1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Grpc.Net.Client;

namespace Agent.Tests.Protos;

/// <summary>Each side of the transport against the reference implementation of gRPC.</summary>
public class PythonInteropTests
{
    private const string Python = "/usr/bin/python3";   // Debian's, which sees Debian's packages

    private static readonly OperatorError Refusal = new() { What = "100 % ünïcode\nin two lines", Remedy = "agentctl why shop", ExitCode = 5 };

    [Theory, InlineData(false), InlineData(true)]
    public async Task The_reference_client_understands_our_server(bool unix)
    {
        await RequireGrpcAsync();
        var left = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, context) =>
            {
                switch (request.Text)
                {
                    case "metadata":
                        await context.WriteResponseHeadersAsync(new Metadata { { "first", "1" }, { "first-bin", [0, 255] } });
                        context.ResponseTrailers.Add("last", "2");
                        context.ResponseTrailers.Add("last-bin", [1, 2, 3]);
                        var seen = context.RequestHeaders;
                        return new EchoMessage { Text = $"{seen.GetValue("word")} {Convert.ToHexStringLower(seen.GetValueBytes("blob-bin")!)}" };
                    case "refuse":
                        throw Errors.ToException(StatusCode.FailedPrecondition, Refusal);
                    case "crash":
                        throw new InvalidOperationException("secret");
                    default:
                        return request;
                }
            },
            OnServerStream = async (request, responses, context) =>
            {
                for (var i = 0; i < request.Count; i++)
                    await responses.WriteAsync(new EchoMessage { Text = request.Text, Count = i });
                if (request.Text != "hang")
                    return;
                await responses.WriteAsync(new EchoMessage());
                await Record.ExceptionAsync(() => Task.Delay(Timeout.Infinite, context.CancellationToken));
                if (context.Deadline - DateTime.UtcNow > TimeSpan.FromSeconds(2))
                    left.SetResult();   // the caller that cancelled, not the one whose deadline passed
            },
        });
        using var client = Start("echo_client.py", unix ? $"unix:{server.SocketPath}" : $"127.0.0.1:{server.Port}");
        var (output, errors) = (client.StandardOutput.ReadToEndAsync(), client.StandardError.ReadToEndAsync());
        await client.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.True(client.ExitCode == 0, await errors);
        Assert.Equal(
            $"""
            unary hello 7
            server stream [0, 1, 2, 3, 4]
            client stream abc 3
            duplex [1, 2, 3]
            metadata x 00ff01
            headers [('first', '1'), ('first-bin', b'\x00\xff')]
            trailers [('last', '2'), ('last-bin', b'\x01\x02\x03')]
            refused FAILED_PRECONDITION 100 % ünïcode
            in two lines
            details {Details()}
            crashed UNKNOWN Exception was thrown by handler.
            late DEADLINE_EXCEEDED
            unknown UNIMPLEMENTED
            too long RESOURCE_EXHAUSTED
            cancelled CANCELLED

            """,
            await output);
        await left.Task.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Our_client_understands_the_reference_server(bool unix)
    {
        await RequireGrpcAsync();
        var directory = Directory.CreateTempSubdirectory("agent-tests-");
        using var server = Start("echo_server.py", unix ? $"unix:{directory.FullName}/py.sock" : "127.0.0.1:0", Details());
        try
        {
            var port = await server.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));
            using var channel = unix
                ? GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = UnixHandler($"{directory.FullName}/py.sock"), DisposeHttpClient = true })
                : GrpcChannel.ForAddress($"http://127.0.0.1:{port}");
            await CallEverythingAsync(new Echo.EchoClient(channel));
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync();
            directory.Delete(recursive: true);
        }
    }

    private static async Task CallEverythingAsync(Echo.EchoClient client)
    {
        Assert.Equal(new EchoMessage { Text = "hello", Count = 7 }, await client.UnaryAsync(new EchoMessage { Text = "hello", Count = 7 }));
        Assert.Equal("blocking", client.Unary(new EchoMessage { Text = "blocking" }).Text);

        using var down = client.ServerStream(new EchoMessage { Text = "x", Count = 5 });
        var counts = new List<int>();
        await foreach (var response in down.ResponseStream.ReadAllAsync())
            counts.Add(response.Count);
        Assert.Equal([0, 1, 2, 3, 4], counts);

        using var up = client.ClientStream();
        foreach (var text in (string[])["a", "b", "c"])
            await up.RequestStream.WriteAsync(new EchoMessage { Text = text });
        await up.RequestStream.CompleteAsync();
        Assert.Equal(new EchoMessage { Text = "abc", Count = 3 }, await up);

        using var both = client.Duplex();
        for (var i = 1; i <= 3; i++)
        {
            await both.RequestStream.WriteAsync(new EchoMessage { Count = i });
            Assert.True(await both.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal(i, both.ResponseStream.Current.Count);
        }
        await both.RequestStream.CompleteAsync();
        Assert.False(await both.ResponseStream.MoveNext(CancellationToken.None));

        using var metadata = client.UnaryAsync(new EchoMessage { Text = "metadata" }, new Metadata { { "word", "x" }, { "blob-bin", [0, 255, 1] } });
        Assert.Equal("x 00ff01", (await metadata).Text);
        Assert.Equal("1", (await metadata.ResponseHeadersAsync).GetValue("first"));
        Assert.Equal([0, 255], (await metadata.ResponseHeadersAsync).GetValueBytes("first-bin"));
        Assert.Equal("2", metadata.GetTrailers().GetValue("last"));
        Assert.Equal([1, 2, 3], metadata.GetTrailers().GetValueBytes("last-bin"));

        var refused = await FailureAsync(client.UnaryAsync(new EchoMessage { Text = "refuse" }));
        Assert.Equal((StatusCode.FailedPrecondition, Refusal.What), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal(Refusal, Errors.FromException(refused));
        Assert.Equal(StatusCode.Unknown, (await FailureAsync(client.UnaryAsync(new EchoMessage { Text = "crash" }))).StatusCode);
        var late = await FailureAsync(client.UnaryAsync(new EchoMessage { Text = "hang" }, deadline: DateTime.UtcNow.AddMilliseconds(500)));
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        var remaining = await client.UnaryAsync(new EchoMessage { Text = "remaining" }, deadline: DateTime.UtcNow.AddSeconds(90));
        Assert.InRange(remaining.Count, 60, 90);
        var distant = await client.UnaryAsync(new EchoMessage { Text = "remaining" }, deadline: DateTime.UtcNow.AddDays(300));
        Assert.Equal(100, distant.Count);

        using var hanging = client.ServerStream(new EchoMessage { Text = "hang", Count = 1 });
        Assert.True(await hanging.ResponseStream.MoveNext(CancellationToken.None));
        hanging.Dispose();
        Assert.Equal(1, (await client.UnaryAsync(new EchoMessage { Text = "was cancelled" })).Count);
    }

    private static Task<RpcException> FailureAsync(AsyncUnaryCall<EchoMessage> call) => Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);

    /// <summary>google.rpc.Status with the refusal, as hex; packed by the library, not by the code under test.</summary>
    private static string Details()
    {
        var status = new Google.Rpc.Status { Code = (int)StatusCode.FailedPrecondition, Message = Refusal.What, Details = { Any.Pack(Refusal) } };
        return Convert.ToHexStringLower(status.ToByteArray());
    }

    private static SocketsHttpHandler UnixHandler(string path) => new()
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, 0);
            await socket.ConnectAsync(new System.Net.Sockets.UnixDomainSocketEndPoint(path), cancellationToken);
            return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
        },
    };

    private static Process Start(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo(Python) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Protos", script));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["PYTHONDONTWRITEBYTECODE"] = "1";
        start.Environment["PYTHONUTF8"] = "1";
        return Process.Start(start)!;
    }

    private static async Task RequireGrpcAsync()
    {
        if (File.Exists(Python))
        {
            using var check = Process.Start(new ProcessStartInfo(Python, ["-c", "import grpc"]) { RedirectStandardError = true })!;
            await check.WaitForExitAsync();
            if (check.ExitCode == 0)
                return;
        }
        Assert.Skip("needs python3-grpcio: apt-get install python3-grpcio");
    }
}

using Agent.Tests.Protos.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Agent.Tests.Protos;

public class LimitTests
{
    private const int Limit = 4 * 1024 * 1024;

    [Fact]
    public async Task A_message_at_the_limit_passes_and_one_above_is_refused_by_the_server()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (request, _) => Task.FromResult(new EchoMessage { Count = request.Payload.Length }) });
        var fitting = Sized(Limit);
        Assert.Equal(fitting.Payload.Length, (await server.Client().UnaryAsync(fitting)).Count);
        var refused = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(Sized(Limit + 1)).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
    }

    [Fact]
    public async Task A_message_above_the_limit_is_refused_by_the_client()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (request, _) => Task.FromResult(Sized(request.Count)) });
        Assert.Equal(Limit, (await server.Client().UnaryAsync(new EchoMessage { Count = Limit })).CalculateSize());
        var refused = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage { Count = Limit + 1 }).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, refused.StatusCode);
        var wider = new Echo.EchoClient(server.Channel(options: new GrpcChannelOptions { MaxReceiveMessageSize = null }));
        Assert.Equal(Limit + 1, (await wider.UnaryAsync(new EchoMessage { Count = Limit + 1 })).CalculateSize());
    }

    [Fact]
    public async Task Either_side_may_bound_what_it_sends()
    {
        await using var server = await TestServer.StartAsync(
            new ScriptedEcho { OnUnary = (request, _) => Task.FromResult(Sized(request.Count)) }, options => options.MaxSendMessageSize = 1000);
        var response = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage { Count = 1001 }).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, response.StatusCode);
        var client = new Echo.EchoClient(server.Channel(options: new GrpcChannelOptions { MaxSendMessageSize = 1000 }));
        var request = await Assert.ThrowsAsync<RpcException>(() => client.UnaryAsync(Sized(1001)).ResponseAsync);
        Assert.Equal(StatusCode.ResourceExhausted, request.StatusCode);
        using var stream = client.ClientStream();
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(() => stream.RequestStream.WriteAsync(Sized(1001)))).StatusCode);
    }

    [Fact]
    public async Task A_long_stream_of_requests_is_not_bounded_as_a_whole()
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client().ClientStream();
        var message = Sized(1024 * 1024);
        for (var i = 0; i < 40; i++)   // Kestrel's default for a whole body is 30 MB
            await call.RequestStream.WriteAsync(message);
        await call.RequestStream.CompleteAsync();
        Assert.Equal(40, (await call).Count);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_hundred_calls_share_one_connection(bool unix)
    {
        var inside = 0;
        var all = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, _) =>
            {
                if (Interlocked.Increment(ref inside) == 100)
                    all.SetResult();
                await all.Task;
                return request;
            },
        });
        var client = server.Client(unix);
        var calls = Enumerable.Range(0, 100).Select(i => client.UnaryAsync(new EchoMessage { Count = i }).ResponseAsync).ToList();
        var responses = await Task.WhenAll(calls).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(Enumerable.Range(0, 100), responses.Select(response => response.Count));
        Assert.Equal(1, server.Connections);
    }

    [Fact]
    public async Task A_slow_reader_slows_the_server()
    {
        long written = 0;
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (request, responses, _) =>
            {
                for (var i = 0; i < request.Count; i++)
                {
                    await responses.WriteAsync(new EchoMessage { Count = i, Payload = request.Payload });
                    Interlocked.Increment(ref written);
                }
            },
        });
        using var call = server.Client().ServerStream(new EchoMessage { Count = 400, Payload = ByteString.CopyFrom(new byte[256 * 1024]) });
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.InRange(await Eventually.StopsAsync(() => Interlocked.Read(ref written)), 0, 120);   // 30 of 100 MB
        var read = 1;
        while (await call.ResponseStream.MoveNext(CancellationToken.None))
            Assert.Equal(read++, call.ResponseStream.Current.Count);
        Assert.Equal(400, read);
    }

    [Fact]
    public async Task A_slow_handler_slows_the_caller()
    {
        var proceed = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnClientStream = async (requests, _) =>
            {
                await proceed.Task;
                var count = 0;
                while (await requests.MoveNext(CancellationToken.None))
                    count++;
                return new EchoMessage { Count = count };
            },
        });
        using var call = server.Client().ClientStream();
        long written = 0;
        var writing = Task.Run(async () =>
        {
            for (; written < 400; Interlocked.Increment(ref written))
                await call.RequestStream.WriteAsync(Sized(256 * 1024));
            await call.RequestStream.CompleteAsync();
        });
        Assert.InRange(await Eventually.StopsAsync(() => Interlocked.Read(ref written)), 0, 120);
        proceed.SetResult();
        await writing;
        Assert.Equal(400, (await call).Count);
    }

    [Fact]
    public async Task A_second_write_at_the_same_time_is_refused()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (_, responses, _) =>
            {
                var first = responses.WriteAsync(Sized(Limit));
                var second = await Record.ExceptionAsync(() => responses.WriteAsync(Sized(1)));
                await first;
                await responses.WriteAsync(new EchoMessage { Text = second?.GetType().Name ?? "none" });
            },
        });
        using var call = server.Client().ServerStream(new EchoMessage());
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(nameof(InvalidOperationException), call.ResponseStream.Current.Text);
    }

    /// <summary>A message that is this long on the wire: a tag, a length and a payload.</summary>
    private static EchoMessage Sized(int bytes) =>
        new() { Payload = ByteString.CopyFrom(new byte[Math.Max(0, bytes - 1 - CodedOutputStream.ComputeLengthSize(bytes))]) };
}

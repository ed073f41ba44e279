using Agent.Tests.Protos.V1;
using Grpc.Core;

namespace Agent.Tests.Protos;

/// <summary>Deadlines, cancellation, and sides that leave early.</summary>
public class EndingTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_deadline_is_known_to_the_handler_and_stops_it()
    {
        var stopped = new TaskCompletionSource<DateTime>();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, context) =>
            {
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.Delay(Timeout.Infinite, context.CancellationToken));
                stopped.SetResult(context.Deadline);
                return request;
            },
        });
        var deadline = DateTime.UtcNow.AddMilliseconds(300);
        var late = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage(), deadline: deadline).ResponseAsync);
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);
        Assert.InRange(await stopped.Task.WaitAsync(Patience) - deadline, TimeSpan.FromSeconds(-1), TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task The_server_keeps_the_deadline_itself_although_the_handler_does_not()
    {
        var release = new TaskCompletionSource();
        var afterwards = new TaskCompletionSource<Exception?>();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (_, responses, _) =>
            {
                await responses.WriteAsync(new EchoMessage());
                await release.Task;
                afterwards.SetResult(await Record.ExceptionAsync(() => responses.WriteAsync(new EchoMessage(), CancellationToken.None)));
            },
        });
        using var http = server.Http();   // no timer on this side
        var request = TestServer.Request("ServerStream", [0, 0, 0, 0, 0]);
        request.Headers.TryAddWithoutValidation("grpc-timeout", "200m");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(5, (await response.Content.ReadAsByteArrayAsync().WaitAsync(Patience)).Length);
        Assert.Equal("4", response.TrailingHeaders.GetValues("grpc-status").Single());
        Assert.False(afterwards.Task.IsCompleted);
        release.SetResult();
        Assert.NotNull(await afterwards.Task.WaitAsync(Patience));
        Assert.Equal("next", (await server.Client().UnaryAsync(new EchoMessage { Text = "next" })).Text);
    }

    [Fact]
    public async Task A_deadline_frees_a_handler_whose_caller_does_not_read()
    {
        var freed = new TaskCompletionSource<Exception?>();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (_, responses, _) => freed.SetResult(await Record.ExceptionAsync(async () =>
            {
                var message = new EchoMessage { Payload = Google.Protobuf.ByteString.CopyFrom(new byte[256 * 1024]) };
                while (true)
                    await responses.WriteAsync(message);
            })),
        });
        using var http = server.Http();
        var request = TestServer.Request("ServerStream", [0, 0, 0, 0, 0]);
        request.Headers.TryAddWithoutValidation("grpc-timeout", "300m");
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.NotNull(await freed.Task.WaitAsync(Patience));
        Assert.Equal("next", (await server.Client().UnaryAsync(new EchoMessage { Text = "next" })).Text);
    }

    [Fact]
    public async Task A_deadline_before_the_first_message_comes_without_a_body()
    {
        var release = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, _) =>
            {
                await release.Task;
                return request;
            },
        });
        using var http = server.Http();
        var request = TestServer.Request("Unary", [0, 0, 0, 0, 0]);
        request.Headers.TryAddWithoutValidation("grpc-timeout", "200m");
        using var response = await http.SendAsync(request).WaitAsync(Patience);
        Assert.Equal("4", response.Headers.GetValues("grpc-status").Single());
        release.SetResult();
    }

    [Fact]
    public async Task A_deadline_in_the_past_sends_nothing()
    {
        var calls = 0;
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = (request, _) =>
            {
                calls++;
                return Task.FromResult(request);
            },
        });
        var late = await Assert.ThrowsAsync<RpcException>(
            () => server.Client().UnaryAsync(new EchoMessage(), deadline: DateTime.UtcNow.AddSeconds(-1)).ResponseAsync);
        Assert.Equal((StatusCode.DeadlineExceeded, 0, 0), (late.StatusCode, calls, server.Connections));
        Assert.Throws<InvalidOperationException>(() => { server.Client().UnaryAsync(new EchoMessage(), deadline: DateTime.Now.AddHours(1)); });
    }

    [Theory, InlineData("token"), InlineData("dispose")]
    public async Task The_handler_sees_that_its_caller_left(string how)
    {
        var started = new TaskCompletionSource();
        var left = new TaskCompletionSource();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, context) =>
            {
                started.SetResult();
                using var registered = context.CancellationToken.Register(left.SetResult);
                await left.Task;
                return request;
            },
        });
        using var source = new CancellationTokenSource();
        var call = server.Client().UnaryAsync(new EchoMessage(), cancellationToken: source.Token);
        await started.Task.WaitAsync(Patience);
        if (how == "token")
            await source.CancelAsync();
        else
            call.Dispose();
        var cancelled = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync.WaitAsync(Patience));
        Assert.Equal(StatusCode.Cancelled, cancelled.StatusCode);
        await left.Task.WaitAsync(Patience);
    }

    [Theory, InlineData("token"), InlineData("dispose"), InlineData("reading")]
    public async Task A_streaming_handler_sees_that_its_caller_left(string how)
    {
        var left = new TaskCompletionSource<Exception?>();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnDuplex = async (requests, responses, context) =>
            {
                await responses.WriteAsync(new EchoMessage());
                left.SetResult(await Record.ExceptionAsync(() => requests.MoveNext(context.CancellationToken)));
            },
        });
        using var source = new CancellationTokenSource();
        var call = server.Client().Duplex(cancellationToken: how == "token" ? source.Token : default);
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var reading = call.ResponseStream.MoveNext(how == "reading" ? source.Token : default);
        if (how == "dispose")
            call.Dispose();
        else
            await source.CancelAsync();
        var cancelled = await Assert.ThrowsAsync<RpcException>(() => reading.WaitAsync(Patience));
        Assert.Equal(StatusCode.Cancelled, cancelled.StatusCode);
        Assert.NotNull(await left.Task.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<Exception>(() => call.RequestStream.WriteAsync(new EchoMessage()));
    }

    [Fact]
    public async Task Calls_that_end_at_their_deadline_end_in_one_of_two_ways()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnDuplex = async (_, responses, context) =>
            {
                await Task.Delay(context.Deadline - DateTime.UtcNow is { Ticks: > 0 } left ? left : TimeSpan.Zero, CancellationToken.None);
                await responses.WriteAsync(new EchoMessage());
            },
        });
        using var http = server.Http();   // no timer on this side
        var ends = new List<string>();
        foreach (var batch in Enumerable.Range(0, 600).Chunk(60))
            ends.AddRange(await Task.WhenAll(batch.Select(async i =>
            {
                var request = TestServer.Request("Duplex", [0, 0, 0, 0, 0]);
                request.Headers.TryAddWithoutValidation("grpc-timeout", $"{20 + (i % 20)}m");
                using var response = await http.SendAsync(request).WaitAsync(Patience);
                return (response.TrailingHeaders.TryGetValues("grpc-status", out var values) ? values : response.Headers.GetValues("grpc-status")).Single();
            })));
        Assert.Equal(600, ends.Count(status => status is "0" or "4"));
        Assert.Equal("after", (await server.Client().UnaryAsync(new EchoMessage { Text = "after" })).Text);
    }

    [Fact]
    public async Task A_handler_may_answer_before_the_requests_end()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnClientStream = async (requests, _) =>
            {
                await requests.MoveNext(CancellationToken.None);
                return new EchoMessage { Text = "enough" };
            },
        });
        using var call = server.Client().ClientStream();
        await call.RequestStream.WriteAsync(new EchoMessage());
        Assert.Equal("enough", (await call.ResponseAsync.WaitAsync(Patience)).Text);
        var over = await Assert.ThrowsAsync<RpcException>(() => call.RequestStream.WriteAsync(new EchoMessage()));
        Assert.Equal(StatusCode.OK, over.StatusCode);
    }

    [Fact]
    public async Task A_server_that_goes_away_is_unavailable_to_its_callers()
    {
        var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (_, responses, context) =>
            {
                await responses.WriteAsync(new EchoMessage());
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            },
        });
        using var channel = server.Channel();
        using var call = new Echo.EchoClient(channel).ServerStream(new EchoMessage());
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        var reading = call.ResponseStream.MoveNext(CancellationToken.None);
        await server.StopAsync();
        var gone = await Assert.ThrowsAsync<RpcException>(() => reading.WaitAsync(Patience));
        Assert.Equal(StatusCode.Unavailable, gone.StatusCode);
        await server.DisposeAsync();
    }
}

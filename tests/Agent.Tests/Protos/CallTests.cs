using Agent.Tests.Protos.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Protos;

public class CallTests
{
    [Theory, InlineData(false), InlineData(true)]
    public async Task One_request_has_one_response(bool unix)
    {
        await using var server = await TestServer.StartAsync();
        var response = await server.Client(unix).UnaryAsync(new EchoMessage { Text = "hello" });
        Assert.Equal("hello", response.Text);
        Assert.Equal("again", server.Client(unix).Unary(new EchoMessage { Text = "again" }).Text);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_stream_of_responses_arrives_whole_and_in_order(bool unix)
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client(unix).ServerStream(new EchoMessage { Count = 500, Payload = ByteString.CopyFrom(new byte[1000]) });
        var counts = new List<int>();
        await foreach (var response in call.ResponseStream.ReadAllAsync())
            counts.Add(response.Count);
        Assert.Equal(Enumerable.Range(0, 500), counts);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task A_stream_of_requests_has_one_response(bool unix)
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client(unix).ClientStream();
        foreach (var text in (string[])["a", "b", "c"])
            await call.RequestStream.WriteAsync(new EchoMessage { Text = text });
        await call.RequestStream.CompleteAsync();
        var response = await call;
        Assert.Equal(("abc", 3), (response.Text, response.Count));
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new EchoMessage()));
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task Both_sides_stream_in_turns(bool unix)
    {
        await using var server = await TestServer.StartAsync();
        using var call = server.Client(unix).Duplex();
        for (var i = 0; i < 20; i++)
        {
            await call.RequestStream.WriteAsync(new EchoMessage { Count = i });
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
            Assert.Equal(i, call.ResponseStream.Current.Count);
        }
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(CancellationToken.None));
    }

    [Fact]
    public async Task Streams_may_be_empty()
    {
        await using var server = await TestServer.StartAsync();
        using var down = server.Client().ServerStream(new EchoMessage());
        Assert.False(await down.ResponseStream.MoveNext(CancellationToken.None));
        using var up = server.Client().ClientStream();
        await up.RequestStream.CompleteAsync();
        Assert.Equal(0, (await up).Count);
    }

    [Fact]
    public async Task Metadata_travels_both_ways_also_binary()
    {
        var seen = new Metadata();
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = async (request, context) =>
            {
                foreach (var entry in context.RequestHeaders)
                    seen.Add(entry);
                await context.WriteResponseHeadersAsync(new Metadata { { "first", "1" }, { "first-bin", [0, 255] } });
                context.ResponseTrailers.Add("last", "2");
                context.ResponseTrailers.Add("last-bin", [1, 2, 3]);
                return request;
            },
        });
        using var call = server.Client().UnaryAsync(new EchoMessage(), new Metadata { { "Word", "x y" }, { "blob-bin", [0, 1, 254] } });
        var headers = await call.ResponseHeadersAsync;
        await call;
        Assert.Equal("x y", seen.GetValue("word"));
        Assert.Equal([0, 1, 254], seen.GetValueBytes("blob-bin"));
        Assert.DoesNotContain(seen, entry => entry.Key is "te" or "content-type" or "grpc-accept-encoding");
        Assert.Equal("1", headers.GetValue("first"));
        Assert.Equal([0, 255], headers.GetValueBytes("first-bin"));
        Assert.Equal("2", call.GetTrailers().GetValue("last"));
        Assert.Equal([1, 2, 3], call.GetTrailers().GetValueBytes("last-bin"));
    }

    [Theory, InlineData("not found"), InlineData("100 % of ünïcode\nin two lines ☃"), InlineData("")]
    public async Task A_handlers_refusal_reaches_the_caller(string detail)
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = (_, _) => throw new RpcException(new Status(StatusCode.NotFound, detail), new Metadata { { "why-bin", [7] } }),
        });
        var call = server.Client().UnaryAsync(new EchoMessage());
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
        Assert.Equal((StatusCode.NotFound, detail), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal([7], refused.Trailers.GetValueBytes("why-bin"));
        Assert.Equal(StatusCode.NotFound, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_refusal_after_messages_comes_in_trailers()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnServerStream = async (_, responses, _) =>
            {
                await responses.WriteAsync(new EchoMessage { Text = "one" });
                throw new RpcException(new Status(StatusCode.Aborted, "stop"));
            },
        });
        using var call = server.Client().ServerStream(new EchoMessage());
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Throws<InvalidOperationException>(() => call.GetStatus());
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal(("stop", StatusCode.Aborted), (refused.Status.Detail, refused.StatusCode));
    }

    [Fact]
    public async Task A_status_that_the_handler_sets_counts_without_an_exception()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = (request, context) =>
            {
                context.Status = new Status(StatusCode.OutOfRange, "set");
                return Task.FromResult(request);
            },
        });
        var refused = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage()).ResponseAsync);
        Assert.Equal(StatusCode.OutOfRange, refused.StatusCode);
    }

    [Fact]
    public async Task An_unexpected_exception_tells_the_caller_nothing()
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (_, _) => throw new InvalidOperationException("the password is 1234") });
        var failed = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage()).ResponseAsync);
        Assert.Equal((StatusCode.Unknown, "Exception was thrown by handler."), (failed.StatusCode, failed.Status.Detail));
    }

    [Fact]
    public async Task What_nobody_serves_is_unimplemented()
    {
        await using var server = await TestServer.StartAsync(services => services.AddGrpc(), app => app.MapGrpcService<Empty>());
        var method = await Assert.ThrowsAsync<RpcException>(() => server.Client().UnaryAsync(new EchoMessage()).ResponseAsync);
        Assert.Equal(StatusCode.Unimplemented, method.StatusCode);
        var service = await Assert.ThrowsAsync<RpcException>(() => new Agent.V1.AgentService.AgentServiceClient(server.Channel()).GetVersionAsync(new()).ResponseAsync);
        Assert.Equal(StatusCode.Unimplemented, service.StatusCode);
        using var http = server.Http();
        Assert.Equal(System.Net.HttpStatusCode.NotFound, (await http.GetAsync("/some/page")).StatusCode);
    }

    [Fact]
    public async Task No_server_is_unavailable_and_says_why()
    {
        var handler = new SocketsHttpHandler { ConnectCallback = (_, _) => throw new IOException("no such socket") };
        using var channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        var client = new Echo.EchoClient(channel);
        var unary = await Assert.ThrowsAsync<RpcException>(() => client.UnaryAsync(new EchoMessage()).ResponseAsync);
        Assert.Equal(StatusCode.Unavailable, unary.StatusCode);
        Assert.Contains("no such socket", unary.Status.Detail, StringComparison.Ordinal);
        Assert.Equal(StatusCode.Unavailable, Assert.Throws<RpcException>(() => client.Unary(new EchoMessage())).StatusCode);
        using var duplex = client.Duplex();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => duplex.RequestStream.WriteAsync(new EchoMessage()))).StatusCode);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => duplex.ResponseStream.MoveNext(CancellationToken.None))).StatusCode);
    }

    [Fact]
    public async Task A_scoped_service_is_made_for_each_call_and_disposed()
    {
        var counts = new Counts();
        await using var server = await TestServer.StartAsync(
            services => services.AddSingleton(counts).AddScoped<PerCall>().AddGrpc(), app => app.MapGrpcService<PerCall>());
        await server.Client().UnaryAsync(new EchoMessage());
        await server.Client().UnaryAsync(new EchoMessage());
        Assert.Equal(2, counts.Made);
        await Eventually.HoldsAsync(() => counts.Disposed == 2);   // the scope ends after the response
    }

    [Fact]
    public async Task An_unregistered_service_is_made_for_each_call_and_disposed()
    {
        var counts = new Counts();
        await using var server = await TestServer.StartAsync(services => services.AddSingleton(counts).AddGrpc(), app => app.MapGrpcService<PerCall>());
        await server.Client().UnaryAsync(new EchoMessage());
        Assert.Equal((1, 1), (counts.Made, counts.Disposed));
    }

    [Theory, InlineData(false, "ipv4:127.0.0.1:"), InlineData(true, "unknown")]
    public async Task The_handler_knows_its_call(bool unix, string peer)
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = (_, context) => Task.FromResult(new EchoMessage { Text = $"{context.Peer} {context.Method} {context.GetHttpContext().Request.Protocol} {context.Deadline:O}" }),
        });
        var told = (await server.Client(unix).UnaryAsync(new EchoMessage())).Text;
        Assert.StartsWith(peer, told, StringComparison.Ordinal);
        Assert.EndsWith($" /tests.v1.Echo/Unary HTTP/2 {DateTime.MaxValue:O}", told, StringComparison.Ordinal);
    }

    private sealed class Counts
    {
        public int Made;
        public int Disposed;
    }

    private sealed class Empty : Echo.EchoBase;

    private sealed class PerCall : Echo.EchoBase, IDisposable
    {
        private readonly Counts counts;

        public PerCall(Counts counts)
        {
            this.counts = counts;
            Interlocked.Increment(ref counts.Made);
        }

        public override Task<EchoMessage> Unary(EchoMessage request, ServerCallContext context) => Task.FromResult(request);

        public void Dispose() => Interlocked.Increment(ref counts.Disposed);
    }
}

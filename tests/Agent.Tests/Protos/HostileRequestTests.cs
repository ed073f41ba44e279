using System.Net;
using System.Net.Sockets;
using Agent.Tests.Protos.V1;
using Grpc.Core;

namespace Agent.Tests.Protos;

/// <summary>Requests that no good client sends.</summary>
public class HostileRequestTests
{
    [Theory]
    [InlineData("no message", "", 13)]
    [InlineData("half a prefix", "0000", 13)]
    [InlineData("half a message", "00000000050A03", 13)]
    [InlineData("two messages", "00000000000000000000", 13)]
    [InlineData("not a protobuf", "0000000003FFFFFF", 13)]
    [InlineData("compressed, of no known kind", "010000000000", 13)]
    [InlineData("a prefix of another protocol", "474554202F", 13)]
    [InlineData("four gigabytes announced", "00FFFFFFFF00", 8)]
    [InlineData("one byte too much announced", "0000400001", 8)]
    public async Task A_malformed_body_ends_with_a_status(string what, string hex, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var http = server.Http();
        using var response = await http.SendAsync(TestServer.Request("Unary", Convert.FromHexString(hex)));
        Assert.Equal((what, status), (what, GrpcStatus(response)));
        Assert.Equal("after", (await server.Client().UnaryAsync(new EchoMessage { Text = "after" })).Text);
    }

    [Theory, InlineData("text/plain"), InlineData("application/json"), InlineData("application/grpcx")]
    public async Task Another_content_type_is_not_supported(string contentType)
    {
        await using var server = await TestServer.StartAsync();
        using var http = server.Http();
        using var response = await http.SendAsync(TestServer.Request("Unary", [0, 0, 0, 0, 0], contentType));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory, InlineData("application/grpc+proto"), InlineData("application/grpc;charset=utf-8"), InlineData("Application/gRPC")]
    public async Task Variants_of_the_content_type_are_known(string contentType)
    {
        await using var server = await TestServer.StartAsync();
        using var http = server.Http();
        using var response = await http.SendAsync(TestServer.Request("Unary", [0, 0, 0, 0, 0], contentType));
        Assert.Equal(0, GrpcStatus(response));
    }

    [Theory]
    [InlineData("grpc-encoding", "gzip", 12)]
    [InlineData("grpc-encoding", "identity", 0)]
    [InlineData("grpc-timeout", "soon", 13)]
    [InlineData("grpc-timeout", "-1S", 13)]
    [InlineData("grpc-timeout", "123456789S", 13)]
    [InlineData("grpc-timeout", "99999999H", 0)]
    [InlineData("grpc-timeout", "99999999S", 0)]
    [InlineData("strange~key", "value", 0)]
    [InlineData("blob-bin", "%%%", 13)]
    [InlineData("blob-bin", "AQ", 0)]
    public async Task A_strange_header_is_refused_or_left_alone(string name, string value, int status)
    {
        await using var server = await TestServer.StartAsync(new ScriptedEcho { OnUnary = (request, context) => Task.FromResult(context.RequestHeaders.Count > 0 ? request : request) });
        using var http = server.Http();
        var request = TestServer.Request("Unary", [0, 0, 0, 0, 0]);
        request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request);
        Assert.Equal(status, GrpcStatus(response));
        Assert.Equal(value == "gzip", response.Headers.TryGetValues("grpc-accept-encoding", out var known) && known.Single() == "identity");
    }

    [Fact]
    public async Task Binary_metadata_that_was_joined_on_the_way_is_taken_apart()
    {
        byte[][] seen = [];
        await using var server = await TestServer.StartAsync(new ScriptedEcho
        {
            OnUnary = (request, context) =>
            {
                seen = [.. context.RequestHeaders.GetAll("blob-bin").Select(entry => entry.ValueBytes)];
                return Task.FromResult(request);
            },
        });
        await server.Client().UnaryAsync(new EchoMessage(), new Metadata { { "blob-bin", [0, 1, 254] }, { "blob-bin", [] }, { "blob-bin", [2] } });
        Assert.Equal([[0, 1, 254], [], [2]], seen);
    }

    [Fact]
    public async Task A_header_of_a_gigabyte_is_cut_off_early()
    {
        await using var server = await TestServer.StartAsync();
        using var socket = await ConnectAsync(server);
        // HEADERS of stream 1 without END_HEADERS: a literal field "a" whose value is announced with 2^30 bytes (HPACK integer), then CONTINUATION without end.
        byte[] block = [0x00, 0x01, (byte)'a', 0x7F, 0x81, 0xFF, 0xFF, 0xFF, 0x03];
        await socket.SendAsync((byte[])[.. Frame(type: 1, flags: 0, stream: 1, block)]);
        var sent = await SendUntilClosedAsync(socket, Frame(type: 9, flags: 0, stream: 1, [.. Enumerable.Repeat((byte)'x', 16_000)]), most: 64 * 1024 * 1024);
        Assert.InRange(sent, 0, 63 * 1024 * 1024);
        Assert.Equal("after", (await server.Client().UnaryAsync(new EchoMessage { Text = "after" })).Text);
    }

    [Fact]
    public async Task Endless_headers_are_cut_off_early()
    {
        await using var server = await TestServer.StartAsync();
        using var socket = await ConnectAsync(server);
        byte[] field = [0x00, 0x01, (byte)'a', 0x64, .. Enumerable.Repeat((byte)'x', 100)];
        byte[] fields = [.. Enumerable.Repeat(field, 150).SelectMany(bytes => bytes)];
        await socket.SendAsync(Frame(type: 1, flags: 0, stream: 1, fields));
        var sent = await SendUntilClosedAsync(socket, Frame(type: 9, flags: 0, stream: 1, fields), most: 64 * 1024 * 1024);
        Assert.InRange(sent, 0, 63 * 1024 * 1024);
        Assert.Equal("after", (await server.Client().UnaryAsync(new EchoMessage { Text = "after" })).Text);
    }

    [Theory]
    [InlineData("data on stream 0", "000001000000000000" + "00")]
    [InlineData("data on a stream that nobody opened", "000001000000000009" + "00")]
    [InlineData("a frame of 16 MB", "FFFFFF000000000001")]
    [InlineData("window update of 0", "000004080000000000" + "00000000")]
    [InlineData("push promise", "000004050400000001" + "00000002")]
    [InlineData("noise", "DEADBEEFDEADBEEFDEADBEEFDEADBEEF")]
    public async Task Malformed_frames_cost_the_sender_its_connection_only(string what, string hex)
    {
        await using var server = await TestServer.StartAsync();
        using var socket = await ConnectAsync(server);
        await socket.SendAsync(Convert.FromHexString(hex));
        socket.Shutdown(SocketShutdown.Send);
        var buffer = new byte[4096];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            while (await socket.ReceiveAsync(buffer, patience.Token) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // Reset is as good as closed.
        }
        Assert.Equal(what, (await server.Client().UnaryAsync(new EchoMessage { Text = what })).Text);
    }

    private static int GrpcStatus(HttpResponseMessage response) =>
        int.Parse((response.TrailingHeaders.TryGetValues("grpc-status", out var values) ? values : response.Headers.GetValues("grpc-status")).Single());

    private static async Task<Socket> ConnectAsync(TestServer server)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, server.Port);
        await socket.SendAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(type: 4, flags: 0, stream: 0, [])]);
        return socket;
    }

    private static byte[] Frame(byte type, byte flags, byte stream, byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, 0, 0, 0, stream, .. payload];

    private static async Task<long> SendUntilClosedAsync(Socket socket, byte[] frame, long most)
    {
        var sent = 0L;
        try
        {
            while (sent < most)
                sent += await socket.SendAsync(frame).WaitAsync(TimeSpan.FromSeconds(20));
        }
        catch (SocketException)
        {
            // The server closed the connection.
        }
        return sent;
    }
}

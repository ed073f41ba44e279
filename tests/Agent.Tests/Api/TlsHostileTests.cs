using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Protos.Access;
using Agent.Tests.Protos;
using Agent.V1;
using Microsoft.Extensions.DependencyInjection;

namespace Agent.Tests.Api;

/// <summary>HTTP/2 as nobody should speak it, by hand, from callers who passed the handshake.</summary>
public sealed class TlsHostileTests
{
    // Types and flags of frames: RFC 9113, section 6.
    private const byte Data = 0, Headers = 1, Settings = 4, Continuation = 9, EndHeaders = 4;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]     // one value without end
    [InlineData(false)]    // values without end
    public async Task A_gigabyte_of_metadata_is_refused_at_its_beginning(bool oneValue)
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        await using SslStream stream = await OpenAsync(room);
        long before = GC.GetTotalMemory(forceFullCollection: true), sent = 0, peak = 0;
        await SendAsync(stream, Headers, 0, 1, oneValue
            ? [.. Request(), 0x00, 0x05, .. "x-big"u8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x03]     // a literal value whose length is a gigabyte and more
            : Request());
        byte[] more = oneValue ? [.. Enumerable.Repeat((byte)'x', 16_000)] : [.. Enumerable.Range(0, 150).SelectMany(i => Literal($"x-{i:000}", new string('y', 90)))];
        try
        {
            while (sent < 1L << 30)
            {
                await SendAsync(stream, Continuation, 0, 1, more);
                sent += more.Length;
                peak = Math.Max(peak, GC.GetTotalMemory(forceFullCollection: false) - before);
            }
        }
        catch (IOException)
        {
            // The connection was ended.
        }
        Assert.True(sent < 16 << 20, $"{sent} bytes were taken");
        Assert.True(peak < 64 << 20, $"{peak} bytes of memory");
        await CountedAsync(room, oneValue ? "error reading headers" : "max request header count exceeded");
        await StillServesAsync(room);
    }

    [Fact]
    public async Task Streams_without_end_are_refused_and_others_are_served()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        await using SslStream stream = await OpenAsync(room);
        for (int i = 0; i < 10 * ApiLimits.Streams; i++) await SendAsync(stream, Headers, EndHeaders, (2 * i) + 1, Request());
        await StillServesAsync(room);
    }

    [Fact]
    public async Task A_message_that_says_it_is_huge_or_compressed_is_refused_before_it_is_there()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        using X509Certificate2 certificate = await PairedAsync(room);
        foreach (byte[] prefix in (byte[][])[[0, 0x7f, 0xff, 0xff, 0xff], [1, 0, 0, 0, 100]])
        {
            await using SslStream stream = await OpenAsync(room, certificate);
            await SendAsync(stream, Headers, EndHeaders, 1, Request());
            await SendAsync(stream, Data, 0, 1, prefix);
            string answer = await ReadAnswerAsync(stream);
            Assert.Contains(prefix[0] == 0 ? "exceeds%20the%20limit" : "Compressed%20message", answer.Replace(" ", "%20", StringComparison.Ordinal), StringComparison.Ordinal);
        }
        await StillServesAsync(room);
    }

    /// <summary>One who never begins with TLS, one whose headers do not come to an end, one whose message does not: each within its own limit, all at the same time.</summary>
    [Fact]
    public async Task Who_dawdles_is_dropped_and_others_are_served()
    {
        await using TlsRoom room = await TlsRoom.StartAsync();
        using X509Certificate2 certificate = await PairedAsync(room);
        using var silent = new TcpClient();
        await silent.ConnectAsync(IPAddress.Loopback, room.Api.Port, Cancel);
        await using SslStream headers = await OpenAsync(room, certificate), message = await OpenAsync(room, certificate);
        await SendAsync(headers, Headers, 0, 1, Request());
        await SendAsync(message, Headers, EndHeaders, 1, Request());
        await SendAsync(message, Data, 0, 1, [0, 0, 0, 16, 0]);
        Task dropped = Task.WhenAll(
            DroppedAsync(silent.GetStream(), () => Task.CompletedTask),
            DroppedAsync(headers, () => SendAsync(headers, Continuation, 0, 1, Literal("x", "y"))),
            DroppedAsync(message, () => SendAsync(message, Data, 0, 1, [0])));
        await StillServesAsync(room);
        await dropped;
        await CountedAsync(room, Refusals.Handshake);
        await CountedAsync(room, "request headers timeout");
        await CountedAsync(room, "min request body data rate");
    }

    private static Task CountedAsync(TlsRoom room, string kind) => Eventually.HoldsAsync(() => room.Refusals.Total(kind) == 1);

    private static async Task<X509Certificate2> PairedAsync(TlsRoom room)
    {
        KeyFiles ann = await room.PairAsync("ann-laptop", "viewer");
        using OwnKey key = ann.Key()!;
        return key.MakeCertificate("ann", TimeProvider.System.GetUtcNow());
    }

    /// <summary>Sends a little each second until the connection is ended.</summary>
    private static async Task DroppedAsync(Stream stream, Func<Task> sendLittle)
    {
        Task ended = EndAsync();
        try
        {
            for (int second = 0; second < 40 && !ended.IsCompleted; second++)
            {
                await sendLittle();
                await Task.WhenAny(ended, Task.Delay(TimeSpan.FromSeconds(1), Cancel));
            }
        }
        catch (IOException)
        {
            return;   // ended
        }
        Assert.True(ended.IsCompleted, "it was waited for");

        async Task EndAsync()
        {
            var buffer = new byte[4096];
            try
            {
                while (await stream.ReadAsync(buffer, Cancel) > 0)
                {
                    // Settings, pings.
                }
            }
            catch (IOException)
            {
                // Ended without a word.
            }
        }
    }

    private static async Task StillServesAsync(TlsRoom room)
    {
        KeyFiles bob = await room.PairAsync("bob-laptop", "viewer");
        await room.Connect(bob).AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel);
        await room.Api.Client.GetVersionAsync(new GetVersionRequest(), cancellationToken: Cancel);
    }

    private static async Task<SslStream> OpenAsync(TlsRoom room, X509Certificate2? certificate = null)
    {
        using OwnKey key = OwnKey.Create();
        using X509Certificate2 stranger = key.MakeCertificate("stranger", TimeProvider.System.GetUtcNow());
        SslStream stream = await room.HandshakeAsync(certificate ?? stranger, cancellationToken: Cancel);
        await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), Cancel);
        await SendAsync(stream, Settings, 0, 0, []);
        return stream;
    }

    private static byte[] Request() =>
        [.. Literal(":method", "POST"), .. Literal(":scheme", "http"), .. Literal(":path", "/agent.v1.AgentService/GetVersion"), .. Literal(":authority", "localhost"), .. Literal("content-type", "application/grpc"), .. Literal("te", "trailers")];

    // A literal that is not kept: RFC 7541, 6.2.2.
    private static byte[] Literal(string name, string value) => [0x00, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];

    private static async Task SendAsync(SslStream stream, byte type, byte flags, int id, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        (frame[3], frame[4]) = (type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), id);
        payload.CopyTo(frame, 9);
        await stream.WriteAsync(frame, Cancel);
    }

    /// <summary>What comes until the headers of the answer, as text.</summary>
    private static async Task<string> ReadAnswerAsync(SslStream stream)
    {
        var header = new byte[9];
        while (true)
        {
            await stream.ReadExactlyAsync(header, Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            var payload = new byte[BinaryPrimitives.ReadInt32BigEndian(header) >>> 8];
            await stream.ReadExactlyAsync(payload, Cancel).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            if (header[3] == Headers) return Encoding.Latin1.GetString(payload);
        }
    }
}

using System.Net;
using System.Net.Sockets;
using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Tests.Fakes;

namespace Agent.Tests.Health;

/// <summary>Probes against real sockets on loopback.</summary>
public sealed class HealthProbeTests : IDisposable
{
    private static readonly AppDefinition App = new(
        new AppName("shop"), new Dictionary<string, string>(), [], [], new GateOptions(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));

    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly ManualTime time = new();
    private readonly HealthProbe probe;
    private readonly TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int connections;
    private string received = "";

    public HealthProbeTests()
    {
        probe = new HealthProbe(new StaticSupervisor(_ => throw new NotSupportedException()), "/srv", time);
        listener.Start();
    }

    private int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    public void Dispose()
    {
        stop.Cancel();
        listener.Dispose();
        stop.Dispose();
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", null, true, "200 in 0 ms")]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", null, true, "204 in 0 ms")]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", 204, true, "204 in 0 ms")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 204, false, "GET /up gave 200, not 204")]
    [InlineData("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", null, false, "GET /up gave 503")]
    [InlineData("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, true, "503 in 0 ms")]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", null, false, "GET /up gave 302, and redirects are not followed")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", null, false, "connection closed in the middle of an answer")]
    [InlineData("SSH-2.0-OpenSSH\r\n\r\n", null, false, "the answer is not HTTP")]
    public async Task Tells_what_http_answered(string answer, int? status, bool passed, string detail)
    {
        Task server = ServeAsync(answer, thenHang: false);
        Assert.Equal(new CheckAnswer("up", passed, detail), await probe.ProbeAsync(App, Http(status), CancellationToken.None));
        await server;
    }

    [Theory]
    [InlineData(3, true)]
    [InlineData(int.MaxValue, false)]
    public async Task Asks_again_where_the_agent_has_no_descriptor_left_and_blames_no_application(int without, bool answered)
    {
        var check = new CheckOptions.UnitActive("unit", new UnitName("shop.service"), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5), 1, 1);
        int looks = 0;
        var probed = new HealthProbe(
            new StaticSupervisor(name => looks++ < without
                ? throw new HttpRequestException("no socket", new SocketException((int)SocketError.TooManyOpenSockets))
                : new UnitState(name, "loaded", "active", "running", "success", 0, 12, "", 0, "", null)),
            "/srv", time);
        Task<CheckAnswer> answer = probed.ProbeAsync(App, check, CancellationToken.None);
        while (time.AdvanceToNext()) { }
        if (answered) Assert.True((await answer).Passed);
        else Assert.NotEqual(ExitCode.RolledBack, (await Assert.ThrowsAsync<OperatorException>(() => answer)).Code);
    }

    [Theory]
    [InlineData("ready", "X-State: fine\r\n", "all is ready", true, "200 in 0 ms")]
    [InlineData("ready", "X-State: fine\r\n", "the secret of the app", false, "GET /up gave 200 without 'ready' in its body")]
    [InlineData("ready", "X-State: Fine\r\n", "ready", false, "GET /up gave 200 with a header x-state that is not 'fine'")]
    [InlineData("ready", "X-State: fine\r\nX-State: not\r\n", "ready", false, "GET /up gave 200 with a header x-state that is not 'fine'")]
    [InlineData("ready", "", "ready", false, "GET /up gave 200 without a header x-state")]
    [InlineData("größer", "x-state:  fine \r\n", "viel größer", true, "200 in 0 ms")]
    public async Task Looks_at_the_headers_and_the_body(string body, string headers, string sent, bool passed, string detail)
    {
        Task server = ServeAsync($"HTTP/1.1 200 OK\r\n{headers}Content-Length: {Encoding.UTF8.GetByteCount(sent)}\r\n\r\n{sent}", thenHang: false);
        CheckOptions.Http check = Http() with { Body = body, Headers = new Dictionary<string, string> { ["x-state"] = "fine" } };
        Assert.Equal(new CheckAnswer("up", passed, detail), await probe.ProbeAsync(App, check, CancellationToken.None));
        await server;
    }

    [Theory]
    [InlineData((64 << 10) - 5, true)]
    [InlineData((64 << 10) - 4, false)]
    public async Task Searches_the_first_64_KiB_of_a_body(int before, bool passed)
    {
        Task server = ServeAsync("HTTP/1.1 200 OK\r\n\r\n" + new string('x', before) + "ready" + new string('x', 1 << 20), thenHang: true);
        Assert.Equal(passed, (await probe.ProbeAsync(App, Http() with { Body = "ready" }, CancellationToken.None)).Passed);
        await server;
    }

    [Fact]
    public async Task A_header_of_the_body_can_be_expected_too()
    {
        Task server = ServeAsync("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n", thenHang: false);
        CheckOptions.Http check = Http() with { Headers = new Dictionary<string, string> { ["Content-Type"] = "text/plain; charset=utf-8" } };
        Assert.True((await probe.ProbeAsync(App, check, CancellationToken.None)).Passed);
        await server;
    }

    [Fact]
    public async Task Sends_the_headers_that_the_check_has_and_the_host_among_them()
    {
        Task server = ServeAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", thenHang: false);
        CheckOptions.Http check = Http() with { RequestHeaders = new Dictionary<string, string> { ["host"] = "shop.example.com", ["X-Probe"] = "a b", ["User-Agent"] = "me" } };
        Assert.True((await probe.ProbeAsync(App, check, CancellationToken.None)).Passed);
        await server;
        string[] lines = received.Split("\r\n");
        Assert.Contains("GET /up?x=1 HTTP/1.1", lines);
        Assert.Contains("Host: shop.example.com", lines);
        Assert.Contains("X-Probe: a b", lines);
        Assert.Contains("User-Agent: me", lines);
        Assert.Contains("Connection: close", lines);
    }

    [Theory]
    [InlineData("X-A", "a\r\nX-B: b")]
    [InlineData("Content-Type", "text/plain")]
    [InlineData("a b", "c")]
    public async Task A_header_that_cannot_be_sent_is_told_without_its_value(string name, string value)
    {
        CheckOptions.Http check = Http() with { RequestHeaders = new Dictionary<string, string> { [name] = value } };
        Assert.Equal(new CheckAnswer("up", false, $"the header {name} cannot be sent with a GET"), await probe.ProbeAsync(App, check, CancellationToken.None));
        Assert.Equal(0, connections);
    }

    [Fact]
    public async Task No_detail_is_longer_than_200_characters_or_more_than_a_line()
    {
        CheckOptions.Http check = Http() with { Url = new Uri($"http://127.0.0.1:{Port}/{new string('u', 500)}") };
        Task server = ServeAsync("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", thenHang: false);
        CheckAnswer answer = await probe.ProbeAsync(App, check, CancellationToken.None);
        Assert.Equal(200, answer.Detail.Length);
        await server;
        Assert.Equal("a b c…", Daemon.Health.Spoken.Line("a\nb\u0007cdef", 6));
        Assert.Equal("abc…", Daemon.Health.Spoken.Line("abc😀def", 5));
    }

    [Fact]
    public async Task A_server_that_hangs_up_without_a_word_fails()
    {
        Task<CheckAnswer> answer = probe.ProbeAsync(App, Http(), CancellationToken.None);
        while (!answer.IsCompleted)                                       // the client tries such a one again, on its own
            await Task.WhenAny(answer, ServeAsync("", thenHang: false));
        Assert.Equal(new CheckAnswer("up", false, "connection closed in the middle of an answer"), await answer);
        Assert.InRange(connections, 1, 10);
    }

    [Fact]
    public async Task Does_not_read_an_endless_body_to_its_end()
    {
        Task server = ServeAsync("HTTP/1.1 200 OK\r\n\r\n" + new string('x', 1 << 20), thenHang: true);
        Assert.True((await probe.ProbeAsync(App, Http(), CancellationToken.None)).Passed);
        await server;
    }

    [Fact]
    public async Task Refuses_endless_headers()
    {
        Task server = ServeAsync("HTTP/1.1 200 OK\r\nX: " + new string('x', 1 << 20), thenHang: true);
        Assert.False((await probe.ProbeAsync(App, Http(), CancellationToken.None)).Passed);
        await server;
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")]
    public async Task Silence_is_an_answer_after_the_timeout(string begin)
    {
        Task server = ServeAsync(begin, thenHang: true);
        Task<CheckAnswer> answer = probe.ProbeAsync(App, Http(), CancellationToken.None);
        await asked.Task;
        Assert.False(answer.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(new CheckAnswer("up", false, "no answer within 2 s"), await answer);
        await server;
    }

    [Fact]
    public async Task Every_probe_makes_a_connection_of_its_own()
    {
        for (int i = 1; i <= 3; i++)
        {
            Task server = ServeAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", thenHang: false);
            Assert.True((await probe.ProbeAsync(App, Http(), CancellationToken.None)).Passed);
            await server;
            Assert.Equal(i, connections);
        }
    }

    [Fact]
    public async Task A_closed_port_is_told_for_http_and_tcp()
    {
        (CheckOptions http, CheckOptions tcp) = (Http(), Tcp());
        listener.Stop();
        Assert.Equal(new CheckAnswer("up", false, "connection refused"), await probe.ProbeAsync(App, http, CancellationToken.None));
        Assert.Equal(new CheckAnswer("port", false, "connection refused"), await probe.ProbeAsync(App, tcp, CancellationToken.None));
    }

    [Fact]
    public async Task An_open_port_passes() =>
        Assert.Equal(new CheckAnswer("port", true, "connected in 0 ms"), await probe.ProbeAsync(App, Tcp(), CancellationToken.None));

    [Fact]
    public async Task A_plain_port_is_no_https()
    {
        Task server = ServeAsync("HTTP/1.1 400 Bad Request\r\n\r\n", thenHang: false);
        CheckAnswer answer = await probe.ProbeAsync(App, Http(scheme: "https"), CancellationToken.None);
        Assert.False(answer.Passed);
        Assert.StartsWith("no TLS: ", answer.Detail, StringComparison.Ordinal);
        await server;
    }

    [Fact]
    public async Task A_certificate_of_this_host_itself_is_good_enough_on_loopback()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var request = new System.Security.Cryptography.X509Certificates.CertificateRequest("CN=shop", key, System.Security.Cryptography.HashAlgorithmName.SHA256);
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        Task<CheckAnswer> answer = probe.ProbeAsync(App, Http(scheme: "https"), CancellationToken.None);
        using Socket socket = await listener.AcceptSocketAsync(stop.Token);
        await using var tls = new System.Net.Security.SslStream(new NetworkStream(socket));
        await tls.AuthenticateAsServerAsync(certificate);
        await tls.ReadAtLeastAsync(new byte[4096], 1, cancellationToken: stop.Token);
        await tls.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), stop.Token);
        Assert.Equal(new CheckAnswer("up", true, "200 in 0 ms"), await answer);
    }

    [Theory]
    [InlineData("https://localhost/up", null, true)]
    [InlineData("https://127.3.4.5/up", null, true)]
    [InlineData("https://[::1]/up", null, true)]
    [InlineData("https://shop.example.com/up", "/run/shop.sock", true)]
    [InlineData("https://shop.example.com/up", null, false)]
    [InlineData("https://localhost.example.com/up", null, false)]
    [InlineData("https://192.0.2.1/up", null, false)]
    [InlineData("https://[2001:db8::1]/up", null, false)]
    public void A_certificate_that_nobody_vouches_for_is_good_enough_for_this_host_alone(string url, string? socket, bool good) =>
        Assert.Equal(good, HttpCheck.AsksThisHost(Http() with { Url = new Uri(url), Socket = socket }));

    [Fact]
    public async Task A_check_of_a_kind_that_nobody_knows_is_an_error_and_no_answer() =>
        await Assert.ThrowsAsync<NotSupportedException>(() => probe.ProbeAsync(App, new Unknown(), CancellationToken.None));

    private sealed record Unknown() : CheckOptions("unknown", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1, 1);

    [Fact]
    public async Task A_caller_that_cancels_gets_no_answer()
    {
        using var cancel = new CancellationTokenSource();
        Task server = ServeAsync("", thenHang: true);
        Task<CheckAnswer> answer = probe.ProbeAsync(App, Http(), cancel.Token);
        await asked.Task;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
        await server;
    }

    private CheckOptions.Http Http(int? status = null, string scheme = "http") =>
        new("up", new Uri($"{scheme}://127.0.0.1:{Port}/up?x=1"), status, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3);

    private CheckOptions.Tcp Tcp() => new("port", "127.0.0.1", Port, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3);

    /// <summary>Takes one connection, reads what comes first, answers, and closes or waits until the other side does.</summary>
    private async Task ServeAsync(string answer, bool thenHang)
    {
        using Socket socket = await listener.AcceptSocketAsync(stop.Token);
        connections++;
        byte[] buffer = new byte[4096];
        received = Encoding.ASCII.GetString(buffer, 0, await socket.ReceiveAsync(buffer, stop.Token));
        try
        {
            if (answer.Length > 0) await socket.SendAsync(Encoding.UTF8.GetBytes(answer), stop.Token);
            asked.TrySetResult();
            if (thenHang) while (await socket.ReceiveAsync(buffer, stop.Token) > 0) { }
            else socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The probe had enough.
        }
    }
}

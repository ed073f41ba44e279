using System.Net.Sockets;
using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Tests.Fakes;

namespace Agent.Tests.Health;

/// <summary>Checks of real Unix sockets.</summary>
public sealed class UnixSocketCheckTests : IDisposable
{
    private static readonly AppDefinition App = new(
        new AppName("shop"), new Dictionary<string, string>(), [], [], new GateOptions(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));

    private readonly TemporaryDirectory directory = new();
    private readonly ManualTime time = new();
    private readonly HealthProbe probe;

    public UnixSocketCheckTests() => probe = new HealthProbe(new StaticSupervisor(_ => throw new NotSupportedException()), "/srv", time);

    private string SocketPath => Path.Combine(directory.Path, "shop.sock");

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Http_over_a_Unix_socket_has_path_and_host_of_the_URL()
    {
        using Socket listener = Listen(SocketPath);
        Task<string> server = AnswerOnceAsync(listener, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready");
        Assert.Equal(new CheckAnswer("up", true, "200 in 0 ms"), await probe.ProbeAsync(App, Http(SocketPath), CancellationToken.None));
        string asked = await server;
        Assert.StartsWith("GET /up HTTP/1.1\r\n", asked, StringComparison.Ordinal);
        Assert.Contains("\r\nHost: shop.example.com\r\n", asked, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checks_of_two_sockets_at_once_never_get_the_answer_of_the_other()
    {
        string other = Path.Combine(directory.Path, "other.sock");
        using Socket listener = Listen(SocketPath), another = Listen(other);
        for (int i = 0; i < 20; i++)
        {
            Task good = AnswerOnceAsync(listener, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), bad = AnswerOnceAsync(another, "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n");
            CheckAnswer[] answers = await Task.WhenAll(probe.ProbeAsync(App, Http(SocketPath), CancellationToken.None), probe.ProbeAsync(App, Http(other), CancellationToken.None));
            Assert.Equal([true, false], answers.Select(answer => answer.Passed));
            await Task.WhenAll(good, bad);
        }
    }

    [Fact]
    public async Task A_socket_that_takes_connections_passes()
    {
        using Socket listener = Listen(SocketPath);
        Assert.Equal(new CheckAnswer("socket", true, "connected in 0 ms"), await probe.ProbeAsync(App, Unix(SocketPath), CancellationToken.None));
    }

    [Fact]
    public async Task A_socket_that_is_not_there_is_told_for_http_and_a_connection()
    {
        Assert.Equal(new CheckAnswer("socket", false, $"there is no socket {SocketPath}"), await probe.ProbeAsync(App, Unix(SocketPath), CancellationToken.None));
        Assert.Equal(new CheckAnswer("up", false, $"there is no socket {SocketPath}"), await probe.ProbeAsync(App, Http(SocketPath), CancellationToken.None));
    }

    [Fact]
    public async Task A_socket_that_nobody_listens_on_any_more_refuses()
    {
        using (Listen(SocketPath)) { }
        await File.WriteAllTextAsync(Path.Combine(directory.Path, "file"), "", TestContext.Current.CancellationToken);
        if (File.Exists(SocketPath)) Assert.Equal("connection refused", (await probe.ProbeAsync(App, Unix(SocketPath), CancellationToken.None)).Detail);
        Assert.Equal("connection refused", (await probe.ProbeAsync(App, Unix(Path.Combine(directory.Path, "file")), CancellationToken.None)).Detail);
    }

    [Fact]
    public async Task A_path_that_is_too_long_is_told()
    {
        string path = "/run/" + new string('x', 103);
        Assert.Equal(new CheckAnswer("socket", false, "the socket's path is longer than 107 bytes"), await probe.ProbeAsync(App, Unix(path), CancellationToken.None));
        Assert.Equal(new CheckAnswer("up", false, "the socket's path is longer than 107 bytes"), await probe.ProbeAsync(App, Http(path), CancellationToken.None));
    }

    [Fact]
    public async Task A_socket_whose_queue_is_full_fails_in_its_time()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(SocketPath));
        listener.Listen(1);
        CheckAnswer[] answers = [.. await Task.WhenAll(Enumerable.Range(0, 5).Select(async _ =>
        {
            Task<CheckAnswer> answer = probe.ProbeAsync(App, Http(SocketPath), CancellationToken.None);
            while (!answer.IsCompleted)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                await Task.Yield();
            }
            return await answer;
        }))];
        Assert.All(answers, answer => Assert.False(answer.Passed));
    }

    private static Socket Listen(string path)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(16);
        return listener;
    }

    private static async Task<string> AnswerOnceAsync(Socket listener, string answer)
    {
        using Socket socket = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        byte[] buffer = new byte[4096];
        int length = await socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken);
        await socket.SendAsync(Encoding.ASCII.GetBytes(answer), TestContext.Current.CancellationToken);
        return Encoding.ASCII.GetString(buffer, 0, length);
    }

    private static CheckOptions.Http Http(string socket) =>
        new("up", new Uri("http://shop.example.com/up"), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3) { Socket = socket };

    private static CheckOptions.UnixSocket Unix(string path) => new("socket", path, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3);
}

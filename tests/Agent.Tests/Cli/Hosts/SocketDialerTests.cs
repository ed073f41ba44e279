using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Cli.Hosts;

namespace Agent.Tests.Cli.Hosts;

public sealed class SocketDialerTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("dialer-").FullName;

    private string Path => System.IO.Path.Combine(directory, "agent.sock");

    [Fact]
    public async Task Speaks_with_whoever_listens()
    {
        using Socket listener = Listen(backlog: 1);
        await using Stream connection = await new SocketDialer(Path).ConnectAsync(TestContext.Current.CancellationToken);
        using Socket agent = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        await connection.WriteAsync("hello"u8.ToArray(), TestContext.Current.CancellationToken);
        var heard = new byte[5];
        await new NetworkStream(agent).ReadExactlyAsync(heard, TestContext.Current.CancellationToken);
        Assert.Equal("hello"u8, heard);
    }

    [Fact]
    public void Does_not_wait_for_an_agent_that_has_no_room()
    {
        using Socket listener = Listen(backlog: 0);
        using Socket first = new SocketDialer(Path).Connect();   // one fits without a backlog
        OperatorException e = Assert.Throws<OperatorException>(() => new SocketDialer(Path).Connect());
        Assert.Equal(ExitCode.Unreachable, e.Code);
        Assert.Contains("too many callers", e.Message);
    }

    [Fact]
    public void Tells_a_socket_that_is_not_there_from_one_where_nobody_listens()
    {
        Assert.Contains("there is no", Assert.Throws<OperatorException>(() => new SocketDialer(Path).Connect()).Message);
        using var silent = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(Path));
        Assert.Contains("nothing listens", Assert.Throws<OperatorException>(() => new SocketDialer(Path).Connect()).Message);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private Socket Listen(int backlog)
    {
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(Path));
        listener.Listen(backlog);
        return listener;
    }
}

using System.Net.Sockets;
using System.Text;
using Agent.Daemon.Hosting;

namespace Agent.Tests.Hosting;

public sealed class NotifyTests : IDisposable
{
    private readonly DatagramSocket systemd = new();

    public void Dispose() => systemd.Dispose();

    [Fact]
    public void Tells_systemd_in_its_own_words()
    {
        var notify = new Notify(systemd.Path, TimeSpan.FromSeconds(30));
        notify.Ready("shop v1.2.0 live");
        Assert.Equal("READY=1\nSTATUS=shop v1.2.0 live", systemd.ReceiveText());
        notify.Alive();
        Assert.Equal("WATCHDOG=1", systemd.ReceiveText());
        notify.Extend(TimeSpan.FromSeconds(30), "recovering");
        Assert.Equal("EXTEND_TIMEOUT_USEC=30000000\nSTATUS=recovering", systemd.ReceiveText());
        notify.Stopping();
        Assert.Equal("STOPPING=1\nSTATUS=stopping", systemd.ReceiveText());
    }

    [Fact]
    public void Tells_a_status_once_on_one_short_line()
    {
        var notify = new Notify(systemd.Path, null);
        notify.Status("one\ntwo\r\nREADY=1");
        notify.Status("one\ntwo\r\nREADY=1");
        notify.Status(new string('x', 1000));
        Assert.Equal("STATUS=one two READY=1", systemd.ReceiveText());
        Assert.Equal("STATUS=" + new string('x', 300), systemd.ReceiveText());
    }

    [Fact]
    public void Finds_an_abstract_socket()
    {
        string name = $"agentd-notify-{Guid.NewGuid():N}";
        using var abstractSystemd = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 5000 };
        abstractSystemd.Bind(new UnixDomainSocketEndPoint("\0" + name));
        new Notify("@" + name, null).Alive();
        byte[] buffer = new byte[100];
        Assert.Equal("WATCHDOG=1", Encoding.UTF8.GetString(buffer, 0, abstractSystemd.Receive(buffer)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("/nowhere/at/all")]
    [InlineData("relative")]
    public void Does_no_harm_where_nobody_listens(string? socket)
    {
        var notify = new Notify(socket, null);
        notify.Ready("ready");
        notify.Status("status");
        notify.Stopping();
        Assert.Equal(!string.IsNullOrEmpty(socket), notify.IsEnabled);
    }

    [Theory]
    [InlineData("30000000", null, 30.0)]
    [InlineData("30000000", "42", 30.0)]
    [InlineData("30000000", "43", null)]
    [InlineData("0", null, null)]
    [InlineData("-5", null, null)]
    [InlineData("soon", null, null)]
    [InlineData("9223372036854775807", null, null)]
    [InlineData(null, null, null)]
    public void Reads_what_systemd_wants(string? microseconds, string? pid, double? seconds)
    {
        var variables = new Dictionary<string, string?> { ["NOTIFY_SOCKET"] = systemd.Path, ["WATCHDOG_USEC"] = microseconds, ["WATCHDOG_PID"] = pid };
        var notify = Notify.From(variables.GetValueOrDefault, processId: 42);
        Assert.True(notify.IsEnabled);
        Assert.Equal(seconds, notify.Watchdog?.TotalSeconds);
        Assert.Null(Notify.From(name => name == "NOTIFY_SOCKET" ? null : variables[name], 42).Watchdog);
    }
}

using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Systemd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Systemd;

/// <summary>What needs no systemd; the rest is in the system tests.</summary>
public class SupervisorTests
{
    private static readonly UnitName Shop = new("shop.service");

    [Theory]
    [InlineData("shop.service", "shop_2eservice")]
    [InlineData("4shop@a-b_c:1.service", "_34shop_40a_2db_5fc_3a1_2eservice")]
    public void Finds_a_units_object(string unit, string path) =>
        Assert.Equal("/org/freedesktop/systemd1/unit/" + path, Supervisor.ObjectPath(new UnitName(unit)));

    [Fact]
    public async Task Says_that_systemd_cannot_be_reached()
    {
        using var supervisor = Make(TimeSpan.FromMilliseconds(50), "unix:path=/nowhere/bus", "unix:path=/nowhere/private");
        OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => supervisor.StartAsync(Shop, TestContext.Current.CancellationToken));
        Assert.Equal(ExitCode.Unreachable, error.Code);
        Assert.Contains("/nowhere/bus: No such file or directory; unix:path=/nowhere/private: No such", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_can_give_up_while_the_bus_is_away()
    {
        using var supervisor = Make(TimeSpan.FromHours(1), "unix:path=/nowhere/bus");
        using var cancel = new CancellationTokenSource();
        Task call = supervisor.GetStateAsync(Shop, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Nobody_waits_for_ever_when_the_agent_stops()
    {
        // A bus that accepts connections and never says a word.
        string path = Path.Combine(Path.GetTempPath(), $"agentd-bus-{Guid.NewGuid():N}");
        using var silent = new Socket(
            AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        silent.Bind(new UnixDomainSocketEndPoint(path));
        silent.Listen();
        try
        {
            Supervisor supervisor = Make(TimeSpan.Zero, $"unix:path={path}");
            Task call = supervisor.GetStateAsync(Shop, TestContext.Current.CancellationToken);
            using Socket accepted = await silent.AcceptAsync(TestContext.Current.CancellationToken);
            Assert.False(call.IsCompleted);
            supervisor.Dispose();
            Assert.Contains("stopping", (await Assert.ThrowsAsync<OperatorException>(() => call)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("active", "success", "exited", 0, "")]
    [InlineData("failed", "exit-code", "exited", 3, "exit status 3")]
    [InlineData("failed", "signal", "killed", 15, "signal 15")]
    [InlineData("failed", "core-dump", "dumped", 6, "signal 6 (core-dump)")]
    [InlineData("failed", "oom-kill", "killed", 9, "signal 9 (oom-kill)")]
    [InlineData("failed", "oom-kill", "exited", 137, "exit status 137 (oom-kill)")]
    [InlineData("failed", "timeout", "killed", 15, "took longer than 60 s")]
    [InlineData("inactive", "success", "", 0, "it was stopped from outside")]
    [InlineData("deactivating", "success", "killed", 15, "it was stopped from outside")]
    public void Tells_how_a_command_ended(string active, string result, string kind, int code, string cause) =>
        Assert.Equal(cause, Supervisor.CauseOf(new UnitState(Shop, "loaded", active, "", result, 0, 0, kind, code, "", null), TimeSpan.FromSeconds(60)));

    private static Supervisor Make(TimeSpan patience, params string[] addresses) =>
        new([.. addresses.Select(a => new BusAddress(a, Broker: true))], patience, TimeProvider.System, NullLogger<Supervisor>.Instance);
}

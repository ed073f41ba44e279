using System.Net.Sockets;
using Agent.Daemon.Api;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

public class CallersTests
{
    private const uint Group = 990;
    private readonly Callers callers = new(Group, NullLogger<Callers>.Instance);

    [Fact]
    public void Root_may() => Assert.Equal("uid 0 (root)", callers.Demand(new PeerCredentials(1, 0, 0, []), "deploy"));

    [Theory]
    [InlineData(Group, new uint[0])]
    [InlineData(1000u, new uint[] { 4, Group })]
    public void The_group_may(uint gid, uint[] groups) => callers.Demand(new PeerCredentials(1, 54321, gid, groups), "deploy");

    [Fact]
    public void Others_may_not_and_are_told_how_they_could()
    {
        var refused = Assert.Throws<CallerRefusedException>(() => callers.Demand(new PeerCredentials(1, 54321, 1000, [4]), "deploy"));
        Assert.Equal("uid 54321 may not deploy: only root and the group agentd may", refused.Message);
        Assert.Contains("usermod", refused.Told.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_known_may_not() => Assert.Throws<CallerRefusedException>(() => callers.Demand(null, "deploy"));

    [Fact]
    public void Without_the_group_only_root_may()
    {
        var strict = new Callers(null, NullLogger<Callers>.Instance);
        Assert.Throws<CallerRefusedException>(() => strict.Demand(new PeerCredentials(1, 54321, Group, [Group]), "deploy"));
        strict.Demand(new PeerCredentials(1, 0, 0, []), "deploy");
    }

    [Fact]
    public async Task The_kernel_tells_who_is_at_the_other_end()
    {
        string path = Path.Combine(Path.GetTempPath(), $"peer-{Guid.NewGuid():N}.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        using var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(path), TestContext.Current.CancellationToken);
        using Socket server = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        PeerCredentials peer = PeerCredentials.Of(server);
        string[] status = await File.ReadAllLinesAsync("/proc/self/status", TestContext.Current.CancellationToken);
        Assert.Equal(Environment.ProcessId, peer.Pid);
        Assert.Equal(Field(status, "Uid:")[1], peer.Uid);
        Assert.Equal(Field(status, "Gid:")[1], peer.Gid);
        Assert.Equal(Field(status, "Groups:").Order(), peer.Groups.Order());
        File.Delete(path);
    }

    [Fact]
    public void Knows_accounts_by_name()
    {
        Assert.Equal("root", Accounts.NameOf(0));
        Assert.Null(Accounts.NameOf(4_000_000_000));
        Assert.Equal(0u, Accounts.GroupOf("root"));
        Assert.Null(Accounts.GroupOf("no-such-group-here"));
    }

    private static uint[] Field(string[] status, string name) =>
        [.. status.Single(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries).Select(uint.Parse)];
}

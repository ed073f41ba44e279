using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Daemon.Access;
using Agent.Daemon.Api;
using Agent.Daemon.Configuration;
using Agent.Daemon.Systemd;
using Agent.Tests.Artifacts.Trust;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

public class CallersTests
{
    private const uint Viewers = 989, Deployers = 990, Admins = 991;

    private static readonly AgentOptions Options = AgentFile.Defaults;
    private readonly Callers callers = new(new RoleGroups([Viewers], [Deployers], [Admins], []), Options, new Clients(new MemoryDisk(), "/data", TimeProvider.System, NullLogger<Clients>.Instance), null);

    [Theory]
    [InlineData(0u, 0u, new uint[0], nameof(Role.Admin))]
    [InlineData(54321u, Admins, new uint[0], nameof(Role.Admin))]
    [InlineData(54321u, 1000u, new uint[] { 4, Deployers }, nameof(Role.Deployer))]
    [InlineData(54321u, 1000u, new uint[] { Viewers, Deployers }, nameof(Role.Deployer))]
    [InlineData(54321u, 1000u, new uint[] { Viewers }, nameof(Role.Viewer))]
    [InlineData(54321u, 1000u, new uint[] { 4 }, nameof(Role.None))]
    public void The_groups_of_a_caller_give_the_role(uint uid, uint gid, uint[] groups, string role) =>
        Assert.Equal(role, callers.Of(new PeerCredentials(7, uid, gid, groups)).Role.ToString());

    [Fact]
    public void Nobody_known_has_no_role() => Assert.Equal(("somebody unknown", Role.None), (callers.Of((PeerCredentials?)null).By, callers.Of((PeerCredentials?)null).Role));

    [Fact]
    public void Without_the_groups_only_root_has_a_role()
    {
        var none = new RoleGroups([], [], [], []);
        Assert.Equal(Role.None, none.RoleOf(new PeerCredentials(1, 54321, Deployers, [Deployers])));
        Assert.Equal(Role.Admin, none.RoleOf(new PeerCredentials(1, 0, 0, [])));
    }

    [Fact]
    public void A_role_includes_those_below_it()
    {
        Caller deployer = callers.Of(new PeerCredentials(7, 54321, Deployers, []));
        callers.Demand(deployer, Role.Viewer, "see the status");
        callers.Demand(deployer, Role.Deployer, "deploy");
        Assert.Throws<CallerRefusedException>(() => callers.Demand(deployer, Role.Admin, "see the audit records"));
    }

    [Fact]
    public void Who_may_not_is_told_how_they_could()
    {
        var refused = Assert.Throws<CallerRefusedException>(() => callers.Demand(callers.Of(new PeerCredentials(7, 54321, Viewers, [])), Role.Deployer, "deploy"));
        Assert.Equal("uid 54321 may not deploy: it is viewer, and that takes deployer", refused.Message);
        Assert.Equal((ExitCode.Refused, "use sudo, or join the group: sudo usermod -aG agentd USER, and log in again"), (refused.Told.Code, refused.Told.Remedy));
        refused = Assert.Throws<CallerRefusedException>(() => callers.Demand(callers.Of(new PeerCredentials(7, 54321, 1000, [])), Role.Viewer, "see the status"));
        Assert.Equal("uid 54321 may not see the status: it has no role here, and that takes viewer", refused.Message);
    }

    [Fact]
    public void Groups_that_the_host_does_not_have_are_named_and_left_out()
    {
        RoleGroups groups = RoleGroups.Of(Options with { Viewers = ["no-such-group-here"], Deployers = ["root"], Admins = [] });
        Assert.Equal([0u], groups.All);
        Assert.Equal([("no-such-group-here", Role.Viewer)], groups.Missing);
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

using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>Somebody, or systemd itself, does something in the middle of a deployment: an honest outcome, and nothing half-done.</summary>
public sealed class HandsInBetweenTests(HandsInBetweenTests.OneHost shared) : AgentTest, IClassFixture<HandsInBetweenTests.OneHost>
{
    private const string BusKilled = "systemctl kill --signal=KILL dbus.service; systemctl start dbus.service";

    private static int s_minor;

    [Theory]
    [InlineData(BusKilled)]
    [InlineData("systemctl daemon-reexec")]
    [InlineData("systemctl daemon-reload")]
    [InlineData("sed -i s/^TimeoutStopSec=.*/TimeoutStopSec=7s/ /etc/systemd/system/shop.service; systemctl daemon-reload")]
    public async Task Goes_live_where_in_its_gate_somebody_does(string what)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        (CommandResult deploy, string version) = await InTheGateAsync(host, "ok", what);
        Assert.True(deploy.Exit == 0, deploy.Errors);
        await host.AssertAgreesAsync("shop", [version], what, Cancel);
        await AssertNextWorksAsync(host);
        Assert.Equal("", await host.ShellAsync("grep TimeoutStopSec=7s /etc/systemd/system/shop.service || true", Cancel));
    }

    [Theory]
    [InlineData("systemctl stop shop")]
    [InlineData("systemctl kill --signal=KILL shop")]
    [InlineData("systemctl restart shop")]
    [InlineData("ln -sf /dev/null /etc/systemd/system/shop.service; systemctl daemon-reload")]   // masked, as it has no unit file elsewhere
    public async Task Does_not_call_a_release_proved_where_in_its_gate_somebody_does(string what)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string before = host.State("shop").Current!.Version;
        (CommandResult deploy, _) = await InTheGateAsync(host, "ok", what);
        Assert.True(deploy.Exit == 1, $"exit {deploy.Exit}: {deploy.Errors}");
        await host.AssertAgreesAsync("shop", [before], what, Cancel);
        await AssertNextWorksAsync(host);
    }

    [Fact]
    public async Task Goes_back_to_the_old_port_where_the_new_one_is_taken()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string before = host.State("shop").Current!.Version, version = Version();
        await host.PublishAsync(version, "ok", Cancel);
        await host.ShellAsync("systemd-run --quiet --unit=squatter --collect python3 -m http.server 8099; until curl --silent --output /dev/null http://127.0.0.1:8099/; do sleep 0.1; done", Cancel);
        await host.Host.WriteAsync("/etc/agentd/apps.d/shop.yaml", AgentHost.AppFile(port: 8099, start: "3s"), Cancel);
        await host.ShellAsync("systemctl kill --signal=HUP agentd", Cancel);
        CommandResult deploy = await host.AgentctlAsync(["deploy", version], Cancel);
        Assert.True(deploy.Exit == 1, $"exit {deploy.Exit}: {deploy.Errors}");
        Assert.Contains("Address already in use", (await host.AgentctlAsync(["why"], Cancel)).Output, StringComparison.Ordinal);
        await host.AssertAgreesAsync("shop", [before], "the port is taken", Cancel);

        await host.Host.WriteAsync("/etc/agentd/apps.d/shop.yaml", OneHost.App, Cancel);
        await host.ShellAsync("systemctl stop squatter; systemctl kill --signal=HUP agentd", Cancel);
        await AssertNextWorksAsync(host);
    }

    [Theory]
    [InlineData("true")]
    [InlineData(BusKilled)]
    [InlineData("systemctl daemon-reexec")]
    public async Task Waits_for_a_release_that_stops_slowly_also_where_meanwhile_somebody_does(string what)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string slow = Version(), next = Version();
        await host.PublishAsync(slow, "slow-stop:4", Cancel);
        await host.DeployAsync(slow, Cancel);
        await host.PublishAsync(next, "ok", Cancel);
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", next], Cancel);
        await EventuallyAsync("it is being stopped", TimeSpan.FromSeconds(30), async () => await host.ShellAsync("systemctl show -P SubState shop", Cancel) == "stop-sigterm");
        await host.ShellAsync(what, Cancel);
        Assert.True((await deploy).Exit == 0, (await deploy).Errors);
        await host.AssertAgreesAsync("shop", [next], what, Cancel);
    }

    private static string Version() => $"v1.{Interlocked.Increment(ref s_minor)}.0";

    /// <summary>Deploys a new version, and runs a line of shell while it is watched.</summary>
    private static async Task<(CommandResult Deploy, string Version)> InTheGateAsync(AgentHost host, string behaviour, string what)
    {
        string version = Version();
        await host.PublishAsync(version, behaviour, Cancel);
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", version], Cancel);
        await AtGateAsync(host, deploy);
        await EventuallyAsync("it answers", TimeSpan.FromSeconds(20), async () => await host.AnswerAsync(Cancel) == version);
        await host.ShellAsync(what, Cancel);
        return (await deploy, version);
    }

    private static async Task AssertNextWorksAsync(AgentHost host)
    {
        string version = Version();
        await host.PublishAsync(version, "ok", Cancel);
        await host.DeployAsync(version, Cancel);
        await host.AssertAgreesAsync("shop", [version], "the next deployment", Cancel);
        Assert.Equal(Outcome.Live, host.State("shop").Deployments[^1].Outcome);
    }

    public sealed class OneHost : IAsyncLifetime
    {
        // Time for a command inside, on a busy machine, before a release is proved.
        internal static readonly string App = AgentHost.AppFile(stable: "4s");

        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<AgentHost> GetAsync(CancellationToken cancellationToken)
        {
            if (host is not null) return host;
            host = await AgentUpAsync("hands", App);
            await host.PublishAsync("v1.0.0", "ok", cancellationToken);
            await host.DeployAsync("v1.0.0", cancellationToken);
            return host;
        }

        public async ValueTask DisposeAsync()
        {
            if (host is not null) await host.DisposeAsync();
        }
    }
}

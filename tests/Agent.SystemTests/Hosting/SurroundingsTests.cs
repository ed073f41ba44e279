using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Hosting;

/// <summary>What the agent runs in goes wrong in the gate of a release: its clock, and what it may have open.</summary>
public sealed class SurroundingsTests(SurroundingsTests.OneHost shared) : AgentTest, IClassFixture<SurroundingsTests.OneHost>
{
    // More than agentd may have open. It accepts a quarter of that; the others wait in the kernel's queue, or find that full.
    private const string Crowd = """
        import os, socket, time
        callers = [socket.socket(socket.AF_UNIX) for _ in range(800)]
        for caller in callers:
            caller.setblocking(False)
            try:
                caller.connect("/run/agentd/agentd.sock")
            except BlockingIOError:
                pass
        os.system("systemd-notify --ready")
        time.sleep(120)
        """;

    private static int s_minor;

    [Fact]
    public async Task Callers_that_connect_and_stay_take_nothing_from_a_deployment()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.Host.WriteAsync("/root/crowd.py", Crowd, Cancel);
        await WithDropInAsync(host, "LimitNOFILE=512", async () =>
        {
            int agent = await host.MainPidAsync("agentd", Cancel);
            Task ComeAsync(string unit) => host.ShellAsync($"systemd-run --quiet --unit={unit} --property=Type=notify --property=NotifyAccess=all --collect python3 /root/crowd.py", Cancel);
            CommandResult deploy = await InTheGateAsync(host, () => ComeAsync("crowd"));
            await ComeAsync("more");   // takes the place of who watched the deployment
            CommandResult another = await host.AgentctlAsync(["status"], Cancel);
            await host.ShellAsync("systemctl stop crowd more", Cancel);
            Assert.True(another.Exit == 4, $"exit {another.Exit}: {another.Output}{another.Errors}");
            Assert.True(deploy.Exit == 0, deploy.Errors);
            await host.AssertAgreesAsync("shop", [host.State("shop").Current!.Version], "after them", Cancel);
            Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));
        });
    }

    [Theory]
    [InlineData("+1d")]
    [InlineData("-1d")]
    public async Task A_clock_that_is_set_by_a_day_in_the_gate_changes_nothing(string jump)
    {
        const string Library = "/usr/lib/*/faketime/libfaketimeMT.so.1", Clock = "/etc/agentd-clock";
        AgentHost host = await shared.GetAsync(Cancel);
        string library = await host.ShellAsync($"ls {Library} 2>/dev/null || true", Cancel);
        if (library.Length == 0) Assert.Skip("libfaketime is not installed: apt-get install faketime");
        await host.Host.WriteAsync(Clock, "+0d", Cancel);
        await WithDropInAsync(host, $"Environment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={Clock} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1", async () =>
        {
            int agent = await host.MainPidAsync("agentd", Cancel);
            CommandResult deploy = await InTheGateAsync(host, () => host.Host.WriteAsync(Clock, jump, Cancel));
            Assert.True(deploy.Exit == 0, deploy.Errors);
            Deployment last = host.State("shop").Deployments[^1];
            TimeSpan took = last.Records[^1].At - last.Records[0].At;
            Assert.True(took.Duration() > TimeSpan.FromHours(23), $"the agent's clock did not jump: {took}");
            Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));
            await host.AssertAgreesAsync("shop", [last.To.Version], jump, Cancel);
        });
    }

    /// <summary>Runs agentd with an addition to the [Service] of its unit.</summary>
    private static async Task WithDropInAsync(AgentHost host, string setting, Func<Task> act)
    {
        const string Directory = "/etc/systemd/system/agentd.service.d";
        await host.Host.WriteAsync($"{Directory}/test.conf", $"[Service]\n{setting}\n", Cancel);
        await host.ShellAsync("systemctl daemon-reload; systemctl restart agentd", Cancel);
        try
        {
            await act();
        }
        finally
        {
            await host.ShellAsync($"rm -r {Directory}; systemctl daemon-reload; systemctl restart agentd", CancellationToken.None);
        }
    }

    /// <summary>Deploys a release that is good from when <paramref name="act"/> is through.</summary>
    private static async Task<CommandResult> InTheGateAsync(AgentHost host, Func<Task> act)
    {
        string version = $"v1.{Interlocked.Increment(ref s_minor)}.0";
        await host.PublishAsync(version, $"good-with:/run/{version}", Cancel);
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", version], Cancel);
        await AtGateAsync(host, deploy);
        await EventuallyAsync("it answers", TimeSpan.FromSeconds(20), async () => await host.AnswerAsync(Cancel) == version);
        await act();
        await host.ShellAsync($"touch /run/{version}", Cancel);
        return await deploy;
    }

    public sealed class OneHost : IAsyncLifetime
    {
        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<AgentHost> GetAsync(CancellationToken cancellationToken)
        {
            if (host is not null) return host;
            host = await AgentUpAsync("surroundings", AgentHost.AppFile(start: "180s", stable: "2s"));
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

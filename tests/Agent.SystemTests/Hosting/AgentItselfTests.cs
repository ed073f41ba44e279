using System.Diagnostics;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Hosting;

/// <summary>What happens to the agent, to its log and to those who watch it, in the middle of a deployment.</summary>
public sealed class AgentItselfTests(AgentItselfTests.OneHost shared) : AgentTest, IClassFixture<AgentItselfTests.OneHost>
{
    private static int s_minor;

    [Theory]
    [InlineData("systemctl restart agentd")]
    [InlineData("bash /root/stage/usr/share/agentd/install.sh --from /root/stage")]
    public async Task Goes_back_from_a_deployment_during_which_somebody_does(string what)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string before = host.State("shop").Current!.Version;
        CommandResult deploy = await InTheGateAsync(host, "ok", () => host.ShellAsync(what, Cancel));
        Assert.Equal(4, deploy.Exit);
        await host.AssertAgreesAsync("shop", [before], what, Cancel);
        Assert.Equal(Outcome.RolledBack, host.State("shop").Deployments[^1].Outcome);
        int pid = await host.MainPidAsync("shop", Cancel);
        await host.ShellAsync(what, Cancel);
        Assert.Equal(pid, await host.MainPidAsync("shop", Cancel));
    }

    [Fact]
    public async Task Keeps_the_old_configuration_in_force_where_the_new_one_is_wrong()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        const string File = "/etc/agentd/apps.d/shop.yaml";
        int pid = 0;
        CommandResult deploy = await InTheGateAsync(host, "ok", async () =>
        {
            pid = await host.MainPidAsync("shop", Cancel);
            await host.ShellAsync($"cp {File} /root/shop.yaml; printf '\\npol: 3\\n' >> {File}; systemctl kill --signal=HUP agentd", Cancel);
            CommandResult check = await host.AgentctlAsync(["config", "check"], Cancel);
            Assert.True(check.Exit == 2 && check.Output.Contains($"{File}:", StringComparison.Ordinal) && check.Output.Contains("pol is not a key here", StringComparison.Ordinal), $"exit {check.Exit}: {check.Output}{check.Errors}");
            CommandResult show = await host.AgentctlAsync(["config", "show", "--app", "shop"], Cancel);
            Assert.True(show.Exit == 0 && !show.Output.Contains("pol:", StringComparison.Ordinal), show.Output + show.Errors);
        });
        Assert.True(deploy.Exit == 0, deploy.Errors);
        Assert.Equal(pid, await host.MainPidAsync("shop", Cancel));
        await host.ShellAsync("journalctl --sync", Cancel);
        Assert.Contains("pol is not a key here", await host.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd PRIORITY=3 PRIORITY=4", Cancel), StringComparison.Ordinal);

        await host.ShellAsync($"cp /root/shop.yaml {File}; systemctl kill --signal=HUP agentd", Cancel);
        Assert.Equal(0, (await host.AgentctlAsync(["config", "check"], Cancel)).Exit);
    }

    [Fact]
    public async Task Needs_nobody_who_watches()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        const int Watchers = 10;
        CommandResult deploy = await InTheGateAsync(host, "ok", async () =>
        {
            string id = host.State("shop").Deployments[^1].Id;
            await host.ShellAsync(
                $"""
                for i in $(seq {Watchers}); do agentctl watch {id} >/dev/null 2>&1 & done
                sleep 1
                pkill --signal STOP --full 'agentctl[.]dll watch {id}'
                """, Cancel);
        });
        Assert.True(deploy.Exit == 0, deploy.Errors);
        Assert.Equal(Outcome.Live, host.State("shop").Deployments[^1].Outcome);
        await host.ShellAsync("pkill --signal KILL --full 'agentctl[.]dll watch'", Cancel);
        await host.AssertAgreesAsync("shop", [host.State("shop").Current!.Version], "after them", Cancel);
    }

    [Theory]
    [InlineData("ok", 0)]
    [InlineData("answer-500", 1)]
    public async Task Comes_to_an_outcome_in_time_also_where_the_log_takes_nothing(string behaviour, int exit)
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string before = host.State("shop").Current!.Version, version = Version();
        await host.PublishAsync(version, behaviour, Cancel);
        await host.ShellAsync("systemctl kill --signal=STOP systemd-journald", Cancel);
        try
        {
            long start = Stopwatch.GetTimestamp();
            CommandResult deploy = await host.AgentctlAsync(["deploy", version], Cancel);
            Assert.True(deploy.Exit == exit, $"exit {deploy.Exit}: {deploy.Errors}");
            Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 45);
        }
        finally
        {
            await host.ShellAsync("systemctl kill --signal=CONT systemd-journald", Cancel);
        }
        await host.AssertAgreesAsync("shop", [exit == 0 ? version : before], "the log works again", Cancel);
    }

    [Fact]
    public async Task A_host_that_was_suspended_in_the_gate_is_no_reason_to_go_back()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        string freezer = Path.Combine(new HostFiles(host.Host.Id).Cgroup, "host/cgroup.freeze");
        int agent = await host.MainPidAsync("agentd", Cancel);
        CommandResult deploy = await InTheGateAsync(host, "ok", async () =>
        {
            await File.WriteAllTextAsync(freezer, "1", Cancel);
            try
            {
                await Task.Delay(TimeSpan.FromSeconds(15), Cancel);
            }
            finally
            {
                await File.WriteAllTextAsync(freezer, "0", CancellationToken.None);
            }
        });
        Assert.True(deploy.Exit == 0, deploy.Errors);
        Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));
        await host.AssertAgreesAsync("shop", [host.State("shop").Current!.Version], "awake again", Cancel);
    }

    private static string Version() => $"v1.{Interlocked.Increment(ref s_minor)}.0";

    private static async Task<CommandResult> InTheGateAsync(AgentHost host, string behaviour, Func<Task> act)
    {
        string version = Version();
        await host.PublishAsync(version, behaviour, Cancel);
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", version], Cancel);
        await AtGateAsync(host, deploy);
        await EventuallyAsync("it answers", TimeSpan.FromSeconds(20), async () => await host.AnswerAsync(Cancel) == version);
        await act();
        return await deploy;
    }

    public sealed class OneHost : IAsyncLifetime
    {
        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<AgentHost> GetAsync(CancellationToken cancellationToken)
        {
            if (host is not null) return host;
            host = await AgentUpAsync("itself", AgentHost.AppFile(start: "8s", stable: "4s"));
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

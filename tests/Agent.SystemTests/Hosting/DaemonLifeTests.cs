using System.Diagnostics;
using System.Text.Json;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Hosting;

/// <summary>The agent stops, is killed, is started twice and finds its journal damaged; the application goes on.</summary>
public sealed class DaemonLifeTests(DaemonLifeTests.OneHost shared) : AgentTest, IClassFixture<DaemonLifeTests.OneHost>
{
    private static readonly TimeSpan s_back = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Applications_keep_running_when_the_agent_stops_restarts_or_is_killed()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        int shop = await host.MainPidAsync("shop", Cancel);
        await host.ShellAsync("systemctl stop agentd", Cancel);
        Assert.Equal((shop, "v1.0.0"), (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel)));
        await host.ShellAsync("systemctl start agentd", Cancel);
        await host.ShellAsync("systemctl restart agentd", Cancel);
        int agent = await host.MainPidAsync("agentd", Cancel);
        await host.ShellAsync($"kill -9 {agent}", Cancel);
        await EventuallyAsync("the agent is back", s_back, async () => (await host.AgentctlAsync(["status"], Cancel)).Exit == 0);
        Assert.NotEqual(agent, await host.MainPidAsync("agentd", Cancel));
        Assert.Equal((shop, "v1.0.0"), (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel)));
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after all of it", Cancel);
    }

    [Fact]
    public async Task Stops_within_5_s_during_a_deployment_which_the_next_start_takes_back()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.PublishAsync("v3.0.0", "never-listen", Cancel);
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", "v3.0.0"], Cancel);
        await EventuallyAsync("it is at its gate", s_back, async () =>
            (await host.StatusAsync("shop", Cancel)).GetProperty("running") is { ValueKind: JsonValueKind.Object } running && running.GetProperty("step").GetString() == "gate");
        long start = Stopwatch.GetTimestamp();
        await host.ShellAsync("systemctl stop agentd", Cancel);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 5);
        Assert.Equal("success 0", await host.ShellAsync("echo $(systemctl show -P Result agentd) $(systemctl show -P ExecMainStatus agentd)", Cancel));
        Assert.Equal(4, (await deploy).Exit);
        Assert.Contains("agentctl watch", (await deploy).Errors, StringComparison.Ordinal);

        await host.ShellAsync("systemctl start agentd", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "taken back", Cancel);
        AppState state = host.State("shop");
        Assert.Equal(Outcome.RolledBack, state.Deployments[^1].Outcome);
        Assert.DoesNotContain(state.Quarantined.Values, q => q.Release.Version == "v3.0.0");
        Assert.Equal(1, (await host.AgentctlAsync(["watch", state.Deployments[^1].Id], Cancel)).Exit);
    }

    [Fact]
    public async Task A_second_agent_says_that_one_runs_already()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        CommandResult second = await host.Host.RunAsync(["agentd"], Cancel);
        Assert.Equal(5, second.Exit);
        Assert.Contains($"agentd already runs here (pid {await host.MainPidAsync("agentd", Cancel)}, on /var/lib/agentd)", second.Errors, StringComparison.Ordinal);
        Assert.Equal(0, (await host.AgentctlAsync(["status"], Cancel)).Exit);
    }

    [Fact]
    public async Task Logs_of_a_deployment_are_found_by_their_fields()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        await host.ShellAsync("journalctl --sync", Cancel);
        string gate = await host.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd APP=shop STEP=gate DEPLOYMENT=shop-1", Cancel);
        Assert.Contains("shop v1.0.0: gate starts (shop-1)", gate, StringComparison.Ordinal);
        string live = await host.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd RELEASE=v1.0.0 EVENT_ID=1204", Cancel);
        Assert.Contains("shop v1.0.0 is live (shop-1)", live, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_torn_tail_of_the_journal_is_cut_and_told()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        int records = host.Records.Count;
        await host.ShellAsync($"systemctl stop agentd; tail -n 1 {AgentHost.Journal} | head -c 40 >> {AgentHost.Journal}; systemctl start agentd; journalctl --sync", Cancel);
        Assert.Equal(records, host.Records.Count);
        Assert.Contains("40 bytes", await host.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd EVENT_ID=1007", Cancel), StringComparison.Ordinal);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after the cut", Cancel);
    }

    [Fact]
    public async Task A_flipped_bit_in_the_middle_of_the_journal_stops_the_agent_and_not_the_application()
    {
        AgentHost host = await shared.GetAsync(Cancel);
        int shop = await host.MainPidAsync("shop", Cancel);
        string offset = await host.ShellAsync($"head -n 4 {AgentHost.Journal} | wc -c", Cancel);
        await host.ShellAsync(
            $"""
            systemctl stop agentd; cp {AgentHost.Journal} /root/journal
            python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2]) + 30); b = f.read(1)[0]; f.seek(-1, 1); f.write(bytes([b ^ 4]))' {AgentHost.Journal} {offset}
            systemctl start --no-block agentd
            """, Cancel);
        string told = "";
        await EventuallyAsync("it says why it does not start", s_back, async () =>
            (told = await host.ShellAsync("journalctl --sync; journalctl --quiet --output=cat --unit=agentd --since=-60s", Cancel)).Contains("is damaged", StringComparison.Ordinal));
        Assert.Contains($"record 5 at byte {offset}", told, StringComparison.Ordinal);
        Assert.Contains($"truncate --size={offset} {AgentHost.Journal}", told, StringComparison.Ordinal);
        Assert.Equal(4, (await host.AgentctlAsync(["status"], Cancel)).Exit);
        Assert.Equal((shop, "v1.0.0"), (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel)));

        await host.ShellAsync($"systemctl stop agentd; cp /root/journal {AgentHost.Journal}; systemctl start agentd", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "with the journal from the backup", Cancel);
    }

    public sealed class OneHost : IAsyncLifetime
    {
        private AgentHost? host;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task<AgentHost> GetAsync(CancellationToken cancellationToken)
        {
            if (host is not null) return host;
            host = await AgentUpAsync("life", AgentHost.AppFile());
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

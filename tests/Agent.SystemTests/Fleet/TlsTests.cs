using System.Globalization;
using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>A host that listens on the network, called from another one.</summary>
public sealed class TlsTests(TlsTests.TwoHosts hosts) : AgentTest, IClassFixture<TlsTests.TwoHosts>
{
    private const string Address = "https://web:7443";

    // Connects, says nothing, and stays: as many as there are descriptors for. One half stops in the middle of a handshake.
    private const string Idle = """
        import os, resource, select, socket, time
        resource.setrlimit(resource.RLIMIT_NOFILE, (11000, 11000))
        target = (socket.gethostbyname("web"), 7443)
        held, left = [], 10000
        while left > 0:
            wave = []
            for _ in range(min(500, left)):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(target)
                wave.append(s)
            left -= len(wave)
            time.sleep(0.2)
            for i, s in enumerate(wave):
                try:
                    if i % 2: s.send(b"\x16\x03\x01\x02\x00\x01\x00")
                except OSError:
                    pass
            held += wave
        print(len(held), flush=True)
        os.system("systemd-notify --ready")
        time.sleep(300)
        """;

    [Fact]
    public async Task Is_paired_deploys_is_known_and_is_removed_while_it_watches()
    {
        await hosts.UpAsync(Cancel);
        await PairAsync("ann-laptop", "deployer");
        Assert.Equal("600", (await hosts.Client.ShellAsync("stat -c %a ~/.config/agentctl/keys/key.pem ~/.config/agentctl/known_agents/web:7443 | sort -u", Cancel)).Succeeded().Trim());
        await hosts.Web.PublishAsync("v1.1.0", "ok", Cancel);
        (await AgentctlAsync("deploy", "v1.1.0", "--host", "web1")).Succeeded();
        await hosts.Web.AssertAgreesAsync("shop", ["v1.1.0"], "over TLS", Cancel);
        JsonElement deployment = (await hosts.Web.StatusAsync("shop", Cancel)).GetProperty("last");
        Assert.Equal("ann-laptop (tls)", deployment.GetProperty("by").GetString());
        JsonElement record = (await hosts.Web.JsonAsync(["audit", "--limit", "1"], Cancel)).Json.GetProperty("records")[0];
        Assert.Equal(("ann-laptop (tls)", "deployer"), (record.GetProperty("by").GetString(), record.GetProperty("role").GetString()));
        Assert.StartsWith($"{hosts.Client.Address} port ", record.GetProperty("from").GetString(), StringComparison.Ordinal);
        CommandResult refused = await AgentctlAsync("deploy", "v1.1.0", "--force", "--host", "web1");
        Assert.Equal((5, true), (refused.Exit, refused.Errors.Contains("ann-laptop (tls) may not deploy", StringComparison.Ordinal)));

        Task<CommandResult> watching = AgentctlAsync("logs", "-f", "--host", "web1");
        await EventuallyAsync("it watches", TimeSpan.FromSeconds(30), async () => (await ClientAsync("ann-laptop"))?.GetProperty("connections").GetInt32() > 0);
        Assert.Contains("1 connection was ended", (await hosts.Web.AgentctlAsync(["clients", "remove", "ann-laptop"], Cancel)).Succeeded(), StringComparison.Ordinal);
        CommandResult ended = await watching.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.True(ended.Exit is 4 or 5, $"exit {ended.Exit}: {ended.Errors}");
        CommandResult after = await AgentctlAsync("status", "--host", "web1");
        Assert.Equal((5, true), (after.Exit, after.Errors.Contains("it has no role here", StringComparison.Ordinal)));
        await hosts.Web.AssertAgreesAsync("shop", ["v1.1.0"], "removed", Cancel);
    }

    [Fact]
    public async Task Keys_of_both_sides_change()
    {
        await hosts.UpAsync(Cancel);
        await PairAsync("bob-laptop", "viewer");
        string before = (await ClientAsync("bob-laptop"))!.Value.GetProperty("key").GetString()!;
        (await AgentctlAsync("pair", "--renew")).Succeeded();
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();
        JsonElement bob = (await ClientAsync("bob-laptop"))!.Value;
        Assert.NotEqual(before, bob.GetProperty("key").GetString());
        Assert.Equal(JsonValueKind.Null, bob.GetProperty("next_key").ValueKind);

        (await hosts.Web.AgentctlAsync(["host", "rotate-key"], Cancel)).Succeeded();
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();
        (await hosts.Web.AgentctlAsync(["host", "rotate-key", "--finish"], Cancel)).Succeeded();
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();
        await hosts.Web.ShellAsync("systemctl restart agentd", Cancel);
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();

        // An agent that was installed anew, or somebody in between.
        await hosts.Web.ShellAsync("mv /var/lib/agentd/tls /root/tls; systemctl restart agentd", Cancel);
        CommandResult alarm = await AgentctlAsync("status", "--host", "web1");
        await hosts.Web.ShellAsync("rm -r /var/lib/agentd/tls; mv /root/tls /var/lib/agentd/tls; systemctl restart agentd", Cancel);
        Assert.Equal((5, true), (alarm.Exit, alarm.Errors.Contains("shows another key than before", StringComparison.Ordinal)));
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();
        (await hosts.Web.AgentctlAsync(["clients", "remove", "bob-laptop"], Cancel)).Succeeded();
    }

    [Fact]
    public async Task A_key_that_is_revoked_is_cut_off_by_a_reload()
    {
        await hosts.UpAsync(Cancel);
        await PairAsync("dan-laptop", "viewer");
        int agent = await hosts.Web.MainPidAsync("agentd", Cancel);
        string key = (await ClientAsync("dan-laptop"))!.Value.GetProperty("key").GetString()!;
        Task<CommandResult> watching = AgentctlAsync("logs", "-f", "--host", "web1");
        await EventuallyAsync("it watches", TimeSpan.FromSeconds(30), async () => (await ClientAsync("dan-laptop"))?.GetProperty("connections").GetInt32() > 0);
        await hosts.Web.ShellAsync($"cp /etc/agentd/agentd.yaml /root/before; printf '  revoked: [\"{key}\"]\n' >>/etc/agentd/agentd.yaml; systemctl reload agentd", Cancel);
        CommandResult ended = await watching.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.True(ended.Exit is 4 or 5, $"exit {ended.Exit}: {ended.Errors}");
        CommandResult refused = await AgentctlAsync("status", "--host", "web1");
        Assert.Equal((5, true), (refused.Exit, refused.Errors.Contains("its key was revoked there", StringComparison.Ordinal)));
        await hosts.Web.ShellAsync("cp /root/before /etc/agentd/agentd.yaml; systemctl reload agentd", Cancel);
        await EventuallyAsync("it is let in again", TimeSpan.FromSeconds(20), async () => (await AgentctlAsync("status", "--host", "web1")).Exit == 0);
        Assert.Equal(agent, await hosts.Web.MainPidAsync("agentd", Cancel));
        await hosts.Web.ShellAsync("journalctl --sync", Cancel);
        string log = await hosts.Web.ShellAsync($"journalctl --quiet --output=cat _PID={agent}", Cancel);
        Assert.Contains("connections that this ended: 1", log, StringComparison.Ordinal);
        Assert.DoesNotContain("when agentd is restarted", log, StringComparison.Ordinal);
        (await hosts.Web.AgentctlAsync(["clients", "remove", "dan-laptop"], Cancel)).Succeeded();
    }

    [Fact]
    public async Task Ten_thousand_idle_connections_take_nothing_from_who_is_on_the_host()
    {
        await hosts.UpAsync(Cancel);
        int agent = await hosts.Web.MainPidAsync("agentd", Cancel);
        await hosts.Client.WriteAsync("/root/idle.py", Idle, Cancel);
        const string Start = "systemd-run --quiet --unit=idle --property=Type=notify --property=NotifyAccess=all --property=LimitNOFILE=12000 --collect python3 /root/idle.py";
        (await hosts.Client.ShellAsync(Start, Cancel)).Succeeded();
        try
        {
            for (int i = 0; i < 5; i++) (await hosts.Web.AgentctlAsync(["status"], Cancel)).Succeeded();
            int open = int.Parse(await hosts.Web.ShellAsync($"ls /proc/{agent}/fd | wc -l", Cancel), CultureInfo.InvariantCulture);
            Assert.True(open < 1000, $"{open} descriptors");
            long memory = long.Parse(await hosts.Web.ShellAsync($"awk '/^VmRSS/ {{ print $2 * 1024 }}' /proc/{agent}/status", Cancel), CultureInfo.InvariantCulture);
            long most = long.Parse(await hosts.Web.ShellAsync("systemctl show -P MemoryMax agentd", Cancel), CultureInfo.InvariantCulture);
            Assert.True(memory < most / 2, $"{memory} of {most} bytes");
        }
        finally
        {
            await hosts.Client.ShellAsync("systemctl stop idle", CancellationToken.None);
        }
        Assert.Equal(agent, await hosts.Web.MainPidAsync("agentd", Cancel));
        await PairAsync("cid-laptop", "viewer");
        (await AgentctlAsync("status", "--host", "web1")).Succeeded();
        await hosts.Web.ShellAsync("journalctl --sync", Cancel);
        Assert.Contains("too many connections from one address", await hosts.Web.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd EVENT_ID=2303", Cancel), StringComparison.Ordinal);
        (await hosts.Web.AgentctlAsync(["clients", "remove", "cid-laptop"], Cancel)).Succeeded();
    }

    private async Task PairAsync(string name, string role)
    {
        string code = (await hosts.Web.AgentctlAsync(["pair", "--new", "--name", name, "--role", role], Cancel)).Succeeded().Trim();
        await hosts.Client.WriteAsync("/root/code", code + "\n", Cancel);
        Assert.Contains($"as {name}, {role}", (await hosts.Client.ShellAsync($"agentctl pair {Address} --name web1 </root/code", Cancel)).Succeeded(), StringComparison.Ordinal);
        CommandResult again = await hosts.Client.ShellAsync($"agentctl pair {Address} </root/code", Cancel);
        Assert.Equal(5, again.Exit);
    }

    private Task<CommandResult> AgentctlAsync(params string[] words) => hosts.Client.RunAsync(["agentctl", .. words], Cancel);

    private async Task<JsonElement?> ClientAsync(string name)
    {
        JsonElement all = (await hosts.Web.JsonAsync(["clients", "list"], Cancel)).Json.GetProperty("clients");
        return all.EnumerateArray().Where(client => client.GetProperty("name").GetString() == name).Select(client => (JsonElement?)client).FirstOrDefault();
    }

    public sealed class TwoHosts : IAsyncLifetime
    {
        private AgentHost? web;
        private TestHost? client;

        internal AgentHost Web => web!;

        internal TestHost Client => client!;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;

        internal async Task UpAsync(CancellationToken cancellationToken)
        {
            if (client is not null) return;
            web = await AgentUpAsync("web", new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() }, $"store: {AgentHost.Store}\nlisten:\n  address: 0.0.0.0:7443\n", "tls");
            await web.PublishAsync("v1.0.0", "ok", cancellationToken);
            await web.DeployAsync("v1.0.0", cancellationToken);
            client = await AgentHost.ClientUpAsync("client", "tls", cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            if (client is not null) await client.DisposeAsync();
            if (web is not null) await web.DisposeAsync();
        }
    }
}

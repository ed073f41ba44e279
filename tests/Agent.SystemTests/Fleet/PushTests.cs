using System.Text.Json;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>Releases that a caller brings to hosts which have no store.</summary>
public sealed class PushTests : AgentTest
{
    [Fact]
    public async Task A_host_without_a_store_is_given_releases_and_only_what_it_lacks()
    {
        await using AgentHost host = await AgentUpAsync("pushed", new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() }, agent: "poll: 5s\n");
        // Something that is worth not to be sent twice.
        await host.ShellAsync("head -c 8000000 /dev/urandom > /var/sources/tiny/ballast", Cancel);
        await host.PublishAsync("v1.0.0", "ok", Cancel);
        await host.PublishAsync("v1.1.0", "ok", Cancel);
        Assert.Equal(2, (await host.AgentctlAsync(["deploy", "v1.0.0"], Cancel)).Exit);

        JsonElement pushed = await PushAsync(host, "v1.0.0");
        Assert.InRange(pushed.GetProperty("received_bytes").GetInt64(), 8_000_000, 9_000_000);
        await host.ShellAsync("systemctl restart agentd", Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        Assert.Equal("v1.0.0", await host.AnswerAsync(Cancel));
        Assert.Equal("uid 0 (root)", host.State("shop").Deployments[^1].PushedBy);
        Assert.Equal("", await host.ShellAsync("ls /var/lib/agentd/pushed", Cancel));

        pushed = await PushAsync(host, "v1.1.0");
        Assert.InRange(pushed.GetProperty("received_bytes").GetInt64(), 1, 50_000);
        (await host.AgentctlAsync(["deploy", $"sha256:{pushed.GetProperty("digest").GetString()}"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "after two pushes", Cancel);
        (await host.AgentctlAsync(["rollback"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "gone back", Cancel);

        string audit = (await host.AgentctlAsync(["audit"], Cancel)).Succeeded();
        Assert.Contains("push v1.1.0", audit, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_push_that_is_killed_goes_on_and_an_agent_that_is_killed_keeps_what_came()
    {
        Assert.SkipUnless(File.Exists("/usr/sbin/nginx"), "no nginx: apt-get install nginx");
        await using AgentHost host = await AgentUpAsync("push-cut", new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() }, agent: "poll: 5s\n");
        await host.ShellAsync("head -c 60000000 /dev/urandom > /var/sources/tiny/ballast", Cancel);
        await host.PublishAsync("v1.0.0", "ok", Cancel);
        // Behind a web server that takes its time.
        await host.Host.WriteAsync("/root/nginx.conf", $"user root; pid /root/nginx.pid; events {{}} http {{ server {{ listen 127.0.0.1:8099; root {AgentHost.Store}; limit_rate 512k; }} }}\n", Cancel);
        await host.ShellAsync("systemd-run --quiet --unit=store --collect nginx -c /root/nginx.conf -g 'daemon off;'", Cancel);
        long before = 0;
        foreach (string victim in new[] { "/root/push.pid", "/run/agentd.pid" })
        {
            Task<CommandResult> push = host.Host.RunAsync(
                ["sh", "-c", "echo $$ > /root/push.pid; exec agentctl push v1.0.0 --app shop --store http://127.0.0.1:8099/"], null, new Dictionary<string, string>(), TimeSpan.FromSeconds(120), Cancel);
            await EventuallyAsync("more of it is there", TimeSpan.FromSeconds(60), async () =>
            {
                Assert.False(push.IsCompleted, "it was done before");
                return await CameAsync(host) > before + 1_000_000;
            });
            await host.ShellAsync($"systemctl show -P MainPID agentd > /run/agentd.pid && kill -KILL $(cat {victim})", Cancel);
            Assert.NotEqual(0, (await push).Exit);
            before = await CameAsync(host);
            await EventuallyAsync("the agent runs", TimeSpan.FromSeconds(60), async () => (await host.AgentctlAsync(["status"], Cancel)).Exit == 0);
        }
        JsonElement pushed = await PushAsync(host, "v1.0.0");
        Assert.InRange(pushed.GetProperty("received_bytes").GetInt64(), 1, 60_000_000 - before + 100_000);
        await host.DeployAsync("v1.0.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after the third push", Cancel);
    }

    [Fact]
    public async Task Several_hosts_are_pushed_to_at_once_and_each_is_sent_what_it_lacks()
    {
        if (SshHost.Lacks() is { } lack) Assert.Skip(lack);
        var apps = new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() };
        await using AgentHost near = await AgentUpAsync("push-near", apps, agent: "poll: 5s\n", network: "pushes");
        await using AgentHost far = await AgentUpAsync("push-far", apps, agent: "poll: 5s\n", network: "pushes");
        await SshHost.StartAsync(far.Host, [await SshHost.MakeKeyAsync(near.Host, Cancel)], Cancel);
        await SshHost.KnowAsync(near.Host, [far.Host], Cancel);
        // Both know the store of the first.
        await far.Host.WriteAsync("/etc/agentd/root.json", await near.ShellAsync("cat /root/root.json", Cancel), Cancel);
        await far.ShellAsync("systemctl stop agentd; rm -r /var/lib/agentd/trust; systemctl start agentd", Cancel);

        await near.ShellAsync("head -c 8000000 /dev/urandom > /var/sources/tiny/ballast", Cancel);
        await near.PublishAsync("v1.0.0", "ok", Cancel);
        await near.PublishAsync("v1.1.0", "ok", Cancel);
        await PushAsync(near, "v1.0.0");
        (int exit, JsonElement json) = await near.JsonAsync(["push", "v1.1.0", "--app", "shop", "--host", "local,ssh://root@push-far"], Cancel);
        Assert.Equal(0, exit);
        Dictionary<string, long> received = json.GetProperty("hosts").EnumerateArray()
            .ToDictionary(host => host.GetProperty("host").GetString()!, host => host.GetProperty("result").GetProperty("received_bytes").GetInt64());
        Assert.InRange(received["local"], 1, 50_000);
        Assert.InRange(received["ssh://root@push-far"], 8_000_000, 9_000_000);
        (await near.AgentctlAsync(["deploy", "v1.1.0", "--app", "shop", "--host", "ssh://root@push-far"], Cancel)).Succeeded();
        await far.AssertAgreesAsync("shop", ["v1.1.0"], "through ssh", Cancel);

        // What lies here goes to all of them, and then over them.
        CommandResult rollout = await near.AgentctlAsync(
            ["deploy", "/var/sources/shop-v1.1.0", "--version", "v1.2.0", "--app", "shop", "--host", "local,ssh://root@push-far", "--canary", "1"], Cancel);
        Assert.True(rollout.Exit == 0, rollout.Output + rollout.Errors);
        foreach (AgentHost host in (AgentHost[])[near, far]) await host.AssertAgreesAsync("shop", ["v1.2.0"], "rolled out", Cancel);
        Assert.Equal("uid 0 (root)", far.State("shop").Deployments[^1].PushedBy);
    }

    [Fact]
    public async Task Unsigned_builds_take_the_operators_leave_and_are_shown_for_ever()
    {
        await using AgentHost host = await AgentUpAsync("push-unsigned", new Dictionary<string, string> { ["shop"] = AgentHost.AppFile() }, agent: "unsigned_push:\n  apps: [shop]\n  by: [ann]\n");
        await host.ShellAsync("useradd --groups agentd ann && useradd --groups agentd bob && cp -r /var/sources/tiny /var/build && echo ok > /var/build/behaviour", Cancel);

        (int exit, string errors) = await AsAsync(host, "bob");
        Assert.Equal(5, exit);
        Assert.Contains("(bob) may not bring releases of shop here without signatures", errors, StringComparison.Ordinal);
        (exit, errors) = await AsAsync(host, "ann");
        Assert.True(exit == 0, errors);
        Deployment first = host.State("shop").Deployments[^1];
        Assert.True(first.Unsigned);
        Assert.StartsWith("v0.0.0-push.", await host.AssertAgreesAsync("shop", [first.To.Version], "unsigned", Cancel), StringComparison.Ordinal);

        // For ever after.
        await host.PublishAsync("v1.0.0", "ok", Cancel);
        await PushAsync(host, "v1.0.0");
        await host.DeployAsync("v1.0.0", Cancel);
        JsonElement unsigned = (await host.StatusAsync("shop", Cancel)).GetProperty("unsigned");
        Assert.Equal(first.To.Version, unsigned.GetProperty("version").GetString());
        Assert.Contains("a build without signatures was pushed here", (await host.AgentctlAsync(["status"], Cancel)).Succeeded(), StringComparison.Ordinal);
        Assert.Contains($"{first.To.Version} (unsigned)", (await host.AgentctlAsync(["history"], Cancel)).Succeeded(), StringComparison.Ordinal);
    }

    /// <summary>Bytes of the large file that lie on the host already.</summary>
    private static async Task<long> CameAsync(AgentHost host) => long.Parse(await host.ShellAsync("cat /var/lib/agentd/pushed/shop/parts/* 2>/dev/null | wc -c", Cancel));

    private static async Task<JsonElement> PushAsync(AgentHost host, string version)
    {
        (int exit, JsonElement json) = await host.JsonAsync(["push", version, "--app", "shop"], Cancel);
        Assert.Equal(0, exit);
        return json;
    }

    private static async Task<(int Exit, string Errors)> AsAsync(AgentHost host, string user)
    {
        CommandResult result = await host.Host.RunAsync(
            ["runuser", "-u", user, "--", "agentctl", "deploy", "/var/build", "--app", "shop", "--unsigned"], null, new Dictionary<string, string>(), TimeSpan.FromSeconds(120), Cancel);
        return (result.Exit, result.Errors);
    }
}

using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>A host that opens no port but sshd's, asked from another one.</summary>
public sealed class SshTests(SshFleet fleet) : AgentTest, IClassFixture<SshFleet>
{
    private const string Deploy = "ssh://deploy@ssh-web";

    [Fact]
    public async Task Asks_and_deploys_as_the_user_of_ssh_and_it_is_known_who_did()
    {
        await UpAsync();
        await fleet.Web.PublishAsync("v1.1.0", "ok", Cancel);
        (await AgentctlAsync("deploy", "v1.1.0", "--host", Deploy)).Succeeded();
        await fleet.Web.AssertAgreesAsync("shop", ["v1.1.0"], "over ssh", Cancel);
        JsonElement status = Json(await AgentctlAsync("status", "--host", Deploy, "--output", "json"));
        Assert.Equal("v1.1.0", status.GetProperty("apps")[0].GetProperty("version").GetString());
        Assert.Contains("(deploy)", status.GetProperty("apps")[0].GetProperty("last").GetProperty("by").GetString(), StringComparison.Ordinal);
        JsonElement record = (await fleet.Web.JsonAsync(["audit", "--limit", "1"], Cancel)).Json.GetProperty("records")[0];
        Assert.Equal("deployer", record.GetProperty("role").GetString());
        Assert.Contains("(deploy)", record.GetProperty("by").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_may_be_good_for_this_alone()
    {
        await UpAsync();
        await SshHost.RunAsync(fleet.Client, "ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/only", Cancel);
        string only = await SshHost.RunAsync(fleet.Client, "cat /root/.ssh/only.pub", Cancel);
        await fleet.Web.ShellAsync($"echo 'restrict,command=\"agentctl dial-stdio\" {only}' >>/etc/ssh/test_accepted_keys", Cancel);
        (await AgentctlAsync("status", "--host", "ssh://deploy@restricted")).Succeeded();
        CommandResult shell = await fleet.Client.RunAsync(["sh", "-c", "ssh deploy@restricted id </dev/null"], Cancel);
        Assert.DoesNotContain("uid=", shell.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_shared_connection_is_used_and_stays_for_others()
    {
        await UpAsync();
        int before = await SshHost.LoginsAsync(fleet.Web.Host, Cancel);
        for (int i = 0; i < 3; i++) (await AgentctlAsync("version", "--host", "ssh://deploy@shared")).Succeeded();
        Assert.Equal(before + 1, await SshHost.LoginsAsync(fleet.Web.Host, Cancel));
        await SshHost.RunAsync(fleet.Client, "ssh -O check deploy@shared; ssh -O exit deploy@shared", Cancel);
    }

    [Fact]
    public async Task A_jump_host_of_the_configuration_is_used()
    {
        await UpAsync();
        int before = await SshHost.LoginsAsync(fleet.Jump, Cancel);
        (await AgentctlAsync("status", "--host", "ssh://deploy@behind")).Succeeded();
        Assert.Equal(before + 1, await SshHost.LoginsAsync(fleet.Jump, Cancel));
    }

    [Fact]
    public async Task A_host_key_that_has_changed_or_is_unknown_is_refused()
    {
        await UpAsync();
        const string Known = "/root/.ssh/known_hosts";
        await SshHost.RunAsync(fleet.Client, $"cp {Known} {Known}.right; sed -i \"s|^ssh-web .*|ssh-web $(cut -d' ' -f1,2 /root/.ssh/id_ed25519.pub)|\" {Known}", Cancel);
        try
        {
            await AssertFailsAsync(5, "ssh://deploy@ssh-web: it shows another host key than the one that ssh knows", "ssh-keygen -R ssh-web", "status", "--host", Deploy);
            await SshHost.RunAsync(fleet.Client, $": >{Known}", Cancel);
            await AssertFailsAsync(5, "ssh does not know its host key yet", "compare the fingerprint", "status", "--host", Deploy);
        }
        finally
        {
            await SshHost.RunAsync(fleet.Client, $"mv {Known}.right {Known}", CancellationToken.None);
        }
    }

    [Fact]
    public async Task Who_has_no_key_or_no_role_there_is_told()
    {
        await UpAsync();
        await AssertFailsAsync(5, "you may not talk to agentd", "sudo usermod -aG agentd USER", "status", "--host", "ssh://stranger@ssh-web");
        await AssertFailsAsync(5, "it does not let you in: nobody-at-all@ssh-web: Permission denied (publickey)", "authorized_keys", "status", "--host", "ssh://nobody-at-all@ssh-web");
    }

    [Fact]
    public async Task A_host_that_does_not_answer_to_ssh_is_told()
    {
        await UpAsync();
        await AssertFailsAsync(4, "nothing there answers to ssh", "sshd runs there", "status", "--host", "ssh://ssh-web:2222");
        await AssertFailsAsync(4, "nobody knows its address", "typing error", "status", "--host", "ssh://no-such-host");
    }

    [Fact]
    public async Task An_agent_that_is_missing_or_stopped_is_told()
    {
        await UpAsync();
        await fleet.Web.ShellAsync("mv /usr/bin/agentctl /usr/bin/agentctl.away", Cancel);
        try
        {
            await AssertFailsAsync(4, "there is no agentctl there", "agentctl host bootstrap ssh://deploy@ssh-web", "status", "--host", Deploy);
        }
        finally
        {
            await fleet.Web.ShellAsync("mv /usr/bin/agentctl.away /usr/bin/agentctl", CancellationToken.None);
        }
        await fleet.Web.ShellAsync("systemctl stop agentd", Cancel);
        try
        {
            await AssertFailsAsync(4, "agentd does not run", "sudo systemctl start agentd", "status", "--host", Deploy);
        }
        finally
        {
            await fleet.Web.ShellAsync("systemctl start agentd", CancellationToken.None);
        }
    }

    [Fact]
    public async Task What_a_shell_and_sshd_say_before_is_no_answer()
    {
        await UpAsync();
        await fleet.Web.ShellAsync("printf 'echo Welcome to web, agentctl-dial-stdio; printf noise\\n' >/home/deploy/.noise; cat /home/deploy/.noise /home/deploy/.bashrc >/home/deploy/.new; mv /home/deploy/.new /home/deploy/.bashrc", Cancel);
        await fleet.Web.Host.WriteAsync("/etc/ssh/banner", "All your connections are watched.\n", Cancel);
        await fleet.Web.ShellAsync("echo Banner /etc/ssh/banner >>/etc/ssh/test_sshd_config; systemctl restart sshd-test; for _ in $(seq 100); do ! ss -Hltn 'sport = :22' | grep -q . || exit 0; sleep 0.1; done; exit 1", Cancel);
        Assert.Contains("Welcome to web", await SshHost.RunAsync(fleet.Client, "ssh deploy@ssh-web true", Cancel), StringComparison.Ordinal);
        CommandResult status = await AgentctlAsync("status", "--host", Deploy, "--output", "json");
        Assert.Equal("shop", Json(status).GetProperty("apps")[0].GetProperty("app").GetString());
        Assert.Equal("", status.Errors);
    }

    [Fact]
    public async Task A_deployment_outlives_its_ssh_and_is_shown_to_its_end()
    {
        await UpAsync();
        await fleet.Web.PublishAsync("v1.2.0", "good-with:/run/v1.2.0", Cancel);
        Task<CommandResult> deploy = AgentctlAsync("deploy", "v1.2.0", "--host", Deploy);
        await AtGateAsync(fleet.Web, deploy);
        await SshHost.RunAsync(fleet.Client, "pkill -KILL -x ssh", Cancel);
        await fleet.Web.ShellAsync("touch /run/v1.2.0", Cancel);
        // It connects again, and is shown the deployment that it began.
        Assert.Contains("live", (await deploy).Succeeded(), StringComparison.Ordinal);
        string id = Assert.Single(fleet.Web.State("shop").Deployments, deployment => deployment.To.Version == "v1.2.0").Id;
        CommandResult watched = await AgentctlAsync("watch", id, "--host", Deploy);
        Assert.Contains("live", watched.Succeeded(), StringComparison.Ordinal);
        await fleet.Web.AssertAgreesAsync("shop", ["v1.2.0"], "after ssh was killed", Cancel);
        // Nothing of the connection that broke is left on the host.
        await EventuallyAsync("dial-stdio has ended", TimeSpan.FromSeconds(20), async () => await fleet.Web.ShellAsync("pgrep -f '[d]ial-stdio' || true", Cancel) == "");
    }

    private static JsonElement Json(CommandResult result) => JsonDocument.Parse(result.Succeeded()).RootElement;

    private async Task UpAsync()
    {
        SkipWhereNoHostsRun();
        if (SshHost.Lacks() is { } lacks) Assert.Skip(lacks);
        await fleet.UpAsync(Cancel);
    }

    private Task<CommandResult> AgentctlAsync(params string[] words) => fleet.Client.RunAsync(["agentctl", .. words], null, null, TimeSpan.FromSeconds(120), Cancel);

    private async Task AssertFailsAsync(int exit, string what, string remedy, params string[] words)
    {
        CommandResult result = await AgentctlAsync(words);
        Assert.True(result.Exit == exit, $"exit {result.Exit}: {result.Output}{result.Errors}");
        Assert.Contains(what, result.Errors, StringComparison.Ordinal);
        Assert.Contains(remedy, result.Errors, StringComparison.Ordinal);
        Assert.Equal("", await SshHost.RunAsync(fleet.Client, "pgrep -x ssh || true", Cancel));
    }
}

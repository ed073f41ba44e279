using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>A host that has nothing but sshd gets its agent over ssh.</summary>
public sealed class BootstrapTests : AgentTest
{
    private const string Package = "/root/agentd.deb";

    [Fact]
    public async Task Installs_upgrades_and_leaves_nothing_behind_when_it_fails()
    {
        SkipWhereNoHostsRun();
        if (SshHost.Lacks() is { } lacks) Assert.Skip(lacks);
        await using TestHost client = await AgentHost.ClientUpAsync("bootstrap-from", "bootstrap", Cancel);
        await using TestHost bare = await AgentHost.BareUpAsync("bare", "bootstrap", Cancel);
        string key = await SshHost.MakeKeyAsync(client, Cancel);
        await SshHost.StartAsync(bare, [key], Cancel);
        await SshHost.AddUserAsync(bare, "ann", "", Cancel);
        await SshHost.KnowAsync(client, [bare], Cancel);
        await AgentHost.PackageAsync(client, Package, Cancel);
        await SshHost.RunAsync(client, "agentctl store init --store /var/store --key-file /root/keys.json", Cancel);
        string before = await TracesAsync(bare);

        // A package that is no whole one, and a configuration with which the agent does not start.
        await SshHost.RunAsync(client, $"head -c $(($(stat -c %s {Package}) / 2)) {Package} >/root/broken.deb", Cancel);
        foreach (string[] bad in new string[][] { ["--package", "/root/broken.deb"], ["--package", Package, "--store", "/var/../store", "--root", "/root/root.json"] })
        {
            CommandResult refused = await AgentctlAsync(client, ["ssh://root@bare", .. bad]);
            Assert.True(refused.Exit == 1, refused.Output + refused.Errors);
            Assert.Contains("the agent could not be installed", refused.Errors, StringComparison.Ordinal);
            Assert.Equal(before, await TracesAsync(bare));
        }

        // Without sudo a user can install nothing.
        CommandResult failed = await AgentctlAsync(client, "ssh://ann@bare", "--package", Package);
        Assert.Equal(5, failed.Exit);
        Assert.Equal(before, await TracesAsync(bare));

        CommandResult installed = await AgentctlAsync(client, "ssh://root@bare", "--package", Package, "--store", "/var/store", "--root", "/root/root.json", "--name", "new");
        Assert.Contains("is ready", installed.Succeeded(), StringComparison.Ordinal);
        Assert.Equal("active enabled", await SshHost.RunAsync(bare, "echo $(systemctl is-active agentd) $(systemctl is-enabled agentd)", Cancel));
        Assert.Equal("store: \"/var/store\"", await SshHost.RunAsync(bare, "cat /etc/agentd/agentd.yaml", Cancel));
        (await client.RunAsync(["agentctl", "status", "--host", "new"], Cancel)).Succeeded();

        // The same once more is an upgrade; another store is not written over the one that is there.
        int pid = await PidAsync(bare);
        (await AgentctlAsync(client, "ssh://root@bare", "--package", Package)).Succeeded();
        Assert.NotEqual(pid, await PidAsync(bare));
        failed = await AgentctlAsync(client, "ssh://root@bare", "--package", Package, "--store", "/var/other", "--root", "/root/root.json");
        Assert.Equal(5, failed.Exit);
        Assert.Contains("has another /etc/agentd/agentd.yaml already", failed.Errors, StringComparison.Ordinal);
        Assert.Equal("store: \"/var/store\"", await SshHost.RunAsync(bare, "cat /etc/agentd/agentd.yaml", Cancel));
        Assert.Equal("", await SshHost.RunAsync(bare, "ls -d /tmp/tmp.* 2>/dev/null || true", Cancel));
    }

    private static Task<CommandResult> AgentctlAsync(TestHost client, params string[] words) =>
        client.RunAsync(["agentctl", "host", "bootstrap", .. words], null, null, TimeSpan.FromSeconds(120), Cancel);

    private static async Task<int> PidAsync(TestHost host) => int.Parse(await SshHost.RunAsync(host, "systemctl show -P MainPID agentd", Cancel));

    /// <summary>All that there could be of an agent.</summary>
    private static Task<string> TracesAsync(TestHost host) => SshHost.RunAsync(host, """
        ls -d /usr/bin/agentd /usr/bin/agentctl /etc/agentd /var/lib/agentd /usr/lib/systemd/system/agentd.service /etc/systemd/system/multi-user.target.wants/agentd.service /tmp/tmp.* 2>/dev/null || true
        dpkg-query -W -f '${db:Status-Abbrev}' agentd 2>/dev/null || true
        systemctl show -P LoadState agentd
        """, Cancel);
}

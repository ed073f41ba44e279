using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Hosting;

/// <summary>People of different groups on one host: what each may do, and what is recorded of it.</summary>
public sealed class RolesTests : AgentTest
{
    [Fact]
    public async Task Each_group_may_what_its_role_says_and_every_change_and_refusal_is_recorded()
    {
        await using AgentHost host = await AgentUpAsync("roles", AgentHost.AppFile());
        await host.ShellAsync(
            """
            for user in nobody-special viewer deployer admin; do useradd --system --no-create-home --shell /bin/sh "$user"; done
            usermod -aG agentd-viewer viewer; usermod -aG agentd deployer; usermod -aG agentd-admin admin
            """, Cancel);
        Assert.Equal("srw-rw----+ root agentd", await host.ShellAsync("ls -l /run/agentd/agentd.sock | cut -d' ' -f1,3,4", Cancel));
        await host.PublishAsync("v1.0.0", "ok", Cancel);

        // Nobody in particular does not even come as far as the agent.
        (int exit, string told) = await AsAsync(host, "nobody-special", "status");
        Assert.Equal(5, exit);
        Assert.Contains("you may not talk to agentd", told, StringComparison.Ordinal);

        Assert.Equal(0, (await AsAsync(host, "viewer", "status")).Exit);
        (exit, told) = await AsAsync(host, "viewer", "deploy", "v1.0.0");
        Assert.Equal(5, exit);
        Assert.Contains("(viewer) may not deploy: it is viewer, and that takes deployer", told, StringComparison.Ordinal);

        (exit, told) = await AsAsync(host, "deployer", "deploy", "v1.0.0");
        Assert.True(exit == 0, told);
        Assert.Equal(0, (await AsAsync(host, "deployer", "hold", "--reason", "night")).Exit);
        Assert.Equal(5, (await AsAsync(host, "deployer", "deploy", "v1.0.0", "--force")).Exit);
        Assert.Equal(5, (await AsAsync(host, "deployer", "audit")).Exit);
        JsonElement hold = (await host.StatusAsync("shop", Cancel)).GetProperty("hold");
        Assert.Equal("night", hold.GetProperty("reason").GetString());
        Assert.Contains("(deployer)", hold.GetProperty("by").GetString(), StringComparison.Ordinal);

        (exit, told) = await AsAsync(host, "admin", "audit", "--output", "json");
        Assert.True(exit == 0, told);
        Assert.Equal(
            [
                ("deployer", "see the audit records", true),
                ("deployer", "deploy v1.0.0 --force", true),
                ("deployer", "hold because: night", false),
                ("deployer", "deploy v1.0.0", false),
                ("viewer", "deploy v1.0.0", true),
            ],
            JsonDocument.Parse(told).RootElement.GetProperty("records").EnumerateArray()
                .Select(record => (record.GetProperty("role").GetString(), record.GetProperty("wish").GetString(), record.GetProperty("refused").GetBoolean())));
        Assert.Equal("600 root", await host.ShellAsync("stat -c '%a %U' /var/lib/agentd/audit", Cancel));
        await host.ShellAsync("journalctl --sync", Cancel);
        Assert.Contains("may not", await host.ShellAsync("cat /var/lib/agentd/audit", Cancel), StringComparison.Ordinal);
        Assert.Contains("deploy v1.0.0", await host.ShellAsync("journalctl --quiet --output=cat SYSLOG_IDENTIFIER=agentd EVENT_ID=1101", Cancel), StringComparison.Ordinal);
    }

    private static async Task<(int Exit, string Told)> AsAsync(AgentHost host, string user, params string[] words)
    {
        CommandResult result = await host.Host.RunAsync(["runuser", "-u", user, "--", "agentctl", .. words], Cancel);
        return (result.Exit, result.Output + result.Errors);
    }
}

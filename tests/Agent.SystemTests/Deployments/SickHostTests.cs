using System.Text.Json;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>When it is not the release: the host is sick, or one bad release follows another.</summary>
public sealed class SickHostTests : AgentTest
{
    [Fact]
    public async Task Where_the_old_release_does_not_come_back_either_a_person_is_needed()
    {
        await using AgentHost host = await AgentUpAsync("sick", AgentHost.AppFile("channel: stable\nshared:\n  directories: [state]", start: "3s", stable: "500ms"));
        foreach (string version in new[] { "v1.0.0", "v1.1.0", "v1.2.0" }) await host.PublishAsync(version, "ok", Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        await host.ShellAsync("echo exit-at-once > /srv/shop/shared/state/behaviour", Cancel);   // what runs has read it already

        CommandResult deploy = await host.AgentctlAsync(["deploy", "v1.1.0"], Cancel);
        Assert.Equal((3, ""), (deploy.Exit, deploy.Errors.Contains("a person is needed", StringComparison.Ordinal) ? "" : deploy.Errors));
        Assert.Equal(Outcome.NeedsOperator, host.State("shop").Deployments[^1].Outcome);
        Assert.Empty(host.State("shop").Quarantined);
        CommandResult why = await host.AgentctlAsync(["why"], Cancel);
        Assert.Contains("it looks like this host, or something that both need, and not like the release", why.Output, StringComparison.Ordinal);
        Assert.Equal(3, (await host.AgentctlAsync(["status"], Cancel)).Exit);

        // Nothing more by itself, also across a restart of the agent.
        await host.PromoteAsync("v1.2.0", Cancel);
        await AssertLeftAloneAsync(host);
        await host.ShellAsync("systemctl restart agentd", Cancel);
        await AssertLeftAloneAsync(host);

        await host.ShellAsync("rm /srv/shop/shared/state/behaviour", Cancel);
        (await host.AgentctlAsync(["resume"], Cancel)).Succeeded();
        (await host.AgentctlAsync(["poll"], Cancel)).Succeeded();
        await EventuallyAsync("v1.2.0 is live", TimeSpan.FromSeconds(30), () => Task.FromResult(host.State("shop") is { Running: null, Current.Version: "v1.2.0" }));
        await host.AssertAgreesAsync("shop", ["v1.2.0"], "after resume", Cancel);
    }

    [Fact]
    public async Task After_five_bad_releases_in_a_row_the_last_good_ones_are_still_there()
    {
        await using AgentHost host = await AgentUpAsync("five-bad", AgentHost.AppFile("keep: 2", start: "5s", stable: "500ms"));
        string[] good = ["v1.0.0", "v1.1.0", "v1.2.0"], bad = ["v2.0.0", "v2.0.1", "v2.0.2", "v2.0.3", "v2.0.4"];
        foreach (string version in good)
        {
            await host.PublishAsync(version, "ok", Cancel);
            await host.DeployAsync(version, Cancel);
        }
        foreach (string version in bad)
        {
            await host.PublishAsync(version, version == "v2.0.2" ? "answer-500" : "exit-at-once", Cancel);
            Assert.Equal(1, (await host.AgentctlAsync(["deploy", version], Cancel)).Exit);
        }
        await host.AssertAgreesAsync("shop", ["v1.2.0"], "after five bad ones", Cancel, keep: 2);
        Assert.Equal("v1.0.0\nv1.1.0\nv1.2.0", await host.ShellAsync("ls /srv/shop/releases", Cancel));
        Assert.Equal(bad, host.State("shop").Quarantined.Values.Select(q => q.Release.Version).Order(StringComparer.Ordinal));
        (await host.AgentctlAsync(["rollback"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "rolled back", Cancel, keep: 2);
    }

    private static async Task AssertLeftAloneAsync(AgentHost host)
    {
        int before = host.State("shop").Deployments.Count;
        CommandResult poll = await host.AgentctlAsync(["poll"], Cancel);
        Assert.True(poll.Output.Contains("needs", StringComparison.Ordinal), poll.Output + poll.Errors);
        JsonElement status = await host.StatusAsync("shop", Cancel);
        Assert.NotNull(status.GetProperty("attention").GetString());
        Assert.Equal(before, host.State("shop").Deployments.Count);
    }
}

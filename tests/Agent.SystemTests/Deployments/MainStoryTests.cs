using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>What the agent is for, from the first release to the way back, as a person and a host live through it.</summary>
public sealed class MainStoryTests : AgentTest
{
    // A poll, the steps, a gate of 1 s, on a busy machine.
    private static readonly TimeSpan s_byItself = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Follows_the_channel_refuses_a_bad_release_and_goes_back_when_told()
    {
        await using AgentHost host = await AgentUpAsync("story", AgentHost.AppFile("channel: stable", start: "8s"));

        await host.PublishAsync("v1.0.0", "ok", Cancel);
        await host.PromoteAsync("v1.0.0", Cancel);
        await EventuallyAsync("v1.0.0 is pulled", s_byItself, async () => await host.AnswerAsync(Cancel) == "v1.0.0");
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "first", Cancel);

        await host.PublishAsync("v1.1.0", "ok", Cancel);
        await host.PromoteAsync("v1.1.0", Cancel);
        await EventuallyAsync("v1.1.0 is pulled", s_byItself, async () => await host.AnswerAsync(Cancel) == "v1.1.0");
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "second", Cancel);

        await host.PublishAsync("v1.2.0", "answer-500", Cancel);
        await host.PromoteAsync("v1.2.0", Cancel);
        await EventuallyAsync("v1.2.0 is tried and given up", s_byItself, async () => (await host.StatusAsync("shop", Cancel)).GetProperty("quarantined").GetArrayLength() == 1);
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "after the bad one", Cancel);
        await AssertToldWhyAsync(host);
        await AssertStatusAndHealthAgreeAsync(host);

        await AssertQuarantinedIsLeftAloneAsync(host);

        CommandResult rollback = await host.AgentctlAsync(["rollback"], Cancel);
        Assert.Equal(0, rollback.Exit);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "rolled back by a person", Cancel);
        Assert.Equal("v1.1.0", (await host.StatusAsync("shop", Cancel)).GetProperty("held_at").GetString());
        (await host.AgentctlAsync(["poll"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "a poll after the rollback", Cancel);

        await host.PublishAsync("v1.3.0", "ok", Cancel);
        await host.PromoteAsync("v1.3.0", Cancel);
        await EventuallyAsync("v1.3.0 is pulled", s_byItself, async () => await host.AnswerAsync(Cancel) == "v1.3.0");
        await host.AssertAgreesAsync("shop", ["v1.3.0"], "newer than what was rolled back", Cancel);
    }

    private static async Task AssertToldWhyAsync(AgentHost host)
    {
        CommandResult text = await host.AgentctlAsync(["why"], Cancel);
        Assert.Equal(0, text.Exit);
        Assert.Contains("v1.2.0 is quarantined here", text.Output, StringComparison.Ordinal);
        Assert.Contains("500", text.Output, StringComparison.Ordinal);

        (_, JsonElement why) = await host.JsonAsync(["why"], Cancel);
        JsonElement deployment = why.GetProperty("deployment");
        Assert.Equal(("rolled-back", "gate", "tracking"), (Text(deployment, "outcome"), Text(deployment, "step"), Text(deployment, "by")));
        JsonElement evidence = why.GetProperty("evidence");
        Assert.Contains(evidence.GetProperty("checks").EnumerateArray(), c => !c.GetProperty("passed").GetBoolean() && Text(c, "detail").Contains("500", StringComparison.Ordinal));
        Assert.Contains(evidence.GetProperty("log").EnumerateArray(), l => Text(l, "message") == "shop v1.2.0 starts");
        Assert.Equal("shop.service", Text(evidence.GetProperty("units")[0], "name"));
    }

    private static async Task AssertStatusAndHealthAgreeAsync(AgentHost host)
    {
        (int statusExit, JsonElement status) = await host.JsonAsync(["status"], Cancel);
        (int healthExit, JsonElement health) = await host.JsonAsync(["health"], Cancel);
        Assert.Equal((0, 0), (statusExit, healthExit));
        JsonElement app = Assert.Single(status.GetProperty("apps").EnumerateArray());
        JsonElement checkedApp = Assert.Single(health.GetProperty("apps").EnumerateArray());
        Assert.Equal(("shop", "v1.1.0", "v1.2.0"), (Text(app, "app"), Text(app, "version"), Text(app, "latest")));
        Assert.Equal((Text(app, "app"), Text(app, "version"), true), (Text(checkedApp, "app"), Text(checkedApp, "version"), checkedApp.GetProperty("healthy").GetBoolean()));
        Assert.All(checkedApp.GetProperty("checks").EnumerateArray(), c => Assert.True(c.GetProperty("passed").GetBoolean()));
        Assert.Equal(await host.MainPidAsync("shop", Cancel), app.GetProperty("units")[0].GetProperty("main_pid").GetInt32());
        Assert.Equal(JsonValueKind.Null, health.GetProperty("store").GetProperty("error").ValueKind);

        await host.ShellAsync("systemctl stop shop", Cancel);
        Assert.Equal(1, (await host.JsonAsync(["health"], Cancel)).Exit);
        await host.ShellAsync("systemctl start shop", Cancel);
        await EventuallyAsync("it is healthy again", s_byItself, async () => (await host.AgentctlAsync(["health"], Cancel)).Exit == 0);
    }

    private static async Task AssertQuarantinedIsLeftAloneAsync(AgentHost host)
    {
        int before = host.State("shop").Deployments.Count, pid = await host.MainPidAsync("shop", Cancel);
        CommandResult poll = await host.AgentctlAsync(["poll"], Cancel);
        Assert.Equal(0, poll.Exit);
        Assert.Contains("quarantined", poll.Output, StringComparison.Ordinal);
        CommandResult deploy = await host.AgentctlAsync(["deploy", "v1.2.0"], Cancel);
        Assert.Equal(5, deploy.Exit);
        Assert.Contains("quarantined", deploy.Errors, StringComparison.Ordinal);
        Assert.Equal((before, pid), (host.State("shop").Deployments.Count, await host.MainPidAsync("shop", Cancel)));
        Assert.Equal(1, (await host.AgentctlAsync(["deploy", "v1.2.0", "--force"], Cancel)).Exit);
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "after the forced one", Cancel);
    }

    private static string Text(JsonElement parent, string name) => parent.GetProperty(name).GetString()!;
}

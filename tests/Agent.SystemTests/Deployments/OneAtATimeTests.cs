using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

public sealed class OneAtATimeTests : AgentTest
{
    [Fact]
    public async Task Refuses_a_second_deployment_with_the_id_and_the_step_of_the_first()
    {
        await using AgentHost host = await AgentUpAsync("twice-deployed", AgentHost.AppFile("channel: stable", stable: "8s"));
        foreach (string version in new[] { "v1.0.0", "v1.1.0", "v1.2.0" }) await host.PublishAsync(version, "ok", Cancel);

        Task<CommandResult> first = host.AgentctlAsync(["deploy", "v1.0.0"], Cancel);
        await AssertSecondIsRefusedAsync(host, "shop-1 to v1.0.0", first);
        Assert.Equal(0, (await first).Exit);

        // The first one by tracking.
        await host.PromoteAsync("v1.1.0", Cancel);
        await AssertSecondIsRefusedAsync(host, "shop-2 to v1.1.0", null);
        await EventuallyAsync("v1.1.0 is live", TimeSpan.FromSeconds(60), () => Task.FromResult(host.State("shop").Running is null));

        // Tracking is the second one: it waits for its turn.
        first = host.AgentctlAsync(["deploy", "v1.2.0"], Cancel);
        await AtGateAsync(host, first);
        CommandResult poll = await host.AgentctlAsync(["poll"], Cancel);
        Assert.Equal(0, poll.Exit);
        Assert.Contains("deployment shop-3 of v1.2.0 is under way", poll.Output, StringComparison.Ordinal);
        CommandResult rollback = await host.AgentctlAsync(["rollback"], Cancel);
        Assert.Equal(5, rollback.Exit);
        Assert.Contains("shop-3 to v1.2.0 is at gate", rollback.Errors, StringComparison.Ordinal);
        Assert.Equal(0, (await first).Exit);

        // The channel still points at v1.1.0: what a person chose stays, until the channel moves or somebody says so.
        poll = await host.AgentctlAsync(["poll"], Cancel);
        Assert.Contains("v1.1.0 was passed over", poll.Output, StringComparison.Ordinal);
        Assert.Equal("v1.2.0", host.State("shop").Current?.Version);
        Assert.Equal(0, (await host.AgentctlAsync(["resume"], Cancel)).Exit);
        await EventuallyAsync("v1.1.0 is live again", TimeSpan.FromSeconds(60), () => Task.FromResult(host.State("shop") is { Running: null, Current.Version: "v1.1.0" }));
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "afterwards", Cancel);
    }

    private static async Task AssertSecondIsRefusedAsync(AgentHost host, string first, Task<CommandResult>? deploy)
    {
        await AtGateAsync(host, deploy);
        CommandResult second = await host.AgentctlAsync(["deploy", "v1.2.0"], Cancel);
        Assert.Equal(5, second.Exit);
        Assert.Contains($"{first} is at gate", second.Errors, StringComparison.Ordinal);
    }
}

using Agent.Cli;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Api;

/// <summary>agentctl, the API and the engine together; only the world below the engine is simulated.</summary>
public sealed class EngineApiTests : IAsyncLifetime
{
    private readonly World world = World.New();
    private WorldAgent? agent;

    public async ValueTask InitializeAsync()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may deploy: run the tests as root");
        agent = await WorldAgent.StartAsync(world);
    }

    public async ValueTask DisposeAsync()
    {
        if (agent is not null) await agent.DisposeAsync();
        world.Dispose();
    }

    [Fact]
    public async Task A_deployment_is_shown_step_by_step_and_then_in_status_health_and_history()
    {
        (int exit, string text) = await RunAsync("deploy", "v1.0.0");
        Assert.Equal(0, exit);
        Assert.StartsWith("shop  v1.0.0, the first  fetched, staged, prepared, flipped, restarted, checking, live after ", text, StringComparison.Ordinal);
        Assert.Contains("shop  v1.0.0  since ", (await RunAsync("status")).Text, StringComparison.Ordinal);
        Assert.Contains("unit         shop.service  active", (await RunAsync("status")).Text, StringComparison.Ordinal);
        Assert.Contains("live", (await RunAsync("history")).Text, StringComparison.Ordinal);
        (exit, text) = await RunAsync("health");
        Assert.Equal(0, exit);
        Assert.Contains("pass  unit shop.service", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_release_that_fails_is_rolled_back_and_why_shows_the_evidence()
    {
        await RunAsync("deploy", "v1.0.0");
        (int exit, string text) = await RunAsync("deploy", "v1.1.6");
        Assert.Equal(1, exit);
        Assert.Contains("going back", text, StringComparison.Ordinal);
        Assert.Contains("rolled back, v1.0.0 is healthy\nfix:   agentctl why --app shop\n", text, StringComparison.Ordinal);
        (exit, text) = await RunAsync("why");
        Assert.Equal(0, exit);
        Assert.Contains("FAIL  http /up  GET /up gave 500", text, StringComparison.Ordinal);
        Assert.Contains("v1.1.6 is quarantined here", text, StringComparison.Ordinal);
        (exit, text) = await RunAsync("deploy", "v1.1.6");
        Assert.Equal(5, exit);
        Assert.Contains("quarantined", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_live_already_is_told_without_the_steps_of_that_time()
    {
        await RunAsync("deploy", "v1.0.0");
        (int exit, string text) = await RunAsync("deploy", "v1.0.0");
        Assert.Equal(0, exit);
        Assert.StartsWith("shop  v1.0.0  live since ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_deployment_can_be_watched_again_from_its_beginning()
    {
        await RunAsync("deploy", "v1.0.0");
        (_, string first) = await RunAsync("deploy", "v1.1.5");
        string id = world.Engine.State(World.Shop).Deployments[^1].Id;
        Assert.Equal((1, first), await RunAsync("watch", id));
    }

    [Fact]
    public async Task Rollback_goes_back_to_the_release_before()
    {
        await RunAsync("deploy", "v1.0.0");
        await RunAsync("deploy", "v1.1.0");
        (int exit, string text) = await RunAsync("rollback");
        Assert.Equal(0, exit);
        Assert.StartsWith("shop  v1.1.0 -> v1.0.0  ", text, StringComparison.Ordinal);
        Assert.Equal("v1.0.0", world.Engine.State(World.Shop).Current!.Version);
        Assert.Equal(("uid 0 (root)", Trigger.Rollback), (world.Engine.State(World.Shop).Deployments[^1].By, world.Engine.State(World.Shop).Deployments[^1].Trigger));
    }

    [Fact]
    public async Task What_people_tell_tracking_shows_in_status_and_in_the_audit()
    {
        await RunAsync("deploy", "v1.0.0");
        Assert.Equal((0, "shop is held: tracking leaves it alone until it is resumed\n"), await RunAsync("hold", "--reason", "night"));
        Assert.Equal((0, "shop is pinned to v1.0.0: tracking wants no other version\n"), await RunAsync("pin"));
        (_, string status) = await RunAsync("status");
        Assert.Matches("hold         by uid 0 \\(root\\) since .*: night ", status);
        Assert.Matches("pin          v1.0.0, by uid 0 \\(root\\) since ", status);
        await RunAsync("resume");
        await RunAsync("unpin");
        (_, status) = await RunAsync("status");
        Assert.DoesNotContain("by uid 0 (root) since", status, StringComparison.Ordinal);
        Assert.Equal(5, (await RunAsync("unquarantine", "v1.0.0", "--reason", "mistake")).Exit);
        Assert.Equal(5, (await RunAsync("cancel")).Exit);
        string[] audit = (await RunAsync("audit")).Text.TrimEnd('\n').Split('\n');
        Assert.Equal(
            ["cancel", "unquarantine v1.0.0 because: mistake", "unpin", "resume", "pin", "hold because: night", "deploy v1.0.0"],
            audit.Skip(1).Select(line => line.Split("  ", StringSplitOptions.RemoveEmptyEntries)[5]));
        Assert.EndsWith("deploy v1.0.0                         accepted  shop-1", audit[^1], StringComparison.Ordinal);
    }

    private async Task<(int Exit, string Text)> RunAsync(params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync([.. words, "--socket", agent!.Socket], text, text, TestContext.Current.CancellationToken);
        return (exit, text.ToString());
    }
}

using System.Text.Json;
using Agent.SystemTests.TestHosts;
using Agent.TestHosts;

namespace Agent.SystemTests;

/// <summary>A test of the whole: agentd and agentctl on a throwaway host.</summary>
public abstract class AgentTest : SystemTest
{
    /// <summary>A store in a directory, looked at as often as may be.</summary>
    private protected const string DirectoryStore = $"store: {AgentHost.Store}\npoll: 5s\n";

    /// <summary>A host for this test alone, with one app; dispose of it.</summary>
    private protected static Task<AgentHost> AgentUpAsync(string name, string shop) => AgentUpAsync(name, new Dictionary<string, string> { ["shop"] = shop });

    private protected static Task<AgentHost> AgentUpAsync(string name, IReadOnlyDictionary<string, string> apps, string agent = DirectoryStore, string? network = null)
    {
        SkipWhereNoHostsRun();
        return AgentHost.UpAsync(name, agent, apps, Cancel, network);
    }

    /// <summary>Waits until a deployment of shop is at its gate.</summary>
    /// <param name="deploy">agentctl, which must not end before; null: tracking deploys.</param>
    private protected static Task AtGateAsync(AgentHost host, Task<CommandResult>? deploy) => EventuallyAsync("a deployment is at its gate", TimeSpan.FromSeconds(60), async () =>
    {
        if (deploy is { IsCompleted: true }) Assert.Fail($"it ended before: {await deploy}");
        JsonElement running = (await host.StatusAsync("shop", Cancel)).GetProperty("running");
        return running.ValueKind == JsonValueKind.Object && running.GetProperty("step").GetString() == "gate";
    });

    /// <summary>Waits for what takes longer than a moment, looking four times a second.</summary>
    private protected static async Task EventuallyAsync(string what, TimeSpan limit, Func<Task<bool>> reached)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!await reached())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < limit, $"not within {limit.TotalSeconds:0} s: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(250), Cancel);
        }
    }
}

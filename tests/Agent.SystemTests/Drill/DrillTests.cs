using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Drill;

/// <summary><c>agentctl drill</c> on a host with an agent and an app of its own.</summary>
public sealed class DrillTests : AgentTest
{
    // Half a minute where nothing else runs.
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);

    private static readonly string[] s_steps =
        ["fetch", "stage", "prepare", "flip", "restart", "gate", "sweep", "undo flip", "undo restart", "undo prepare", "undo stage", "undo gate"];

    [Fact]
    public async Task Each_kill_ends_on_the_old_or_the_new_release_and_the_host_stays_as_it_was()
    {
        await using AgentHost host = await AgentUpAsync("drill", AgentHost.AppFile());
        await host.PublishAsync("v1.0.0", "ok", Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        string before = await SeenAsync(host);

        CommandResult result = await host.Host.RunAsync(["agentctl", "drill", "--output", "json"], null, null, s_limit, Cancel);

        Assert.True(result.Output.Length > 0, $"exit {result.Exit}: {result.Errors}");
        (int exit, JsonElement drill) = (result.Exit, JsonDocument.Parse(result.Output).RootElement);
        Assert.True(exit == 0 && drill.GetProperty("passed").GetBoolean(), $"exit {exit}: {drill}");
        JsonElement[] kills = [.. drill.GetProperty("kills").EnumerateArray()];
        Assert.Equal(s_steps, kills.Select(kill => (kill.GetProperty("going_back").GetBoolean() ? "undo " : "") + kill.GetProperty("step").GetString()));
        Assert.All(kills, kill =>
        {
            Assert.Empty(kill.GetProperty("problems").EnumerateArray());
            string? ended = kill.GetProperty("ended_on").GetString(), outcome = kill.GetProperty("outcome").GetString();
            Assert.Equal(kill.GetProperty(outcome == "live" ? "to_version" : "from_version").GetString(), ended);
            Assert.InRange(kill.GetProperty("answered_seconds").GetDouble(), 0.01, 30);
        });
        Assert.Contains(kills, kill => kill.GetProperty("outcome").GetString() == "live");
        Assert.Contains(kills, kill => kill.GetProperty("outcome").GetString() == "rolled-back");
        // On a busy machine some kills come too late for their step; that most did not says that the agent was killed at all.
        Assert.True(kills.Count(kill => kill.GetProperty("killed").GetString()!.StartsWith("in ", StringComparison.Ordinal)) >= s_steps.Length / 2, $"{drill}");
        Assert.Equal(before, await SeenAsync(host));
        Assert.Equal("", await LeftAsync(host));
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after the drill", Cancel);
    }

    [Fact]
    public async Task Keeps_what_it_made_when_told_to_and_removes_it_the_next_time_also_when_stopped()
    {
        await using AgentHost host = await AgentUpAsync("drill-stop", new Dictionary<string, string>());
        string before = await SeenAsync(host);

        Assert.Equal("130", await StoppedAsync(host, "--keep"));
        // The drill may have been stopped between a kill and the start that follows it a second later.
        await EventuallyAsync("the agent that was kept answers", TimeSpan.FromSeconds(20), async () =>
            (await host.AgentctlAsync(["status", "--socket", "/run/agentd-drill/agentd.sock"], Cancel)).Output.Contains("crash-drill", StringComparison.Ordinal));
        Assert.Equal("active", await host.ShellAsync("systemctl is-active agentd-drill", Cancel));

        Assert.Equal("130", await StoppedAsync(host, ""));
        Assert.Equal("", await LeftAsync(host));
        Assert.Equal(before, await SeenAsync(host));
    }

    [Fact]
    public async Task Refuses_whoever_is_not_root()
    {
        await using AgentHost host = await AgentUpAsync("drill-user", new Dictionary<string, string>());
        CommandResult result = await host.Host.RunAsync(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/tmp", "agentctl", "drill"], Cancel);
        Assert.Equal(5, result.Exit);
        Assert.Contains("sudo agentctl drill", result.Errors, StringComparison.Ordinal);
        Assert.Equal("", await LeftAsync(host));
    }

    /// <summary>Stops a drill after its first kill.</summary>
    /// <returns>Its exit status.</returns>
    private static Task<string> StoppedAsync(AgentHost host, string option) => host.ShellAsync(
        $"""
        agentctl drill {option} >/root/drill.log 2>&1 & drill=$!
        until grep -q '^fetch ' /root/drill.log; do kill -0 $drill; sleep 0.05; done
        kill -TERM $drill
        status=0; wait $drill || status=$?
        rm /root/drill.log
        echo $status
        """, Cancel);

    /// <summary>What a drill has no business with: files, users, the agent and what it runs.</summary>
    private static Task<string> SeenAsync(AgentHost host) => host.ShellAsync(
        """
        find /etc /srv /tmp /var/lib/agentd | LC_ALL=C sort -S 64M
        cat /etc/passwd /etc/group
        for unit in agentd shop; do systemctl show -p MainPID -p InvocationID $unit; done
        """, Cancel);

    private static Task<string> LeftAsync(AgentHost host) => host.ShellAsync(
        """
        find /run /etc /var/lib -name '*drill*' -not -path '/run/log/*'
        systemctl list-units --all --plain --no-legend '*drill*'
        systemctl list-units --failed --plain --no-legend
        """, Cancel);
}

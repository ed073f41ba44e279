using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>
/// Disks that are full, read-only or out of inodes: a refusal or a way back with a clear cause, by an agent that lives
/// on, and no word of it to the application.
/// </summary>
public sealed class NoRoomTests : AgentTest
{
    private const string Good = "v1.0.0";
    private const int Inodes = 500;

    [Fact]
    public async Task Where_releases_lie()
    {
        await using AgentHost host = await UpWithSmallDiskAsync("full-srv", "/srv", AgentHost.AppFile(start: "5s", stable: "3s"));
        foreach (string version in new[] { "v1.1.0", "v1.2.0", "v1.3.0", "v1.4.0" }) await host.PublishAsync(version, "ok", Cancel);
        foreach (string version in new[] { "v2.0.0", "v2.1.0" }) await host.PublishAsync(version, "answer-500", Cancel);
        int agent = await host.MainPidAsync("agentd", Cancel);

        await FillAsync(host, "/srv");
        await AssertRefusedAsync(host, "v1.1.0", "No space left on device");
        await RoomAsync(host, "/srv");
        await host.DeployAsync("v1.1.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "when there is room", Cancel);

        Assert.Equal(1, await InTheGateAsync(host, "v2.0.0", () => FillAsync(host, "/srv")));
        await RoomAsync(host, "/srv");
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "full in the gate of a bad one", Cancel);

        Assert.Equal(0, await InTheGateAsync(host, "v1.2.0", () => FillAsync(host, "/srv")));
        await RoomAsync(host, "/srv");
        await host.AssertAgreesAsync("shop", ["v1.2.0"], "full in the gate of a good one", Cancel);

        await host.ShellAsync($"mkdir /srv/many; cd /srv/many; touch $(seq {Inodes}) 2>/dev/null || true", Cancel);
        await AssertRefusedAsync(host, "v1.3.0", "No space left on device");
        await host.ShellAsync("rm -r /srv/many", Cancel);
        await host.DeployAsync("v1.3.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.3.0"], "with inodes again", Cancel);

        await host.ShellAsync("mount -o remount,ro /srv", Cancel);
        await AssertRefusedAsync(host, "v1.4.0", "Read-only file system");
        await host.ShellAsync("mount -o remount,rw /srv", Cancel);
        await host.DeployAsync("v1.4.0", Cancel);

        // Now the way back cannot be walked, and that is said.
        Assert.Equal(3, await InTheGateAsync(host, "v2.1.0", () => host.ShellAsync("mount -o remount,ro /srv", Cancel)));
        Assert.Contains("Read-only file system", (await host.AgentctlAsync(["why"], Cancel)).Output, StringComparison.Ordinal);
        Assert.Equal(3, (await host.AgentctlAsync(["status"], Cancel)).Exit);
        await host.ShellAsync("mount -o remount,rw /srv", Cancel);
        await host.DeployAsync("v1.4.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.4.0"], "writable again", Cancel);
        Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));
    }

    [Fact]
    public async Task Where_the_journal_lies()
    {
        const string Data = "/var/lib/agentd";
        await using AgentHost host = await UpWithSmallDiskAsync("full-data", Data, AgentHost.AppFile(start: "180s"));
        foreach (string version in new[] { "v1.1.0", "v1.2.0", "v2.0.0", "v2.1.0", "v2.2.0" })
            await host.PublishAsync(version, version[1] == '1' ? "ok" : $"good-with:/run/{version}", Cancel);
        int agent = await host.MainPidAsync("agentd", Cancel);

        await FillJournalAsync(host);
        await AssertRefusedAsync(host, "v1.1.0", "No space left on device");
        await RoomAsync(host, Data);
        await host.DeployAsync("v1.1.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.1.0"], "when there is room", Cancel);

        await InTheGateAsync(host, "v2.0.0", 1, () => FillJournalAsync(host), "systemctl kill --signal=ABRT shop");
        await AssertRunsAsync(host, "v1.1.0");
        await RoomAsync(host, Data);
        await host.DeployAsync("v1.2.0", Cancel);   // what could not be journaled is, before it
        await host.AssertAgreesAsync("shop", ["v1.2.0"], "full in the gate of a bad one", Cancel);
        Assert.Equal("v2.0.0", Assert.Single(host.State("shop").Quarantined).Value.Release.Version);

        // What cannot be journaled cannot be kept either, however good it is.
        await InTheGateAsync(host, "v2.1.0", 1, () => FillJournalAsync(host), "touch /run/v2.1.0");
        Assert.Contains("No space left on device", (await host.AgentctlAsync(["why"], Cancel)).Output, StringComparison.Ordinal);
        await AssertRunsAsync(host, "v1.2.0");
        Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));

        // The journal ends in the middle of it, and the next life finds a disk that is still full.
        await host.ShellAsync("systemctl restart agentd", Cancel);
        await AssertRunsAsync(host, "v1.2.0");
        await RoomAsync(host, Data);
        await host.DeployAsync("v2.1.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v2.1.0"], "full in the gate of a good one, and at the next start", Cancel);

        agent = await host.MainPidAsync("agentd", Cancel);
        // As the agent sees it: its lock, which it holds open there, is in the way of doing this to the disk itself.
        Task InsideAsync(string what) => host.ShellAsync($"nsenter --mount --target {agent} sh -c '{what}'", Cancel);
        Task ReadOnlyAsync() => InsideAsync($"mount --bind {Data} {Data} && mount -o remount,bind,ro {Data}");
        Task WritableAsync() => InsideAsync($"umount {Data}");
        await ReadOnlyAsync();
        await AssertRefusedAsync(host, "v1.2.0", "Read-only file system");
        await WritableAsync();
        await InTheGateAsync(host, "v2.2.0", 1, ReadOnlyAsync, "touch /run/v2.2.0");
        Assert.Contains("Read-only file system", (await host.AgentctlAsync(["why"], Cancel)).Output, StringComparison.Ordinal);
        await AssertRunsAsync(host, "v2.1.0");
        await WritableAsync();
        await host.DeployAsync("v2.2.0", Cancel);
        await host.AssertAgreesAsync("shop", ["v2.2.0"], "writable again", Cancel);
        Assert.Equal(agent, await host.MainPidAsync("agentd", Cancel));
    }

    /// <summary>A host with a release that runs, and a directory that is a small disk: somewhat more than what is always kept free for a download.</summary>
    private static async Task<AgentHost> UpWithSmallDiskAsync(string name, string directory, string app)
    {
        AgentHost host = await AgentUpAsync(name, app);
        await host.ShellAsync($"systemctl stop agentd; mount -t tmpfs -o size=40m,nr_inodes={Inodes},mode=755 tmpfs {directory}; systemctl start agentd", Cancel);
        await host.PublishAsync(Good, "ok", Cancel);
        await host.DeployAsync(Good, Cancel);
        return host;
    }

    private static async Task AssertRefusedAsync(AgentHost host, string version, string cause)
    {
        (int pid, string before) = (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel));
        CommandResult deploy = await host.AgentctlAsync(["deploy", version], Cancel);
        Assert.True(deploy.Exit == 5 && deploy.Errors.Contains(cause, StringComparison.Ordinal), $"exit {deploy.Exit}: {deploy.Errors}");
        Assert.Equal(0, (await host.AgentctlAsync(["status"], Cancel)).Exit);
        Assert.Equal((pid, before), (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel)));
    }

    /// <returns>agentctl's exit status.</returns>
    private static async Task<int> InTheGateAsync(AgentHost host, string version, Func<Task> act)
    {
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", version], Cancel);
        await AtGateAsync(host, deploy);
        await act();
        return (await deploy).Exit;
    }

    /// <param name="verdict">Makes the release pass or fail, when <paramref name="act"/> is through.</param>
    private static async Task InTheGateAsync(AgentHost host, string version, int exit, Func<Task> act, string verdict)
    {
        Task<CommandResult> deploy = host.AgentctlAsync(["deploy", version], Cancel);
        await AtGateAsync(host, deploy);
        await EventuallyAsync("it answers", TimeSpan.FromSeconds(20), async () => await host.AnswerAsync(Cancel) == version);
        await act();
        await host.ShellAsync(verdict, Cancel);
        Assert.True((await deploy).Exit == exit, $"exit {(await deploy).Exit}: {(await deploy).Errors}");
    }

    private static Task FillAsync(AgentHost host, string directory) =>
        host.ShellAsync($"dd if=/dev/zero of={directory}/filler bs=64k 2>/dev/null || true; dd if=/dev/zero of={directory}/filler2 bs=512 2>/dev/null || true", Cancel);

    /// <summary>Fills the disk, and what is left of the journal's last page: until not even the shortest record is taken.</summary>
    private static async Task FillJournalAsync(AgentHost host)
    {
        await FillAsync(host, "/var/lib/agentd");
        string refused = await host.ShellAsync(
            """
            for i in $(seq 20); do agentctl hold --reason "$(printf %0300d 0)" >/dev/null 2>&1 || break; done
            for i in $(seq 20); do agentctl resume 2>&1 >/dev/null || break; done
            """, Cancel);
        Assert.Contains("No space left on device", refused, StringComparison.Ordinal);
    }

    /// <summary>Also where the journal could not be written.</summary>
    private static async Task AssertRunsAsync(AgentHost host, string version)
    {
        Assert.Equal(version, await host.AnswerAsync(Cancel));
        Assert.Equal($"releases/{version}", await host.ShellAsync("readlink /srv/shop/current", Cancel));
        JsonElement status = await host.StatusAsync("shop", Cancel);
        Assert.Equal((version, JsonValueKind.Null), (status.GetProperty("version").GetString(), status.GetProperty("running").ValueKind));
    }

    private static Task RoomAsync(AgentHost host, string directory) => host.ShellAsync($"rm -f {directory}/filler {directory}/filler2", Cancel);
}

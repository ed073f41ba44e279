using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Deployments;

/// <summary>
/// Deployments that are interrupted after their first record, their second, ... A deployment that goes well writes 17 records, one that goes back
/// by itself 24. Each time, when the agent is back: the old release or the new one, everything agrees, and the next deployment works.
/// </summary>
public abstract class InterruptedTest : AgentTest
{
    private const string Old = "v1.0.0";

    private static readonly TimeSpan s_back = TimeSpan.FromSeconds(60);

    private int interrupted;

    /// <summary>Ends the agent in one way or the other, at a record.</summary>
    private protected abstract Func<AgentHost, Action> End { get; }

    /// <summary>Brings back what does not come back by itself.</summary>
    private protected abstract Task ComeBackAsync(AgentHost host);

    /// <summary>agentctl's exit status where its deployment was interrupted; null: it went down with the host.</summary>
    private protected abstract int? ClientExit { get; }

    private protected async Task FirstDeployAsync(string name, IReadOnlyList<int> records)
    {
        // An app for each moment: only one deployment of an app is its first.
        await using AgentHost host = await AgentUpAsync(name, records.ToDictionary(r => $"app{r}", r => AgentHost.AppFile(port: 8000 + r)));
        foreach (int record in records) await host.PublishAsync(Old, "ok", Cancel, $"app{record}");
        foreach (int record in records)
        {
            string app = $"app{record}", where = $"first deploy, record {record}";
            CommandResult client = await InterruptAsync(host, record, ["deploy", Old, "--app", app], where);
            string? version = await host.AssertAgreesAsync(app, [null, Old], where, Cancel, 8000 + record);
            CountInterrupted(host, app, client, where);
            if (version is null) await host.DeployAsync(Old, Cancel, app);
            await AssertNextWorkedAsync(host, app, Old, where, 8000 + record);
        }
        AssertMostInterrupted(records.Count);
    }

    private protected async Task UpgradeAsync(string name, IReadOnlyList<int> records)
    {
        await using AgentHost host = await AgentUpAsync(name, AgentHost.AppFile());
        await host.PublishAsync(Old, "ok", Cancel);
        await host.DeployAsync(Old, Cancel);
        string current = Old;
        foreach (int record in records)
        {
            string where = $"upgrade, record {record}", next = $"v1.{record}.0";
            await host.PublishAsync(next, "ok", Cancel);
            CommandResult client = await InterruptAsync(host, record, ["deploy", next, "--app", "shop"], where);
            string? version = await host.AssertAgreesAsync("shop", [current, next], where, Cancel);
            CountInterrupted(host, "shop", client, where);
            current = version == next ? $"v1.{record}.1" : next;
            if (current != next) await host.PublishAsync(current, "ok", Cancel);
            await host.DeployAsync(current, Cancel);
            await AssertNextWorkedAsync(host, "shop", current, where);
        }
        AssertMostInterrupted(records.Count);
    }

    private protected async Task RollbackAsync(string name, IReadOnlyList<int> records)
    {
        await using AgentHost host = await AgentUpAsync(name, AgentHost.AppFile());
        string current = Old, other = "v1.1.0";
        await host.PublishAsync(other, "ok", Cancel);
        await host.DeployAsync(other, Cancel);
        await host.PublishAsync(current, "ok", Cancel);
        await host.DeployAsync(current, Cancel);
        foreach (int record in records)
        {
            string where = $"rollback, record {record}";
            CommandResult client = await InterruptAsync(host, record, ["rollback", "--app", "shop"], where);
            if (await host.AssertAgreesAsync("shop", [current, other], where, Cancel) == other) (current, other) = (other, current);
            CountInterrupted(host, "shop", client, where);
            await host.DeployAsync(other, Cancel);
            (current, other) = (other, current);
            await AssertNextWorkedAsync(host, "shop", current, where);
        }
        AssertMostInterrupted(records.Count);
    }

    private protected async Task BadUpgradeAsync(string name, IReadOnlyList<int> records)
    {
        await using AgentHost host = await AgentUpAsync(name, AgentHost.AppFile());
        await host.PublishAsync(Old, "ok", Cancel);
        await host.DeployAsync(Old, Cancel);
        string current = Old;
        foreach (int record in records)
        {
            string where = $"upgrade to a bad release, record {record}";
            await host.PublishAsync($"v1.{record}.0", "exit-at-once", Cancel);
            CommandResult client = await InterruptAsync(host, record, ["deploy", $"v1.{record}.0", "--app", "shop"], where);
            await host.AssertAgreesAsync("shop", [current], where, Cancel);
            CountInterrupted(host, "shop", client, where);
            Assert.Equal(Outcome.RolledBack, host.State("shop").Deployments[^1].Outcome);
            current = $"v1.{record}.1";
            await host.PublishAsync(current, "ok", Cancel);
            await host.DeployAsync(current, Cancel);
            await AssertNextWorkedAsync(host, "shop", current, where);
        }
        AssertMostInterrupted(records.Count);
    }

    private async Task<CommandResult> InterruptAsync(AgentHost host, int record, IReadOnlyList<string> command, string where)
    {
        string before = await LifeAsync(host);
        CommandResult client = await Interruption.AtRecordAsync(host, End, record, command, Cancel);
        await ComeBackAsync(host);
        await EventuallyAsync($"{where}: the agent is back", s_back, async () => await LifeAsync(host) is var now && now != before && now.EndsWith(" active", StringComparison.Ordinal));
        return client;
    }

    private static async Task AssertNextWorkedAsync(AgentHost host, string app, string version, string where, int port = 8080)
    {
        await host.AssertAgreesAsync(app, [version], $"{where}, the next deployment", Cancel, port);
        Assert.False(Directory.Exists($"{host.Host.Root}/var/lib/agentd/downloads/{app}"), $"{where}: downloads are left after the next deployment");
    }

    private void CountInterrupted(AgentHost host, string app, CommandResult client, string where)
    {
        if (!host.State(app).Deployments[^1].Records.OfType<JournalRecord.Interrupted>().Any()) return;
        interrupted++;
        if (ClientExit is { } exit) Assert.True(client.Exit == exit, $"{where}: agentctl exits with {client.Exit}: {client.Errors}");
    }

    /// <summary>On a busy machine some interruptions come too late, after the last record.</summary>
    private void AssertMostInterrupted(int moments) => Assert.True(interrupted * 2 > moments, $"only {interrupted} of {moments} came in time");

    /// <summary>Each start of the agent has an id of its own.</summary>
    private static Task<string> LifeAsync(AgentHost host) => host.ShellAsync("echo $(systemctl show -P InvocationID agentd) $(systemctl show -P ActiveState agentd)", Cancel);
}

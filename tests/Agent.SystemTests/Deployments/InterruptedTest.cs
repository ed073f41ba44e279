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

    // Of the sample that has everything.
    private const int RichKeep = 2;

    private static readonly string[] s_richUnits = ["shop-web.service", "shop-worker.service", "shop-nightly.timer"];

    private static readonly TimeSpan s_back = TimeSpan.FromSeconds(60);

    private int interrupted;

    /// <summary>Every eighth moment, and all of them where <c>AGENTD_EVERY_MOMENT</c> is set: they take 12 minutes more.</summary>
    private static IReadOnlyList<int> Chosen(IReadOnlyList<int> records) =>
        Environment.GetEnvironmentVariable("AGENTD_EVERY_MOMENT") is { Length: > 0 } ? records : [.. records.Where((_, index) => index % 8 == 0)];

    /// <summary>Ends the agent in one way or the other, at a record.</summary>
    private protected abstract Func<AgentHost, Action> End { get; }

    /// <summary>Brings back what does not come back by itself.</summary>
    private protected abstract Task ComeBackAsync(AgentHost host);

    /// <summary>agentctl's exit status where its deployment was interrupted; null: it went down with the host.</summary>
    private protected abstract int? ClientExit { get; }

    private protected async Task FirstDeployAsync(string name, IReadOnlyList<int> records)
    {
        records = Chosen(records);
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
            await host.AssertAgreesAsync(app, [Old], $"{where}, the next deployment", Cancel, 8000 + record);
            AssertNoDownloads(host, app, where);
        }
        AssertMostInterrupted(records.Count);
    }

    /// <param name="again">For each: at which record of the recovery from it the agent, which was only killed the first time, is ended once more. Null: at none.</param>
    private protected async Task UpgradeAsync(string name, IReadOnlyList<int> records, bool rich = false, IReadOnlyList<int>? again = null)
    {
        (records, again) = (Chosen(records), again is null ? null : Chosen(again));
        await using AgentHost host = await ShopUpAsync(name, rich);
        await PublishAsync(host, Old, "ok", rich);
        await host.DeployAsync(Old, Cancel);
        string current = Old;
        foreach ((int index, int record) in records.Index())
        {
            string where = $"upgrade, record {record}{(again is null ? "" : $" and record {again[index]} of the recovery")}", next = $"v1.{record}.0";
            await PublishAsync(host, next, "ok", rich);
            CommandResult client = await InterruptAsync(host, record, ["deploy", next, "--app", "shop"], where, again?[index]);
            string version = await AssertAgreesAsync(host, [current, next], where, rich);
            if (rich) Assert.Equal(version, await TokenAsync(host));
            CountInterrupted(host, "shop", client, where, times: again is null ? 1 : 2);
            current = version == next ? $"v1.{record}.1" : next;
            if (current != next) await PublishAsync(host, current, "ok", rich);
            await host.DeployAsync(current, Cancel);
            await AssertNextWorkedAsync(host, current, where, rich);
        }
        AssertMostInterrupted(records.Count);
    }

    private protected async Task RollbackAsync(string name, IReadOnlyList<int> records, bool rich = false)
    {
        records = Chosen(records);
        await using AgentHost host = await ShopUpAsync(name, rich);
        string current = Old, other = "v1.1.0";
        await PublishAsync(host, other, "ok", rich);
        await host.DeployAsync(other, Cancel);
        await PublishAsync(host, current, "ok", rich);
        await host.DeployAsync(current, Cancel);
        foreach (int record in records)
        {
            string where = $"rollback, record {record}";
            CommandResult client = await InterruptAsync(host, record, ["rollback", "--app", "shop"], where);
            if (await AssertAgreesAsync(host, [current, other], where, rich) == other) (current, other) = (other, current);
            CountInterrupted(host, "shop", client, where);
            await host.DeployAsync(other, Cancel);
            (current, other) = (other, current);
            await AssertNextWorkedAsync(host, current, where, rich);
        }
        AssertMostInterrupted(records.Count);
    }

    private protected async Task BadUpgradeAsync(string name, IReadOnlyList<int> records, bool rich = false)
    {
        records = Chosen(records);
        await using AgentHost host = await ShopUpAsync(name, rich);
        await PublishAsync(host, Old, "ok", rich);
        await host.DeployAsync(Old, Cancel);
        string current = Old;
        foreach (int record in records)
        {
            string where = $"upgrade to a bad release, record {record}";
            await PublishAsync(host, $"v1.{record}.0", "exit-at-once", rich);
            CommandResult client = await InterruptAsync(host, record, ["deploy", $"v1.{record}.0", "--app", "shop"], where);
            await AssertAgreesAsync(host, [current], where, rich);
            if (rich) Assert.Equal(current, await TokenAsync(host));
            CountInterrupted(host, "shop", client, where);
            Assert.Contains(host.State("shop").Deployments[^1].Outcome, new Outcome?[] { Outcome.Refused, Outcome.RolledBack });
            current = $"v1.{record}.1";
            await PublishAsync(host, current, "ok", rich);
            await host.DeployAsync(current, Cancel);
            await AssertNextWorkedAsync(host, current, where, rich);
        }
        AssertMostInterrupted(records.Count);
    }

    private static Task<AgentHost> ShopUpAsync(string name, bool rich) => rich
        ? AgentUpAsync(name, new Dictionary<string, string> { ["shop"] = AgentHost.AppFile($"keep: {RichKeep}") }, $"{DirectoryStore}history: 10\n")
        : AgentUpAsync(name, AgentHost.AppFile());

    /// <summary>The sample that has everything comes with a secret of its own, which is its version.</summary>
    private static async Task PublishAsync(AgentHost host, string version, string behaviour, bool rich)
    {
        await host.PublishAsync(version, behaviour, Cancel, rich: rich);
        if (rich) await host.ShellAsync($"umask 77; mkdir -p /etc/agentd/secrets.d; echo TOKEN={version} > /etc/agentd/secrets.d/shop.env", Cancel);
    }

    private static async Task<string> AssertAgreesAsync(AgentHost host, IReadOnlyList<string?> allowed, string where, bool rich)
    {
        if (!rich) return (await host.AssertAgreesAsync("shop", allowed, where, Cancel))!;
        string version = (await host.AssertAgreesAsync("shop", allowed, where, Cancel, keep: RichKeep, units: s_richUnits))!;
        string seen = await host.ShellAsync(
            """
            for unit in shop-web shop-worker; do readlink /proc/$(systemctl show -P MainPID $unit)/cwd; done
            stat --dereference --format='%a %U %G' /srv/shop/current/app.conf
            runuser -u nobody -- cat /srv/shop/current/app.conf 2>/dev/null || echo "not for others"
            runuser -u shop -- grep release= /srv/shop/current/app.conf
            echo "hooks" $(systemctl list-units --all --plain --no-legend 'agentd-shop-*') $(pgrep --full '/srv/shop/releases/[^/]*/hook' || true)
            """, Cancel);
        string expected = $"/srv/shop/releases/{version}\n/srv/shop/releases/{version}\n640 root shop\nnot for others\nrelease={version}\nhooks";
        Assert.True(expected == seen, $"{where}: expected\n{expected}\nbut saw\n{seen}");
        return version;
    }

    /// <summary>The secret that the template was filled with.</summary>
    private static Task<string> TokenAsync(AgentHost host) => host.ShellAsync("sed -n s/^token=//p /srv/shop/current/app.conf", Cancel);

    private async Task<CommandResult> InterruptAsync(AgentHost host, int record, IReadOnlyList<string> command, string where, int? again = null)
    {
        string before = await LifeAsync(host);
        CommandResult client = await Interruption.AtRecordAsync(host, again is null ? End : Interruption.Kill, record, command, Cancel);
        if (again is { } second) await Interruption.AgainAsync(host, End, second, Cancel);
        await ComeBackAsync(host);
        await EventuallyAsync($"{where}: the agent is back", s_back, async () => await LifeAsync(host) is var now && now != before && now.EndsWith(" active", StringComparison.Ordinal));
        return client;
    }

    private static async Task AssertNextWorkedAsync(AgentHost host, string version, string where, bool rich)
    {
        await AssertAgreesAsync(host, [version], $"{where}, the next deployment", rich);
        AssertNoDownloads(host, "shop", where);
    }

    private static void AssertNoDownloads(AgentHost host, string app, string where) =>
        Assert.False(Directory.Exists($"{host.Host.Root}/var/lib/agentd/downloads/{app}"), $"{where}: downloads are left after the next deployment");

    private void CountInterrupted(AgentHost host, string app, CommandResult client, string where, int times = 1)
    {
        if (host.State(app).Deployments[^1].Records.OfType<JournalRecord.Interrupted>().Count() < times) return;
        interrupted++;
        if (ClientExit is { } exit) Assert.True(client.Exit == exit, $"{where}: agentctl exits with {client.Exit}: {client.Errors}");
    }

    /// <summary>On a busy machine some interruptions come too late, after the last record.</summary>
    private void AssertMostInterrupted(int moments) => Assert.True(interrupted * 2 > moments, $"only {interrupted} of {moments} came in time");

    /// <summary>Each start of the agent has an id of its own.</summary>
    private static Task<string> LifeAsync(AgentHost host) => host.ShellAsync("echo $(systemctl show -P InvocationID agentd) $(systemctl show -P ActiveState agentd)", Cancel);
}

using Agent.SystemTests.Deployments;
using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>
/// The agent, the database's server, its session or the power ends before, in and after restore point and migration. Each time: ledger and schema
/// agree, nobody holds the lock, no half restore point is listed, and the next deployment works.
/// </summary>
public sealed class KilledMigrationTests : AgentTest
{
    // An upgrade writes: started, two each of fetch, stage and prepare, then these.
    private const int BackupStarted = 8, BackupDone = 9, MigrateStarted = 10, MigrateDone = 11;

    private static readonly TimeSpan s_back = TimeSpan.FromSeconds(60);

    private readonly Dictionary<string, string> files = new() { ["0001_one.sql"] = File(1) };

    [Fact]
    public async Task When_the_agent_is_killed()
    {
        await using AgentHost host = await DatabaseUpAsync("kill-migrate");
        foreach ((int record, int later) in new[] { (BackupStarted, 50), (BackupDone, 0), (MigrateStarted, 0), (MigrateStarted, 250), (MigrateDone, 0) })
            await InterruptAsync(host, Interruption.Kill, record, later, 4);
    }

    [Fact]
    public async Task When_the_server_or_the_session_is_killed()
    {
        await using AgentHost host = await DatabaseUpAsync("kill-server");
        // In the dump the server went away: nothing was touched. In the migration neither was anything, as its transaction is gone.
        await InterruptAsync(host, Server, BackupStarted, 50, null);
        await InterruptAsync(host, Server, MigrateStarted, 250, 1);
        await InterruptAsync(host, Session, MigrateStarted, 250, 1);
        await InterruptAsync(host, Server, MigrateDone, 0, 0);
    }

    [Fact]
    public async Task When_the_power_fails()
    {
        await using AgentHost host = await DatabaseUpAsync("cut-migrate");
        foreach ((int record, int later) in new[] { (BackupStarted, 50), (MigrateStarted, 250), (MigrateDone, 0) })
            await InterruptAsync(host, Interruption.PowerCut, record, later, null);
    }

    private static async Task<AgentHost> DatabaseUpAsync(string name)
    {
        AgentHost host = await AgentUpAsync(name, AgentHost.AppFile("database: DATABASE_URL\n"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", new Dictionary<string, string> { ["0001_one.sql"] = File(1) }, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        return host;
    }

    private static string File(int number) => $"-- agentd: phase=expand\nCREATE TABLE first{number} (a int);\nSELECT pg_sleep(1.5);\nCREATE TABLE second{number} (a int);\n";

    // As a crash of the server: every session ends in the middle of what it does.
    private static Action Server(AgentHost host)
    {
        string processes = Path.Combine(new HostFiles(host.Host.Id).Cgroup, $"host/system.slice/{DatabaseOnHost.Unit}/cgroup.procs");
        return () =>
        {
            foreach (string pid in System.IO.File.ReadAllLines(processes))
            {
                using var process = System.Diagnostics.Process.GetProcessById(int.Parse(pid));
                process.Kill();
                return;   // the first is the postmaster, or one whose crash it answers by ending all
            }
        };
    }

    private static Action Session(AgentHost host) => () =>
        DatabaseOnHost.QueryAsync(host, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'agentd %'", Cancel).GetAwaiter().GetResult();

    /// <param name="later">Milliseconds after the record.</param>
    /// <param name="exit">Of agentctl; null: any.</param>
    private async Task InterruptAsync(AgentHost host, Func<AgentHost, Action> end, int record, int later, int? exit)
    {
        int number = files.Count + 1;
        string where = $"record {record} and {later} ms", version = $"v1.{number}.0", old = (await host.StatusAsync("shop", Cancel)).GetProperty("version").GetString()!;
        files[$"{number:0000}_more.sql"] = File(number);
        await DatabaseOnHost.PublishAsync(host, version, "ok", files, Cancel);
        CommandResult client = await Interruption.AtRecordAsync(host, Later, record, ["deploy", version], Cancel);
        if (exit is { } expected) Assert.True(client.Exit == expected, $"{where}: agentctl exits with {client.Exit}: {client.Errors}");
        if (end == Interruption.PowerCut) await host.Host.BootAsync(Cancel);
        await EventuallyAsync($"{where}: agent and database are back", s_back, async () =>
            await host.ShellAsync("systemctl is-active agentd || true", Cancel) == "active" && await host.ShellAsync("runuser -u postgres -- psql -qAtc 'SELECT 1' shop 2>/dev/null || true", Cancel) == "1");
        await host.AssertAgreesAsync("shop", [old, version], where, Cancel);
        string seen = await DatabaseOnHost.QueryAsync(host, """
            SELECT string_agg(substr(name, 4, 1), ' ' ORDER BY name) FROM agentd.migration WHERE finished IS NOT NULL;
            SELECT string_agg(substr(tablename, 6), ' ' ORDER BY tablename) FROM pg_tables WHERE tablename LIKE 'first%';
            SELECT string_agg(substr(tablename, 7), ' ' ORDER BY tablename) FROM pg_tables WHERE tablename LIKE 'second%';
            SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
            """, Cancel);
        string[] lines = seen.Split('\n');
        Assert.True(lines is [var ledger, var first, var second, "0"] && ledger == first && first == second, $"{where}: {seen}");
        (await host.AgentctlAsync(["db", "verify"], Cancel)).Succeeded();
        (await host.AgentctlAsync(["deploy", version, "--force"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", [version], $"{where}, the next deployment", Cancel);
        Assert.Equal(number, (await DatabaseOnHost.LedgerAsync(host, Cancel)).Split(' ').Length);

        Action Later(AgentHost of)
        {
            Action now = end(of);
            return () =>
            {
                if (later > 0) Thread.Sleep(later);
                now();
            };
        }
    }
}

using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>Releases that migrate a real database, on a host: the ways forward and back.</summary>
public sealed class MigrationStoryTests : AgentTest
{
    private const string App = "database: DATABASE_URL\n";

    private static readonly Dictionary<string, string> s_one = new()
    {
        ["0001_orders.sql"] = "-- agentd: phase=expand\nCREATE TABLE orders (id bigint PRIMARY KEY, note text);\nINSERT INTO orders SELECT n, 'old' FROM generate_series(1, 100) n;\n",
    };

    private static readonly Dictionary<string, string> s_rename = new(s_one) { ["0002_rename.sql"] = "ALTER TABLE orders RENAME COLUMN note TO remark;\n" };

    [Fact]
    public async Task Migrates_before_the_switch_and_a_migration_that_fails_changes_nothing()
    {
        await using AgentHost host = await AgentUpAsync("migrate", AgentHost.AppFile(App));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", s_one, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        int pid = await host.MainPidAsync("shop", Cancel);

        await DatabaseOnHost.PublishAsync(host, "v1.1.0", "ok", new Dictionary<string, string>(s_one) { ["0002_bad.sql"] = "CREATE TABLE half (a int);\n\nALTER TABLE ordres ADD b int;\n" }, Cancel);
        CommandResult bad = await host.AgentctlAsync(["deploy", "v1.1.0"], Cancel);
        Assert.Equal(1, bad.Exit);
        foreach (string told in new[] { "0002_bad.sql line 3", "42P01", "ordres" }) Assert.Contains(told, bad.Errors, StringComparison.Ordinal);
        Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        Assert.Equal("0", await DatabaseOnHost.QueryAsync(host, "SELECT count(*) FROM pg_tables WHERE tablename = 'half'", Cancel));
        Assert.Equal((pid, "v1.0.0"), (await host.MainPidAsync("shop", Cancel), await host.AnswerAsync(Cancel)));
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after a bad migration", Cancel);
        Assert.Contains("0002_bad.sql", (await host.AgentctlAsync(["why"], Cancel)).Output, StringComparison.Ordinal);

        // A file that changed after it ran is refused by its name; nothing was touched.
        await DatabaseOnHost.PublishAsync(host, "v1.2.0", "ok", new Dictionary<string, string> { ["0001_orders.sql"] = s_one["0001_orders.sql"] + "-- later\n" }, Cancel);
        CommandResult changed = await host.AgentctlAsync(["deploy", "v1.2.0"], Cancel);
        Assert.Equal((5, true), (changed.Exit, changed.Errors.Contains("0001_orders.sql", StringComparison.Ordinal)));
        Assert.DoesNotContain("swordfish", changed.Errors + bad.Errors + (await host.ShellAsync("journalctl --no-pager; cat /var/lib/agentd/journal; ps -ef", Cancel)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_release_that_the_database_has_left_behind_does_not_come_back_but_by_a_choice()
    {
        await using AgentHost host = await AgentUpAsync("guard", AgentHost.AppFile(App, start: "3s", stable: "500ms"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", s_one, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        await DatabaseOnHost.PublishAsync(host, "v1.1.0", "exit-at-once", s_rename, Cancel);
        CommandResult stuck = await host.AgentctlAsync(["deploy", "v1.1.0"], Cancel);
        Assert.Equal(3, stuck.Exit);
        Assert.Contains("0002_rename.sql", stuck.Errors, StringComparison.Ordinal);
        Assert.Equal("releases/v1.1.0", await host.ShellAsync("readlink /srv/shop/current", Cancel));

        CommandResult refused = await host.AgentctlAsync(["rollback"], Cancel);
        Assert.Equal(5, refused.Exit);
        foreach (string choice in new[] { "--restore-database", "--ignore-schema", "publish" }) Assert.Contains(choice, refused.Errors, StringComparison.Ordinal);

        (_, JsonElement list) = await host.JsonAsync(["db", "list"], Cancel);
        string point = list.GetProperty("restore_points")[0].GetProperty("id").GetString()!;
        await DatabaseOnHost.QueryAsync(host, "INSERT INTO orders VALUES (1000, 'lost')", Cancel);
        (await host.AgentctlAsync(["rollback", "--restore-database", point], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "restored", Cancel);
        Assert.Equal("100", await DatabaseOnHost.QueryAsync(host, "SELECT count(note) FROM orders", Cancel));
        Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        Assert.Equal("shop", await DatabaseOnHost.QueryAsync(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'", Cancel));

        // The second choice, by a person who knows better.
        Assert.Equal(3, (await host.AgentctlAsync(["deploy", "v1.1.0", "--force"], Cancel)).Exit);
        (await host.AgentctlAsync(["rollback", "--ignore-schema"], Cancel)).Succeeded();
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "the schema ignored", Cancel);
        Assert.Equal("0001_orders.sql 0002_rename.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));

        // The third: forward.
        await DatabaseOnHost.PublishAsync(host, "v1.1.1", "ok", s_rename, Cancel);
        await host.DeployAsync("v1.1.1", Cancel);
        await host.AssertAgreesAsync("shop", ["v1.1.1"], "mended", Cancel);
    }

    [Fact]
    public async Task What_can_be_taken_back_is_and_what_contracts_waits_for_the_commit()
    {
        await using AgentHost host = await AgentUpAsync("back", AgentHost.AppFile(App, start: "3s", stable: "500ms"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", s_one, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        var down = new Dictionary<string, string>(s_rename) { ["0002_rename.down.sql"] = "ALTER TABLE orders RENAME COLUMN remark TO note;\n" };
        await DatabaseOnHost.PublishAsync(host, "v1.1.0", "exit-at-once", down, Cancel);
        Assert.Equal(1, (await host.AgentctlAsync(["deploy", "v1.1.0"], Cancel)).Exit);
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "taken back", Cancel);
        Assert.Equal("100", await DatabaseOnHost.QueryAsync(host, "SELECT count(note) FROM orders", Cancel));

        var contract = new Dictionary<string, string>(down) { ["0003_drop.sql"] = "-- agentd: phase=contract\nALTER TABLE orders DROP COLUMN remark;\n" };
        await DatabaseOnHost.PublishAsync(host, "v1.2.0", "exit-at-once", contract, Cancel);
        Assert.Equal(1, (await host.AgentctlAsync(["deploy", "v1.2.0"], Cancel)).Exit);   // found out before anything was taken away
        Assert.Equal("100", await DatabaseOnHost.QueryAsync(host, "SELECT count(note) FROM orders", Cancel));
        await DatabaseOnHost.PublishAsync(host, "v1.2.1", "ok", contract, Cancel);
        await host.DeployAsync("v1.2.1", Cancel);
        Assert.Equal("0001_orders.sql 0002_rename.sql 0003_drop.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        Assert.Equal(5, (await host.AgentctlAsync(["rollback"], Cancel)).Exit);
        await host.AssertAgreesAsync("shop", ["v1.2.1"], "contracted", Cancel);
    }
}

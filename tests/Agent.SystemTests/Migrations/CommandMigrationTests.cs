using System.Text.Json;
using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>A release that brings its own command, as Ecto, EF and Rails do; and a database from nothing.</summary>
public sealed class CommandMigrationTests : AgentTest
{
    [Fact]
    public async Task The_releases_own_command_migrates_as_the_apps_user_and_is_left_out_where_its_files_did_not_change()
    {
        await using AgentHost host = await AgentUpAsync("command", AgentHost.AppFile("database:\n  url: DATABASE_URL\n  environment:\n    POOL_SIZE: \"2\"\n", start: "3s", stable: "500ms"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await PublishAsync(host, "v1.0.0", "ok", "CREATE TABLE IF NOT EXISTS orders (id bigint)", "");
        string told = (await host.AgentctlAsync(["deploy", "v1.0.0", "--output", "json"], Cancel)).Succeeded();
        Assert.Contains("migrating as shop with 2 for shop", told, StringComparison.Ordinal);
        Assert.DoesNotContain("swordfish", told + await host.ShellAsync("journalctl --no-pager; cat /var/lib/agentd/journal", Cancel), StringComparison.Ordinal);
        Assert.Equal("1", await DatabaseOnHost.QueryAsync(host, "SELECT count(*) FROM pg_tables WHERE tablename = 'orders'", Cancel));

        // The same files: nothing is pending. Another: it runs, and this release does not come back by itself, since nobody knows what it did.
        await PublishAsync(host, "v1.0.1", "ok", "CREATE TABLE IF NOT EXISTS orders (id bigint)", "");
        Assert.DoesNotContain("migrating as", (await host.AgentctlAsync(["deploy", "v1.0.1", "--output", "json"], Cancel)).Succeeded(), StringComparison.Ordinal);
        await PublishAsync(host, "v1.1.0", "exit-at-once", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text", "");
        Assert.Equal(3, (await host.AgentctlAsync(["deploy", "v1.1.0"], Cancel)).Exit);
        Assert.Equal(5, (await host.AgentctlAsync(["rollback"], Cancel)).Exit);

        // Where the release says what can live with it, the way back is open.
        await PublishAsync(host, "v1.1.1", "ok", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text; SELECT 1", "  compatible_with: v1.0.0\n");
        await host.DeployAsync("v1.1.1", Cancel);
        await PublishAsync(host, "v1.2.0", "exit-at-once", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS more text", "  compatible_with: v1.0.0\n");
        Assert.Equal(1, (await host.AgentctlAsync(["deploy", "v1.2.0"], Cancel)).Exit);
        await host.AssertAgreesAsync("shop", ["v1.1.1"], "compatible", Cancel);

        // A command that fails: nothing was flipped, its words are told, the release is to blame.
        await PublishAsync(host, "v1.3.0", "ok", "SELECT nonsense", "");
        CommandResult bad = await host.AgentctlAsync(["deploy", "v1.3.0"], Cancel);
        Assert.Equal((1, true), (bad.Exit, bad.Errors.Contains("nonsense", StringComparison.Ordinal)));
        await host.AssertAgreesAsync("shop", ["v1.1.1"], "a command that fails", Cancel);
    }

    [Fact]
    public async Task A_database_from_nothing_migrates_rehearses_and_is_reached()
    {
        await using AgentHost host = await AgentUpAsync("nothing", AgentHost.AppFile("database: DATABASE_URL\n"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await host.ShellAsync("rm /etc/agentd/secrets.d/shop.env; runuser -u postgres -- psql -qc 'DROP DATABASE shop' -c 'DROP ROLE shop'", Cancel);
        string made = (await host.AgentctlAsync(["db", "create"], Cancel)).Succeeded();
        string url = (await host.AgentctlAsync(["db", "url", "--reveal"], Cancel)).Succeeded().Trim();
        string password = new Uri(url).UserInfo.Split(':')[1];
        Assert.DoesNotContain(password, made + await host.ShellAsync("journalctl --no-pager; cat /var/lib/agentd/journal /var/lib/agentd/audit* 2>/dev/null || true", Cancel), StringComparison.Ordinal);
        Assert.Equal("600 root", await host.ShellAsync("stat -c '%a %U' /etc/agentd/secrets.d/shop.env", Cancel));
        Assert.Equal("f|f|f", await DatabaseOnHost.QueryAsync(host, "SELECT rolsuper || '|' || rolcreatedb || '|' || rolcreaterole FROM pg_roles WHERE rolname = 'shop'".Replace("|| '|' ||", ", ", StringComparison.Ordinal), Cancel, "postgres"));

        var files = new Dictionary<string, string> { ["0001_one.sql"] = "CREATE TABLE one (a int);\n" };
        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", files, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        files["0002_two.sql"] = "ALTER TABLE one ALTER COLUMN a TYPE bigint;\n";
        await DatabaseOnHost.PublishAsync(host, "v1.1.0", "ok", files, Cancel);
        string plan = (await host.AgentctlAsync(["db", "plan", "v1.1.0"], Cancel)).Succeeded();
        Assert.Contains("ACCESS EXCLUSIVE", plan, StringComparison.Ordinal);
        (await host.AgentctlAsync(["deploy", "v1.1.0", "--dry-run"], Cancel)).Succeeded();
        (await host.AgentctlAsync(["db", "backup"], Cancel)).Succeeded();
        (_, JsonElement rehearsal) = await host.JsonAsync(["rehearse", "v1.1.0"], Cancel);
        Assert.Contains("0002_two.sql", rehearsal.ToString(), StringComparison.Ordinal);
        Assert.Equal("0001_one.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        Assert.Equal("", await DatabaseOnHost.QueryAsync(host, "SELECT datname FROM pg_database WHERE datname LIKE '%agentd%'", Cancel, "postgres"));
        await host.AssertAgreesAsync("shop", ["v1.0.0"], "after a rehearsal", Cancel);
    }

    private static async Task PublishAsync(AgentHost host, string version, string behaviour, string sql, string options)
    {
        string source = $"/var/sources/shop-{version}";
        await host.ShellAsync($"mkdir -p {source}/db && cp /var/sources/tiny/* {source}/ && echo {behaviour} >{source}/behaviour", Cancel);
        await host.Host.WriteAsync($"{source}/db/all.sql", sql + ";\n", Cancel);
        await host.Host.WriteAsync($"{source}/migrate", "#!/bin/sh\nset -eu\necho \"migrating as $(id -un) with $POOL_SIZE for ${DATABASE_URL##*/}\"\nexec psql -X -v ON_ERROR_STOP=1 -f db/all.sql \"$DATABASE_URL\"\n", Cancel);
        await host.ShellAsync($"chmod 755 {source}/migrate; printf '\\nmigrations:\\n  command: migrate\\n  files: [\"db/*\"]\\n{options.Replace("\n", "\\n", StringComparison.Ordinal)}' >>{source}/agent.yaml", Cancel);
        (await host.AgentctlAsync(["publish", source, "--app", "shop", "--version", version], Cancel)).Succeeded();
    }
}

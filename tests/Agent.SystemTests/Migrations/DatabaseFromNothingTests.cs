using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>A host whose server has nothing of the app, and an agent in its sandbox that may make it through the system user postgres.</summary>
public sealed class DatabaseFromNothingTests : AgentTest
{
    [Fact]
    public async Task An_app_gets_a_database_of_its_own_that_a_release_migrates_and_a_restore_swaps()
    {
        await using AgentHost host = await AgentUpAsync("nothing", AgentHost.AppFile("database: DATABASE_URL\n"));
        await DatabaseOnHost.StartAsync(host, Cancel);
        await host.ShellAsync("runuser -u postgres -- psql -q -c 'DROP DATABASE shop' -c 'DROP ROLE shop'; echo 'TOKEN=kept' >/etc/agentd/secrets.d/shop.env", Cancel);

        string made = (await host.AgentctlAsync(["db", "create"], Cancel)).Succeeded();
        Assert.Equal("role and database shop are made: postgres://shop@127.0.0.1:5432/shop; DATABASE_URL is in /etc/agentd/secrets.d/shop.env", made.Trim());
        Assert.Equal("root root 600", await host.ShellAsync("stat -c '%U %G %a' /etc/agentd/secrets.d/shop.env", Cancel));
        Assert.Equal("TOKEN=kept", await host.ShellAsync("head -n 1 /etc/agentd/secrets.d/shop.env", Cancel));
        Assert.Equal("", await host.ShellAsync("ls /var/lib/agentd/databases; ls /run/agentd | grep sql || true", Cancel));
        CommandResult again = await host.AgentctlAsync(["db", "create"], Cancel);
        Assert.Equal((5, true), (again.Exit, again.Errors.Contains("DATABASE_URL is set already", StringComparison.Ordinal)));

        await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", new Dictionary<string, string> { ["0001_orders.sql"] = "CREATE TABLE orders (id int);\nINSERT INTO orders VALUES (1), (2);\n" }, Cancel);
        await host.DeployAsync("v1.0.0", Cancel);
        Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(host, Cancel));
        Assert.Equal("shop 2", await host.ShellAsync("agentctl db shell -- -XAt -F ' ' -c 'SELECT current_user, count(*) FROM orders'", Cancel));
        Assert.Contains("public.orders", (await host.AgentctlAsync(["db", "stats"], Cancel)).Succeeded(), StringComparison.Ordinal);

        // The app's role may not make or rename databases: postgres does.
        string point = (await host.JsonAsync(["db", "backup"], Cancel)).Json.GetProperty("id").GetString()!;
        await host.ShellAsync("agentctl db shell -- -Xqc 'DELETE FROM orders'", Cancel);
        (await host.AgentctlAsync(["db", "restore", point, "--yes"], Cancel)).Succeeded();
        Assert.Equal("2", await host.ShellAsync("agentctl db shell -- -XAtc 'SELECT count(*) FROM orders'", Cancel));

        string password = await host.ShellAsync("agentctl db url --reveal | sed 's|.*shop:||; s|@.*||'", Cancel);
        Assert.Equal(32, password.Length);
        Assert.DoesNotContain(password, await host.ShellAsync("journalctl --no-pager; cat /var/lib/agentd/journal /var/lib/agentd/audit; ps -ef; systemctl show 'agentd*' 'shop*'", Cancel), StringComparison.Ordinal);
        Assert.Contains("db url --reveal", await host.ShellAsync("cat /var/lib/agentd/audit", Cancel), StringComparison.Ordinal);
    }
}

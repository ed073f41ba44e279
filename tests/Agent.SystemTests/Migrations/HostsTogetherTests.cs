using Agent.TestHosts;

namespace Agent.SystemTests.Migrations;

/// <summary>Several hosts of one app and its one database.</summary>
public sealed class HostsTogetherTests : AgentTest
{
    private static readonly string[] s_names = ["web-1", "web-2", "web-3"];

    private static readonly Dictionary<string, string> s_one = new()
    {
        ["0001_orders.sql"] = "-- agentd: phase=expand\nCREATE TABLE orders (id bigint, note text);\nSELECT pg_sleep(1);\n",
    };

    private static readonly Dictionary<string, string> s_contract = new(s_one) { ["0002_drop.sql"] = "-- agentd: phase=contract\nALTER TABLE orders DROP COLUMN note;\n" };

    [Fact]
    public async Task One_migrates_while_the_others_wait_and_the_last_one_contracts()
    {
        var hosts = new List<AgentHost>();
        try
        {
            foreach (string name in s_names)
                hosts.Add(await AgentUpAsync(name, new Dictionary<string, string> { ["shop"] = AgentHost.AppFile("database: DATABASE_URL\n") }, network: "together"));
            await DatabaseOnHost.StartAsync(hosts[0], Cancel);
            foreach (AgentHost host in hosts)
            {
                await DatabaseOnHost.GiveAddressAsync(host, s_names[0], Cancel);
                await DatabaseOnHost.PublishAsync(host, "v1.0.0", "ok", s_one, Cancel);
                await DatabaseOnHost.PublishAsync(host, "v1.1.0", "ok", s_contract, Cancel);
            }

            CommandResult[] first = await Task.WhenAll(hosts.Select(host => host.AgentctlAsync(["deploy", "v1.0.0"], Cancel)));
            foreach (CommandResult result in first) result.Succeeded();
            Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(hosts[0], Cancel));

            // Each host in its turn; what takes away waits until no release runs any more that would miss it.
            foreach ((int place, AgentHost host) in hosts.Index())
            {
                Assert.Equal("0001_orders.sql", await DatabaseOnHost.LedgerAsync(hosts[0], Cancel));
                string told = (await host.AgentctlAsync(["deploy", "v1.1.0", "--output", "json"], Cancel)).Succeeded();
                foreach (string waiting in s_names.Skip(place + 1)) Assert.Contains(waiting, told, StringComparison.Ordinal);
            }
            Assert.Equal("0001_orders.sql 0002_drop.sql", await DatabaseOnHost.LedgerAsync(hosts[0], Cancel));
            foreach (AgentHost host in hosts)
            {
                await host.AssertAgreesAsync("shop", ["v1.1.0"], "all together", Cancel);
                Assert.Equal(5, (await host.AgentctlAsync(["rollback"], Cancel)).Exit);
            }
        }
        finally
        {
            foreach (AgentHost host in hosts) await host.DisposeAsync();
        }
    }
}

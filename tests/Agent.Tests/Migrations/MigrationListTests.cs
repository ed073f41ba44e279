using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations;

/// <summary>What people see of the ledger, and how they forget a host.</summary>
public sealed class MigrationListTests(PostgresServer server)
{
    private static readonly (string, string) s_one = ("0001_orders.sql", "-- agentd: phase=expand\nCREATE TABLE orders (note text, old text);\n");
    private static readonly (string, string) s_drop = ("0002_drop.sql", "-- agentd: phase=contract\nALTER TABLE orders DROP old;\n");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_has_run_what_is_left_and_who_runs_what_are_told()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_drop);
        await shop.DeployAsync(null, one, shop.Host("web-1"));
        await shop.DeployAsync(null, one, shop.Host("web-2"));
        await shop.DeployAsync(one, two, shop.Host("web-1"));
        SeenMigrations seen = await Of(shop).ReadAsync(shop.Database, two, Cancel);
        AppliedRow applied = Assert.Single(seen.Applied);
        Assert.Equal(("0001_orders.sql", Phase.Expand, "v1.0.0", "web-1", "shop-1"), (applied.Row.Name, applied.Row.Phase, applied.Row.Release, applied.Row.Host, applied.Row.Deployment));
        Assert.True(applied.Row.Finished >= applied.Row.Started && applied.Took >= TimeSpan.Zero);
        Assert.Empty(seen.Pending.Before);
        Assert.Equal(["0002_drop.sql"], seen.Pending.After.Select(pending => pending.File.Name));
        Assert.Equal(["web-1 v1.1.0", "web-2 v1.0.0"], seen.Hosts.Select(host => $"{host.Host} {host.Release}"));
        await shop.AssertFreeAsync();
    }

    [Fact]
    public async Task A_host_that_is_forgotten_is_not_waited_for()
    {
        using Shop shop = await Shop.NewAsync(server);
        DatabaseUser one = shop.Release("v1.0.0", s_one), two = shop.Release("v1.1.0", s_one, s_drop);
        await shop.DeployAsync(null, one, shop.Host("web-1"));
        await shop.DeployAsync(null, one, shop.Host("web-2"));
        Assert.Contains("waits: web-2 runs v1.0.0", (await shop.DeployAsync(one, two, shop.Host("web-1"))).After, StringComparison.Ordinal);
        OperatorException own = await Assert.ThrowsAsync<OperatorException>(() => Of(shop).ForgetAsync(shop.Database, "web-1", Cancel));
        Assert.Equal((ExitCode.Refused, "web-1 is this host"), (own.Code, own.Message));
        OperatorException unknown = await Assert.ThrowsAsync<OperatorException>(() => Of(shop).ForgetAsync(shop.Database, "web-3", Cancel));
        Assert.Equal((ExitCode.Refused, "name one of web-1, web-2"), (unknown.Code, unknown.Remedy));
        Assert.StartsWith("web-2 is forgotten", await Of(shop).ForgetAsync(shop.Database, "web-2", Cancel), StringComparison.Ordinal);
        Assert.Equal(["web-1"], (await Of(shop).ReadAsync(shop.Database, two, Cancel)).Hosts.Select(host => host.Host));
        Assert.Contains("1 migration in ", (await shop.DeployAsync(two, two, shop.Host("web-1"))).After, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_nobody_migrated_has_nothing_to_tell()
    {
        using Shop shop = await Shop.NewAsync(server);
        SeenMigrations seen = await Of(shop).ReadAsync(shop.Database, null, Cancel);
        Assert.Equal((0, 0, true), (seen.Applied.Count, seen.Hosts.Count, seen.Pending.IsEmpty));
        Assert.Equal("none is known yet", (await Assert.ThrowsAsync<OperatorException>(() => Of(shop).ForgetAsync(shop.Database, "web-2", Cancel))).Remedy);
    }

    // What runs is told by the tests themselves.
    private static MigrationList Of(Shop shop) => new(shop.Tools("web-1"), null!, null!);
}

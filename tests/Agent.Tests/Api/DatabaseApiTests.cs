using Agent.Artifacts.Durable;
using Agent.Cli;
using Agent.Daemon.Api;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Migrations.RestorePoints;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

/// <summary>agentctl db, the API and restore points together, with a real server.</summary>
public sealed class DatabaseApiTests(PostgresServer server) : IAsyncLifetime
{
    private readonly TemporaryDirectory directory = new();
    private readonly World world = World.New();
    private RestorePointHost? host;
    private WebApplication? app;

    private string SocketPath => Path.Combine(directory.Path, "agentd.sock");

    public async ValueTask InitializeAsync()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may restore: run the tests as root");
        host = await RestorePointHost.NewAsync(server);
        await server.ExecuteAsync(host.Database, "CREATE TABLE t AS SELECT 1 AS a", $"ALTER TABLE t OWNER TO {host.Database}");
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IDisk, Disk>().AddSingleton(TimeProvider.System).AddSingleton<Agent.Daemon.Configuration.IConfiguration>(host);
        builder.AddAgentApi(host.Agent with { Socket = SocketPath, Data = directory.Path });
        var tools = new MigrationTools(host, null!, new Disk(), new DeploymentRestorePoints(host.Points), static _ => null, "web-1", TimeProvider.System, new Random(1), NullLogger.Instance);
        // Behind the other calls there is nothing.
        builder.Services.AddSingleton(services => new DatabaseService(services.GetRequiredService<ApiCalls>(), world.Engine, host, host.Points, null!, null!, null!, new MigrationList(tools, world.Engine, world.Installed)));
        app = builder.Build();
        app.MapGrpcService<DatabaseService>();
        await app.StartAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }
        host?.Dispose();
        world.Dispose();
        directory.Dispose();
    }

    [Fact]
    public async Task A_restore_point_is_taken_listed_verified_downloaded_and_put_back()
    {
        (int exit, string text) = await RunAsync("db", "backup");
        Assert.Equal(0, exit);
        string id = text.Split(' ')[0];
        Assert.Contains(id, (await RunAsync("db", "list")).Text, StringComparison.Ordinal);
        Assert.Equal((0, $"{id} is good: 1 rows of 1 tables and 0 large objects came back into a scratch database\n"), await RunAsync("db", "verify"));
        string dump = Path.Combine(directory.Path, "shop.dump");
        Assert.Equal(0, (await RunAsync("db", "download", id, "-O", dump)).Exit);
        Assert.Equal("PGDMP"u8.ToArray(), (await File.ReadAllBytesAsync(dump, TestContext.Current.CancellationToken))[..5]);
        await server.ExecuteAsync(host!.Database, "DROP TABLE t");
        (exit, text) = await RunAsync("db", "restore", id, "--yes");
        Assert.Equal(0, exit);
        Assert.Contains($"{host.Database} is as it was at ", text, StringComparison.Ordinal);
        Assert.Equal(["1"], await server.QueryAsync(host.Database, "SELECT count(*) FROM t"));
        Assert.Contains("beside the database: ", (await RunAsync("db", "list")).Text, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("db", "verify", "../x")).Exit);
    }

    [Fact]
    public async Task A_host_that_migrates_is_not_met_by_a_restore()
    {
        string id = (await RunAsync("db", "backup")).Text.Split(' ')[0];
        await using var other = await Session.OpenAsync(
            new AppDatabase(RestorePointHost.Shop, host!.Options, host.Address), "agentd web-2 shop-3", TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.True(await other.TryLockAsync(TestContext.Current.CancellationToken));
        (int exit, string text) = await RunAsync("db", "restore", id, "--yes");
        Assert.Equal(5, exit);
        Assert.Contains("is being migrated by agentd web-2 shop-3", text, StringComparison.Ordinal);
        Assert.Single(await host.DatabasesAsync());
    }

    [Fact]
    public async Task A_password_file_that_was_passed_over_is_told_with_the_address()
    {
        string file = directory.Write("passwords", "*:*:*:*:sesame\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        host!.Url = $"postgres://shop@db.example/shop?passfile={file}";
        (int exit, string text) = await RunAsync("db", "url");
        Assert.Equal((0, $"postgres://shop@db.example:5432/shop\nwarning: {file} is open to others than its owner (chmod 600), and is ignored\n"), (exit, text));
    }

    [Fact]
    public async Task What_the_database_has_seen_is_listed_and_a_host_is_forgotten()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        Assert.Equal(5, (await RunAsync("db", "forget", "web-2")).Exit);
        await using (Session session = await Session.OpenAsync(new AppDatabase(RestorePointHost.Shop, host!.Options, host.Address), "agentd web-2 shop-3", TimeProvider.System, cancel))
        {
            await session.Ledger.MakeAsync(cancel);
            await session.Ledger.BeginAsync(new LedgerRow("0001_t.sql", new string('a', 64), Phase.Expand, "v1.0.0", null, "web-2", "shop-3", default, null, 1), null, cancel);
            await session.Ledger.FinishAsync("0001_t.sql", 1, new string('a', 64), cancel);
            await session.Hosts.WriteAsync("web-2", "v1.0.0", ["0001_t.sql"], cancel);
        }
        (int exit, string text) = await RunAsync("db", "migrations");
        Assert.Equal(0, exit);
        Assert.Contains("0001_t.sql", text, StringComparison.Ordinal);
        Assert.Contains("web-2", text, StringComparison.Ordinal);
        (exit, text) = await RunAsync("db", "forget", "web-3");
        Assert.Equal(5, exit);
        Assert.Contains("name one of web-2", text, StringComparison.Ordinal);
        Assert.Equal((0, "web-2 is forgotten: contracting migrations do not wait for it, and run with the next deployment\n"), await RunAsync("db", "forget", "web-2"));
        Assert.Equal(["0"], await server.QueryAsync(host.Database, "SELECT count(*) FROM agentd.host"));
    }

    [Fact]
    public async Task Nobody_at_a_terminal_is_not_asked()
    {
        (int exit, string text) = await RunAsync("db", "restore", "shop-1");
        Assert.Equal(2, exit);
        Assert.Contains("--yes", text, StringComparison.Ordinal);
    }

    private async Task<(int Exit, string Text)> RunAsync(params string[] words)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync([.. words, "--socket", SocketPath], text, text, TestContext.Current.CancellationToken);
        return (exit, text.ToString());
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations;

/// <summary>A release's own migration command.</summary>
public sealed class CommandTests(PostgresServer server)
{
    private static readonly MigrationOptions s_migrate = new() { Command = "bin/migrate --all", Timeout = TimeSpan.FromMinutes(2), Memory = 1000 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Runs_from_the_new_release_as_the_apps_user_with_its_environment_and_this_runs_own()
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Options = shop.Options with { Environment = new Dictionary<string, string> { ["POOL_SIZE"] = "2" } };
        var ran = new List<TransientCommand>();
        Runs(shop, ran, () => shop.ExecuteAsync("CREATE TABLE IF NOT EXISTS made (a int)"));
        DatabaseUser one = shop.Release("v1.0.0", s_migrate);
        Assert.Equal(("the migration command ran", null), await shop.DeployAsync(null, one));
        TransientCommand command = Assert.Single(ran);
        Assert.Equal(("agentd-shop-1-migrate.service", "shop", one.Directory, TimeSpan.FromMinutes(2), 1000L), (command.Unit.Value, command.User, command.WorkingDirectory, command.Timeout, command.Memory));
        Assert.Equal([$"{one.Directory}/bin/migrate", "--all"], command.Arguments);
        Assert.Equal(("2", "v1.0.0", "", "shop-1"), (command.Environment["POOL_SIZE"], command.Environment["AGENTD_VERSION"], command.Environment["AGENTD_FROM_VERSION"], command.Environment["AGENTD_DEPLOYMENT"]));
        Assert.Contains("said", shop.Told);
        Assert.Equal("command v1.0.0", await shop.LedgerAsync());

        // It is asked each time; where it changes nothing, the ledger stays and any release may come back.
        DatabaseUser two = shop.Release("v1.1.0", s_migrate);
        Assert.Equal("the migration command changed nothing", (await shop.DeployAsync(one, two)).Before);
        Assert.Equal("command v1.0.0", await shop.LedgerAsync());
        Assert.Equal("the migration command changed nothing", (await shop.DeployAsync(two, one)).Before);
    }

    [Fact]
    public async Task What_a_command_changed_bars_older_releases_unless_it_says_what_it_is_compatible_with()
    {
        using Shop shop = await Shop.NewAsync(server);
        int table = 0;
        Runs(shop, [], () => shop.ExecuteAsync($"CREATE TABLE t{++table} (a int)"));
        DatabaseUser one = shop.Release("v1.0.0", s_migrate), two = shop.Release("v1.1.0", s_migrate), three = shop.Release("v1.2.0", s_migrate with { CompatibleWith = new ReleaseVersion("v1.1.0") });
        await shop.DeployAsync(null, one);
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.FailAsync(one, two));
        Assert.Equal(ExitCode.NeedsOperator, e.Code);
        Assert.Contains("command v1.1.0 (unknown, of v1.1.0)", e.Message, StringComparison.Ordinal);
        Assert.Null(await shop.FailAsync(two, three));
        await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(three, one));
        await shop.DeployAsync(three, two);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_fails_is_the_releases_fault_and_is_forgotten_where_it_changed_nothing(bool changes)
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Command = async (_, _, _) =>
        {
            if (changes) await shop.ExecuteAsync("CREATE TABLE half (a int)");
            return new CommandEnd(false, "exit status 3", ["no such column"]);
        };
        DatabaseUser one = shop.Release("v1.0.0", (MigrationOptions?)null), two = shop.Release("v1.1.0", s_migrate);
        MigrationRequest request = shop.Request(one, two);
        await using (IMigration migration = await shop.Host().BeginAsync(request, shop.Messages, Cancel))
        {
            Assert.Equal((true, false), (migration.Pending, migration.MayStay));
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => migration.MigrateAsync(shop.Messages, Cancel));
            Assert.Equal((ExitCode.RolledBack, "the migration command failed: exit status 3: no such column"), (e.Code, e.Message));
        }
        Assert.Equal(changes ? "command v1.1.0*0" : "", await shop.LedgerAsync());
        if (changes) Assert.Equal(ExitCode.NeedsOperator, (await Assert.ThrowsAsync<OperatorException>(() => shop.Host().UndoAsync(request, shop.Messages, Cancel))).Code);
        else Assert.Null(await shop.Host().UndoAsync(request, shop.Messages, Cancel));
    }

    [Theory]
    [InlineData("the server has no connection left")]
    [InlineData("the connection to ")]
    [InlineData("is not permitted to log in")]
    public async Task One_that_fails_while_the_database_is_away_is_not_the_releases_fault(string away)
    {
        using Shop shop = await Shop.NewAsync(server);
        shop.Command = async (_, _, _) =>
        {
            await shop.ExecuteAsync(away switch
            {
                "the connection to " => $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{shop.Name}'",
                "the server has no connection left" => $"ALTER ROLE {shop.Name} CONNECTION LIMIT 1",
                _ => $"ALTER ROLE {shop.Name} NOLOGIN",
            });
            return new CommandEnd(false, "exit status 3", ["could not connect"]);
        };
        DatabaseUser one = shop.Release("v1.0.0", (MigrationOptions?)null), two = shop.Release("v1.1.0", s_migrate);
        MigrationRequest request = shop.Request(one, two);
        await using (IMigration migration = await shop.Host().BeginAsync(request, shop.Messages, Cancel))
        {
            OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => migration.MigrateAsync(shop.Messages, Cancel));
            Assert.StartsWith("the migration command failed: exit status 3: could not connect; and then: ", e.Message, StringComparison.Ordinal);
            Assert.Contains(away, e.Message, StringComparison.Ordinal);
            Assert.Equal(away.Contains("log in", StringComparison.Ordinal) ? ExitCode.Refused : ExitCode.Unreachable, e.Code);
        }
        await shop.ExecuteAsync($"ALTER ROLE {shop.Name} LOGIN CONNECTION LIMIT -1");
        Assert.Null(await shop.Host().UndoAsync(request, shop.Messages, Cancel));
        Assert.Equal("", await shop.LedgerAsync());
    }

    [Fact]
    public async Task With_files_it_runs_only_when_one_of_them_has_changed()
    {
        using Shop shop = await Shop.NewAsync(server);
        var ran = new List<TransientCommand>();
        Runs(shop, ran, static () => Task.CompletedTask);
        DatabaseUser Release(string version, params string[] paths)
        {
            DatabaseUser release = shop.Release(version, s_migrate with { Files = ["db/**/*.rb"] });
            ManifestEntry[] files = [.. paths.Select(path => new ManifestFile(path, false, 0, Digest.Of([]), null))];
            Directory.CreateDirectory(Path.Combine(release.Directory, ".agentd"));
            File.WriteAllBytes(Path.Combine(release.Directory, ".agentd", "manifest"), ManifestFormat.Serialize(new Manifest(Shop.App, new ReleaseVersion(version), files, [])));
            return release;
        }
        DatabaseUser one = Release("v1.0.0", "db/1_a.rb"), two = Release("v1.1.0", "db/1_a.rb", "lib/a.rb"), three = Release("v1.2.0", "db/1_a.rb", "db/more/2_b.rb", "lib/a.rb");
        await shop.DeployAsync(null, one);
        Assert.Equal((null, null), await shop.DeployAsync(one, two));
        Assert.Single(ran);
        await shop.DeployAsync(two, three);
        Assert.Equal(2, ran.Count);
        Assert.Equal("command v1.0.0 command v1.2.0", await shop.LedgerAsync());
        Assert.Equal((null, null), await shop.DeployAsync(three, one));   // it changed nothing
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => shop.DeployAsync(one, Release("v1.3.0", "lib/a.rb")));
        Assert.Contains("matches no file of the release", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_after_the_commit_waits_for_hosts_that_run_an_older_release()
    {
        using Shop shop = await Shop.NewAsync(server);
        Runs(shop, [], () => shop.ExecuteAsync("CREATE TABLE IF NOT EXISTS made (a int)"));
        DatabaseUser one = shop.Release("v1.0.0", s_migrate), two = shop.Release("v1.1.0", s_migrate with { AfterCommit = true });
        await shop.DeployAsync(null, one, shop.Host("web-1"));
        await shop.DeployAsync(null, one, shop.Host("web-2"));
        (string? before, string? after) = await shop.DeployAsync(one, two, shop.Host("web-1"));
        Assert.Null(before);
        Assert.StartsWith("command v1.1.0 waits: web-2 runs v1.0.0", after, StringComparison.Ordinal);
        Assert.Equal("the migration command changed nothing", (await shop.DeployAsync(one, two, shop.Host("web-2"))).After);
    }

    private static void Runs(Shop shop, List<TransientCommand> ran, Func<Task> act) => shop.Command = async (command, output, _) =>
    {
        ran.Add(command);
        output("said");
        await act();
        return new CommandEnd(true, "", ["said"]);
    };
}

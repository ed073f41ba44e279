using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations.Administration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Migrations.Administration;

public sealed class AdminSessionTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly PostgresServer server;

    public AdminSessionTests(PostgresServer server)
    {
        this.server = server;
        server.Start();
    }

    private string Near => $"DATABASE_URL=postgres://shop:x@127.0.0.1:{server.Port}/shop\n";

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task The_role_that_the_operator_names_runs_the_statements()
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        ConfigurationFiles configuration = Admins.Configuration(disk, "database: {admin: ADMIN_URL}", $"ADMIN_URL=postgres://postgres:postgres@127.0.0.1:{server.Port}/postgres\n");
        AdminSession session = Admins.Session(configuration, new StaticSupervisor(_ => throw new NotSupportedException()), disk);
        Assert.Equal(["7", "x", "template1"], await RunAsync(session, configuration, "SELECT 7", "SELECT 'x'::text", "SET work_mem = '1MB'", "SELECT pg_catalog.current_database()"));
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => RunAsync(session, configuration, "DROP DATABASE nowhere"));
        Assert.Equal(ExitCode.Refused, refused.Code);
        Assert.Contains("\"nowhere\" does not exist (3D000)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Else_psql_runs_them_as_the_system_user_who_alone_can_read_them()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may give files away: run the tests as root");
        var disk = new Disk();
        ConfigurationFiles configuration = Files("database: {}", Near);
        FileStatus? seen = null;
        TransientCommand? command = null;
        AdminSession session = Admins.Session(configuration, Admins.Psql(server, c => (command, seen) = (c, disk.Status(Sql))), disk, directory.Path);
        Assert.Equal(
            ["1", "a;b", "template1"],
            await RunAsync(session, configuration, "SELECT 1", "SELECT 'a;b'", "DO $x$ BEGIN RAISE NOTICE 'told'; RAISE WARNING 'told'; END $x$", "SELECT pg_catalog.current_database()"));
        Assert.Equal((Admins.SystemUser.Uid, DurableOperations.Mode600), (seen!.Owner, seen.Mode));
        Assert.Equal("postgres", command!.User);
        Assert.DoesNotContain(command.Arguments, argument => argument.Contains("SELECT", StringComparison.Ordinal));
        Assert.False(File.Exists(Sql));
    }

    [Fact]
    public async Task The_first_statement_that_fails_is_the_last_and_is_told()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may give files away: run the tests as root");
        ConfigurationFiles configuration = Files("database: {}", Near);
        AdminSession session = Admins.Session(configuration, Admins.Psql(server), new Disk(), directory.Path);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => RunAsync(session, configuration, "CREATE ROLE postgres", "CREATE ROLE never"));
        Assert.Equal((ExitCode.Refused, "PostgreSQL: role \"postgres\" already exists (42710)"), (refused.Code, refused.Message));
        Assert.Empty(await server.QueryAsync("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'never'"));
        Assert.False(File.Exists(Sql));
    }

    [Fact]
    public async Task A_server_that_does_not_answer_and_one_that_lets_nobody_in_are_told()
    {
        if (!Environment.IsPrivilegedProcess) Assert.Skip("only root may give files away: run the tests as root");
        ConfigurationFiles away = Files("database: {}", Near);
        var command = new StaticSupervisor(_ => throw new NotSupportedException(), (_, _) => Task.FromResult(new CommandEnd(
            false, "exit status 2", ["psql: error: connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed: No such file or directory", "\tIs the server running locally and accepting connections on that socket?"])));
        OperatorException gone = await Assert.ThrowsAsync<OperatorException>(() => RunAsync(Admins.Session(away, command, new Disk(), directory.Path), away, "SELECT 1"));
        Assert.Equal(ExitCode.Unreachable, gone.Code);
        Assert.StartsWith("PostgreSQL on this host does not answer: connection to server on socket", gone.Message, StringComparison.Ordinal);
        command = new StaticSupervisor(_ => throw new NotSupportedException(), (_, _) => Task.FromResult(new CommandEnd(
            false, "exit status 2", ["psql: error: connection to server on socket \"/x\" failed: FATAL:  Peer authentication failed for user \"postgres\""])));
        OperatorException denied = await Assert.ThrowsAsync<OperatorException>(() => RunAsync(Admins.Session(away, command, new Disk(), directory.Path), away, "SELECT 1"));
        Assert.Equal(ExitCode.Refused, denied.Code);
        Assert.StartsWith("PostgreSQL on this host does not let the user postgres in", denied.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("database: {}", "DATABASE_URL=postgres://shop:sesame@db.example/shop", true, "the database of shop is on db.example, and nobody is named who may make databases there")]
    [InlineData("database: {admin: ADMIN_URL}", "A=b", true, "database.admin names ADMIN_URL, which neither the secrets nor the environment of shop have")]
    [InlineData("database: {}", "A=b", false, "there is no user postgres on this host")]
    public async Task Nobody_who_may_is_told_before_anything_is_done(string yaml, string secrets, bool user, string told)
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        ConfigurationFiles configuration = Admins.Configuration(disk, yaml, secrets);
        var session = new AdminSession(configuration, new StaticSupervisor(_ => throw new NotSupportedException()), disk, "/run/agentd") { FindUser = _ => user ? Admins.SystemUser : null };
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => RunAsync(session, configuration, "SELECT 1"));
        Assert.Equal(ExitCode.Refused, refused.Code);
        Assert.StartsWith(told, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", refused.Message + refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_host_without_psql_is_told()
    {
        var disk = new SimulatedDisk(new Fuse(int.MaxValue));
        ConfigurationFiles configuration = Admins.Configuration(disk, "");
        var session = new AdminSession(configuration, new StaticSupervisor(_ => throw new NotSupportedException()), disk, "/run/agentd") { FindUser = _ => Admins.SystemUser, Root = directory.Path };
        Assert.Equal("psql is not on this host", (await Assert.ThrowsAsync<OperatorException>(() => RunAsync(session, configuration, "SELECT 1"))).Message);
        Assert.Empty(disk.List("/run/agentd"));
    }

    private string Sql => Path.Combine(directory.Path, "database-admin.sql");

    private ConfigurationFiles Files(string yaml, string secrets)
    {
        directory.Write("apps.d/shop.yaml", yaml);
        File.SetUnixFileMode(directory.Write("secrets.d/shop.env", secrets), DurableOperations.Mode600);
        return ConfigurationFiles.Load(directory.Path, new Disk());
    }

    private static Task<IReadOnlyList<string>> RunAsync(AdminSession session, ConfigurationFiles configuration, params IReadOnlyList<string> statements)
    {
        AppOptions app = configuration.App(new AppName("shop"));
        return session.ExecuteAsync(app, app.Database ?? new DatabaseOptions("DATABASE_URL"), "template1", statements, TestContext.Current.CancellationToken);
    }
}

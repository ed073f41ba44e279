using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Administration;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.Administration;

public sealed class DatabaseCreationTests
{
    private static int s_apps;

    private readonly PostgresServer server;
    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));
    private string app = NewApp();

    public DatabaseCreationTests(PostgresServer server)
    {
        this.server = server;
        server.Start();
    }

    private string Name => app.Replace('-', '_');

    private string Secrets => $"/etc/agentd/secrets.d/{app}.env";

    [Fact]
    public async Task The_app_gets_a_role_and_a_database_of_its_own_and_the_secret_that_opens_them()
    {
        ConfigurationFiles configuration = Configuration("database: SHOP_DB", "# keep\nTOKEN=t");
        string told = await CreateAsync(configuration, disk);
        string text = disk.ReadText(Secrets);
        Assert.StartsWith("# keep\nTOKEN=t\nSHOP_DB=postgres://", text, StringComparison.Ordinal);
        Assert.Equal(DurableOperations.Mode600, disk.Status(Secrets)!.Mode);
        DatabaseAddress address = Address(configuration, "SHOP_DB");
        string password = new NpgsqlConnectionStringBuilder(address.ConnectionString).Password!;
        Assert.Equal($"role and database {Name} are made: postgres://{Name}@127.0.0.1:{server.Port}/{Name}; SHOP_DB is in {Secrets}", told);
        Assert.Equal(32, password.Length);
        Assert.Equal($"{Name} {Name} UTF8", await Admins.AskAsync(address.ConnectionString, "SELECT current_user || ' ' || current_database() || ' ' || current_setting('server_encoding')"));
        Assert.Equal("", await Admins.AskAsync(address.ConnectionString, "CREATE TABLE t (x int)"));
        Assert.Equal(
            ["true false false false false false SCRAM-SHA-256$4096"],
            await server.QueryAsync("postgres", $"SELECT concat_ws(' ', rolcanlogin::text, rolsuper::text, rolcreatedb::text, rolcreaterole::text, rolreplication::text, rolbypassrls::text, split_part(rolpassword, ':', 1)) FROM pg_authid WHERE rolname = '{Name}'"));
        Assert.Empty(disk.List("/data/databases"));
    }

    [Fact]
    public async Task Nobody_else_gets_into_it()
    {
        ConfigurationFiles configuration = Configuration("database: {}");
        await CreateAsync(configuration, disk);
        string other = await server.NewDatabaseAsync();
        var stranger = new NpgsqlConnectionStringBuilder(Address(configuration, "DATABASE_URL").ConnectionString) { Username = other, Password = other };
        Assert.Equal("42501", (await Assert.ThrowsAsync<PostgresException>(() => Admins.AskAsync(stranger.ConnectionString, "SELECT 1"))).SqlState);
    }

    [Fact]
    public async Task An_admin_who_is_no_superuser_makes_it_too()
    {
        await server.ExecuteAsync("postgres", $"CREATE ROLE {Name}_admin LOGIN CREATEDB CREATEROLE PASSWORD 'x'");
        ConfigurationFiles configuration = Configuration("database: {admin: ADMIN}", $"ADMIN=postgres://{Name}_admin:x@127.0.0.1:{server.Port}/postgres\n");
        await CreateAsync(configuration, disk, new StaticSupervisor(_ => throw new NotSupportedException()));
        Assert.EndsWith($"@127.0.0.1:{server.Port}/{Name}\n", disk.ReadText(Secrets), StringComparison.Ordinal);
        Assert.Equal(Name, await Admins.AskAsync(Address(configuration, "DATABASE_URL").ConnectionString, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"));
    }

    [Fact]
    public async Task An_app_whose_file_names_no_database_is_told_what_to_write() =>
        Assert.EndsWith($"; now write 'database: DATABASE_URL' into apps.d/{app}.yaml", await CreateAsync(Configuration("command: bin/shop"), disk), StringComparison.Ordinal);

    [Fact]
    public async Task What_is_set_already_stays()
    {
        ConfigurationFiles configuration = Configuration("database: {}");
        await CreateAsync(configuration, disk);
        string before = disk.ReadText(Secrets);
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => CreateAsync(configuration, disk));
        Assert.Equal((ExitCode.Refused, $"{app} has its database: DATABASE_URL is set already"), (refused.Code, refused.Message));
        Assert.Equal(before, disk.ReadText(Secrets));
    }

    [Theory]
    [InlineData("CREATE ROLE {0}", "the server has a role {0} already")]
    [InlineData("CREATE DATABASE {0}", "the server has a database {0} already")]
    public async Task What_is_somebody_elses_is_left_alone(string there, string told)
    {
        await server.ExecuteAsync("postgres", there.Replace("{0}", Name, StringComparison.Ordinal));
        OperatorException refused = await Assert.ThrowsAsync<OperatorException>(() => CreateAsync(Configuration("database: {}"), disk));
        Assert.Equal((ExitCode.Refused, told.Replace("{0}", Name, StringComparison.Ordinal)), (refused.Code, refused.Message));
        Assert.False(disk.Exists(Secrets));
    }

    [Fact]
    public async Task Killed_at_any_moment_it_is_made_by_the_next_try()
    {
        for (int cut = 0; ; cut++)
        {
            app = NewApp();
            var start = new SimulatedDisk(new Fuse(int.MaxValue));
            Admins.Configuration(start, "database: {}", "TOKEN=t\n", app);
            start.SyncTree("/");
            var fuse = new Fuse(cut);
            SimulatedDisk first = start.After(Loss.Kept, fuse);
            bool ended = false;
            try
            {
                await CreateAsync(ConfigurationFiles.Load("/etc/agentd", first), first, Admins.Supervisor(server, first, fuse));
                ended = true;
            }
            catch (PowerLostException)
            {
            }
            SimulatedDisk next = first.After(cut % 2 == 0 ? Loss.Dropped : Loss.AgentKilled, new Fuse(int.MaxValue));
            ConfigurationFiles configuration = ConfigurationFiles.Load("/etc/agentd", next);
            try
            {
                await CreateAsync(configuration, next);
            }
            catch (OperatorException e) when (e.Message.EndsWith("is set already", StringComparison.Ordinal) && !next.Exists($"/data/databases/{app}"))
            {
                // All of it was done, up to the last effect.
            }
            Assert.StartsWith("TOKEN=t\nDATABASE_URL=postgres://", next.ReadText(Secrets), StringComparison.Ordinal);
            Assert.Equal(3, next.ReadText(Secrets).Split('\n').Length);
            Assert.Equal(Name, await Admins.AskAsync(Address(configuration, "DATABASE_URL").ConnectionString, "SELECT current_user"));
            Assert.Empty(next.List("/data/databases"));
            if (ended)
            {
                Assert.True(cut > 12, $"only {cut} effects");
                return;
            }
        }
    }

    private ConfigurationFiles Configuration(string yaml, string? secrets = null) => Admins.Configuration(disk, yaml, secrets, app);

    private Task<string> CreateAsync(ConfigurationFiles configuration, SimulatedDisk on, ISupervisor? supervisor = null) =>
        new DatabaseCreation(Admins.Session(configuration, supervisor ?? Admins.Supervisor(server, on), on), on, "/data").CreateAsync(configuration.App(new AppName(app)), TestContext.Current.CancellationToken);

    private DatabaseAddress Address(ConfigurationFiles configuration, string variable) =>
        DatabaseAddress.Of(new DatabaseOptions(variable), new Dictionary<string, string>(), configuration.Secrets(Secrets));

    // Nothing is dropped: a server that drops a database writes out all others, and this one is thrown away.
    private static string NewApp() => $"made-{Interlocked.Increment(ref s_apps)}";
}

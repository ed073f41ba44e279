using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

public sealed class DatabaseFileTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("database: {}", "DATABASE_URL")]
    [InlineData("database: SHOP_DB", "SHOP_DB")]
    [InlineData("database: {url: SHOP_DB}", "SHOP_DB")]
    public void The_name_of_the_secret_is_enough(string yaml, string name) => Assert.Equivalent(new DatabaseOptions(name), Read(yaml).Database, strict: true);

    [Fact]
    public void Reads_every_key()
    {
        DatabaseOptions read = Read("""
            database:
              url: SHOP_DB
              admin: ADMIN_DB
              environment: {POOL_SIZE: "2"}
              lock_timeout: 500ms
              lock_retries: 0
              statement_timeout: 10m
              wait: 2h
              restore_points: {directory: /backup, keep: 7, max_age: 720h, max_size: 10GB, jobs: 2}
            """).Database!;
        Assert.Equivalent(
            new DatabaseOptions("SHOP_DB")
            {
                Admin = "ADMIN_DB",
                Environment = new Dictionary<string, string> { ["POOL_SIZE"] = "2" },
                LockTimeout = TimeSpan.FromMilliseconds(500),
                LockRetries = 0,
                StatementTimeout = TimeSpan.FromMinutes(10),
                Wait = TimeSpan.FromHours(2),
                RestorePoints = new RestorePointOptions { Directory = "/backup", Keep = 7, MaxAge = TimeSpan.FromHours(720), MaxSize = 10_000_000_000, Jobs = 2 },
            }, read, strict: true);
    }

    [Fact]
    public void Restore_points_may_be_none_or_an_operators_own()
    {
        Assert.Null(Read("database: {restore_points: none}").Database!.RestorePoints);
        RestorePointOptions own = Read("database: {restore_points: {command: /usr/bin/pgbackrest backup, restore_command: /usr/local/bin/back}}").Database!.RestorePoints!;
        Assert.Equal(("/usr/bin/pgbackrest backup", "/usr/local/bin/back"), (own.Command, own.RestoreCommand));
        Assert.Equal(("/srv/store", null), Read("database: {restore_points: {store: /srv/store}}").Database!.RestorePoints is { } points ? (points.Store, points.Directory) : default);
    }

    [Fact]
    public void Migrations_are_a_directory_or_a_command()
    {
        Assert.Equal("migrations", ReadRelease("migrations: migrations")!.Directory);
        Assert.Equal("db/sql", ReadRelease("migrations: {directory: db/sql}")!.Directory);
        Assert.Equivalent(
            new MigrationOptions
            {
                Command = "bin/shop eval Shop.Release.migrate",
                Files = ["priv/repo/migrations/*", "**/x.sql"],
                AfterCommit = true,
                Timeout = TimeSpan.FromMinutes(5),
                Memory = 1_000_000_000,
                CompatibleWith = new ReleaseVersion("v1.1.0"),
            },
            ReadRelease("migrations: {command: bin/shop eval Shop.Release.migrate, files: [priv/repo/migrations/*, '**/x.sql'], phase: after-commit, timeout: 5m, memory: 1GB, compatible_with: v1.1.0}"),
            strict: true);
        Assert.Equal((false, TimeSpan.FromHours(1)), ReadRelease("migrations: {command: efbundle, phase: before}") is { } read ? (read.AfterCommit, read.Timeout) : default);
    }

    [Theory]
    [InlineData("database: DB\nmigrations: own", "migrations: theirs", "own")]
    [InlineData("database: DB", "migrations: theirs", "theirs")]
    [InlineData("database: DB\nmigrations: none", "migrations: theirs", null)]
    [InlineData("migrations: none", "migrations: theirs", null)]
    [InlineData("database: DB", "", null)]
    public void The_operators_migrations_win(string operators, string release, string? wanted)
    {
        directory.Write("apps.d/shop.yaml", operators);
        AppDefinition definition = Load().Define(new AppName("shop"), "command: bin/shop\n" + release);
        Assert.Equal(wanted, definition.Migrations?.Directory);
        Assert.Equal(operators.Contains("DB", StringComparison.Ordinal), definition.Database is not null);
    }

    [Fact]
    public void The_secrets_are_found_also_where_they_came_later()
    {
        directory.Write("apps.d/shop.yaml", "database: DB");
        ConfigurationFiles configuration = Load();
        string usual = Path.Combine(directory.Path, "secrets.d/shop.env");
        Assert.Equal((null, usual, "DB"), (configuration.App(new AppName("shop")).SecretsFile, Assert.Single(configuration.Apps).SecretsPath, configuration.Apps[0].Database!.Url));
        directory.Write("secrets.d/shop.env", "");
        Assert.Equal((usual, usual), (configuration.App(new AppName("shop")).SecretsFile, Assert.Single(configuration.Apps).SecretsFile));
        directory.Write("apps.d/shop.yaml", "secrets: /x.env");
        configuration.Reload();
        Assert.Equal(("/x.env", "/x.env"), (configuration.Apps[0].SecretsFile, configuration.Apps[0].SecretsPath));
    }

    [Theory]
    [InlineData("database:", "file:1: database has no value")]
    [InlineData("database: []", "database is not a map")]
    [InlineData("database: {pool: 2}", "database.pool is not a key here")]
    [InlineData("database: {url: 'a b'}", "database.url is not the name of a variable; write the address into the app's secrets")]
    [InlineData("database: {admin: postgres://x}", "database.admin is not the name of a variable")]
    [InlineData("database: {environment: {1: x}}", "database.environment.1 is not a variable's name")]
    [InlineData("database: {lock_timeout: 1ms}", "database.lock_timeout is 1ms; write 100ms to 1h")]
    [InlineData("database: {lock_retries: many}", "database.lock_retries is 'many'; write a whole number from 0 to 1000")]
    [InlineData("database: {statement_timeout: 0s}", "database.statement_timeout is 0s")]
    [InlineData("database: {wait: 0s}", "database.wait is 0s")]
    [InlineData("database: {restore_points: no}", "database.restore_points is 'no'; write none, or a map")]
    [InlineData("database: {restore_points: {directory: backup}}", "database.restore_points.directory is 'backup'")]
    [InlineData("database: {restore_points: {keep: 0}}", "database.restore_points.keep is '0'; write a whole number from 1 to 1000")]
    [InlineData("database: {restore_points: {command: pgbackrest backup}}", "database.restore_points.command is wrong: it is no program of the host; write its absolute path")]
    [InlineData("database: {restore_points: {store: https://releases.example.com/}}", "database.restore_points.store is wrong: https://releases.example.com/ can only be read; name the directory that the web server serves")]
    [InlineData("database: {restore_points: {store: s4://bucket}}", "database.restore_points.store is wrong: 's4://bucket' is no store")]
    [InlineData("database: {restore_points: {store: backup}}", "database.restore_points.store is wrong: 'backup' is no place for it")]
    [InlineData("database: {restore_points: {store: /srv/store, directory: /backup}}", "database.restore_points.store is here besides directory")]
    [InlineData("database: {restore_points: {store: /srv/store, command: /bin/a}}", "database.restore_points.store is for dumps of pg_dump")]
    [InlineData("database: {restore_points: {restore_command: /bin/a}}", "database.restore_points.restore_command is here without command")]
    [InlineData("database: {restore_points: {command: /bin/a, jobs: 2}}", "database.restore_points.jobs is only for pg_dump")]
    [InlineData("migrations: db", "migrations is here without database; write 'database: DATABASE_URL'")]
    public void Refuses_of_an_operator(string yaml, string problem) =>
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => Read(yaml)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("migrations: bin/shop migrate", "migrations is not the path of a directory; write 'command: PROGRAM ARGUMENTS'")]
    [InlineData("migrations: ../sql", "migrations is not a path inside the release")]
    [InlineData("migrations: {}", "migrations has neither directory nor command")]
    [InlineData("migrations: {directory: a, command: b}", "migrations.command is here besides directory")]
    [InlineData("migrations: {directory: a, phase: before}", "migrations.phase is only for command")]
    [InlineData("migrations: {directory: /a}", "migrations.directory is not a path inside the release")]
    [InlineData("migrations: {command: /bin/sh}", "migrations.command is wrong: /bin/sh is not inside the release")]
    [InlineData("migrations: {command: bin/a, phase: after}", "migrations.phase is 'after'; write before or after-commit")]
    [InlineData("migrations: {command: bin/a, files: [../x]}", "migrations.files[0] is not a path inside the release")]
    [InlineData("migrations: {command: bin/a, compatible_with: one}", "migrations.compatible_with is wrong: 'one' is not a version")]
    [InlineData("migrations: {command: bin/a, memory: 1}", "migrations.memory is 1; write 1MiB or more")]
    [InlineData("database: DATABASE_URL", "database is not a key here")]
    public void Refuses_of_a_release(string yaml, string problem) =>
        Assert.Contains(problem, Assert.Throws<OperatorException>(() => ReadRelease(yaml)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("database: postgres://shop:sesame@db/shop")]
    [InlineData("database: {url: 'host=db password=sesame', admin: 'postgres://postgres:sesame@db'}")]
    public void An_address_in_place_of_a_name_is_not_told(string yaml) =>
        Assert.DoesNotContain("sesame", Assert.Throws<OperatorException>(() => Read(yaml)).Message, StringComparison.Ordinal);

    private ConfigurationFiles Load() => ConfigurationFiles.Load(directory.Path, new Disk());

    private static AppFile Read(string yaml)
    {
        var problems = new Problems();
        AppFile read = AppFile.ReadOperators(new AppName("shop"), "file", Yaml.Read("file", yaml, problems)!, "/units", problems);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return read;
    }

    private static MigrationOptions? ReadRelease(string yaml)
    {
        var problems = new Problems();
        AppFile read = AppFile.ReadReleases(new AppName("shop"), "file", Yaml.Read("file", yaml, problems)!, problems);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return read.Migrations;
    }
}

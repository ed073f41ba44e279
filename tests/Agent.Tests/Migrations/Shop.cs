using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Tests.Fakes;
using Agent.Tests.Protos;
using Npgsql;

namespace Agent.Tests.Migrations;

/// <summary>An app with a database on a real server, releases on the disk, and hosts that migrate it.</summary>
internal sealed class Shop : IDisposable
{
    private readonly PostgresServer server;
    private readonly TemporaryDirectory directory = new();
    private int deployments;

    private Shop(PostgresServer server, string name) => (this.server, Name) = (server, name);

    /// <summary>Of the database, its owner and its password.</summary>
    public string Name { get; }

    public static AppName App { get; } = new("shop");

    /// <summary>What was told, of all deployments.</summary>
    public List<string> Told { get; } = [];

    /// <summary>What was logged, of all hosts.</summary>
    public List<string> Logged { get; } = [];

    public PointsInMemory Points { get; } = new();

    public Func<TransientCommand, Action<string>, CancellationToken, Task<CommandEnd>>? Command { get; set; }

    public Func<string, bool?> OnlyAdds { get; set; } = static _ => null;

    public DatabaseOptions Options { get; set; } = new("DATABASE_URL") { RestorePoints = null, LockTimeout = TimeSpan.FromMilliseconds(300), LockRetries = 3 };

    /// <summary>Another address than the server's own.</summary>
    public string? Url { get; set; }

    public static async Task<Shop> NewAsync(PostgresServer server) => new(server, await server.NewDatabaseAsync());

    public AppDatabase Database => new(App, Options, DatabaseAddress.Of(Options, new Dictionary<string, string> { ["DATABASE_URL"] = Url ?? server.UrlOf(Name) }, new Dictionary<string, string>()));

    /// <summary>Ends the agent's session that waits for a lock of another one, as soon as there is one.</summary>
    public Task CutWaitingAsync() => Eventually.HoldsAsync(async () => await OneAsync(
        $"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{Name}' AND application_name LIKE 'agentd %' AND wait_event_type = 'Lock'") != "0");

    /// <summary>A release with SQL files, by name.</summary>
    public DatabaseUser Release(string version, params (string Name, string Text)[] files)
    {
        string release = Path.Combine(directory.Path, version);
        Directory.CreateDirectory(Path.Combine(release, "migrations"));
        foreach ((string name, string text) in files) directory.Write($"{version}/migrations/{name}", text);
        return Release(version, new MigrationOptions { Directory = "migrations" });
    }

    /// <summary>A release with a command, or with nothing.</summary>
    public DatabaseUser Release(string version, MigrationOptions? migrations)
    {
        var definition = new AppDefinition(App, new Dictionary<string, string> { ["DATABASE_URL"] = Url ?? server.UrlOf(Name) }, [], [], new GateOptions(TimeSpan.Zero, TimeSpan.Zero))
        {
            Database = Options,
            Migrations = migrations,
        };
        return new DatabaseUser(version, Path.Combine(directory.Path, version), definition);
    }

    public Migrator Host(string host = "web-1", TimeProvider? time = null) => new(Tools(host, time));

    public MigrationTools Tools(string host = "web-1", TimeProvider? time = null) => new(
        new NoConfiguration(), new CommandSupervisor(this), new Disk(), Points, text => OnlyAdds(text), host, time ?? TimeProvider.System, new Random(1), new Lines<Migrator>(Logged));

    public MigrationRequest Request(DatabaseUser? from, DatabaseUser to, string? point = null, bool ignoreSchema = false) =>
        new(App, $"shop-{Interlocked.Increment(ref deployments)}", from, to, point, ignoreSchema);

    public IProgress<string> Messages => new Sink(this);

    /// <summary>How often something was told.</summary>
    public int Count(string part)
    {
        lock (Told) return Told.Count(told => told.Contains(part, StringComparison.Ordinal));
    }

    /// <summary>All that a deployment does that is kept.</summary>
    /// <returns>What it said of its migrations, and behind the commit.</returns>
    public async Task<(string? Before, string? After)> DeployAsync(DatabaseUser? from, DatabaseUser to, Migrator? host = null, bool ignoreSchema = false, string? point = null)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        host ??= Host();
        MigrationRequest request = Request(from, to, point, ignoreSchema);
        string? before = null, after = null;
        bool contract;
        await using (IMigration migration = await host.BeginAsync(request, Messages, cancel))
        {
            contract = migration.Contract;
            if (migration.Pending)
            {
                await migration.BackUpAsync(Messages, cancel);
                before = await migration.MigrateAsync(Messages, cancel);
            }
        }
        if (contract) after = await host.ContractAsync(request, Messages, cancel);
        await host.SweepAsync(to.Definition, cancel);
        return (before, after);
    }

    /// <summary>All that a deployment does that fails at its gate.</summary>
    /// <returns>What going back said.</returns>
    public async Task<string?> FailAsync(DatabaseUser? from, DatabaseUser to, Migrator? host = null)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        host ??= Host();
        MigrationRequest request = Request(from, to);
        await using (IMigration migration = await host.BeginAsync(request, Messages, cancel))
            if (migration.Pending) await migration.MigrateAsync(Messages, cancel);
        return await host.UndoAsync(request, Messages, cancel);
    }

    /// <summary>Names in the ledger, in the order in which they were begun; those that are not finished with <c>*</c> and their statements.</summary>
    public async Task<string> LedgerAsync() => string.Join(' ', await QueryAsync(
        "SELECT name || CASE WHEN finished IS NULL THEN '*' || statements ELSE '' END FROM agentd.migration ORDER BY started, name"));

    public Task<IReadOnlyList<string>> QueryAsync(string sql) => server.QueryAsync(Name, sql);

    /// <summary>The first column of the first row.</summary>
    public async Task<string> OneAsync(string sql) => (await QueryAsync(sql))[0];

    public Task ExecuteAsync(params string[] statements) => server.ExecuteAsync(Name, statements);

    public async Task<bool> HasTableAsync(string table) => await OneAsync($"SELECT to_regclass('{table}') IS NOT NULL") == "True";

    /// <summary>A connection as the app's role.</summary>
    public async Task<NpgsqlConnection> ConnectAsync()
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = server.Port, Username = Name, Password = Name, Database = Name, Pooling = false }.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        return connection;
    }

    /// <summary>Nobody has the lock, and nothing of the agent is connected.</summary>
    public async Task AssertFreeAsync() =>
        Assert.Equal("0", await OneAsync("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"));

    public void Dispose() => directory.Dispose();

    private sealed class Sink(Shop shop) : IProgress<string>
    {
        public void Report(string value)
        {
            lock (shop.Told) shop.Told.Add(value);
        }
    }

    private sealed class NoConfiguration : IConfiguration
    {
        public AgentOptions Agent => throw new NotSupportedException();

        public IReadOnlyList<AppOptions> Apps => throw new NotSupportedException();

        public AppOptions App(AppName name) => throw new NotSupportedException();

        public AppDefinition Define(AppName app, string? releaseYaml) => throw new NotSupportedException();

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

        public void Check() => throw new NotSupportedException();

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();
    }

    /// <summary>Runs commands as the test says.</summary>
    private sealed class CommandSupervisor(Shop shop) : ISupervisor
    {
        public Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken) => shop.Command!(command, output, cancellationToken);

        public Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken) => Task.FromResult(default(UserIds));

        public Task StopAsync(UnitName unit, CancellationToken cancellationToken) => Task.CompletedTask;

        public Task ReloadAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task StartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task RestartAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task EnableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task DisableAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken) => throw new NotSupportedException();

        public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) => throw new NotSupportedException();

        public IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}

/// <summary>Restore points that are only written down.</summary>
internal sealed class PointsInMemory : IRestorePoints
{
    public List<PointInTime> All { get; } = [];

    /// <summary>Where they lie is away; null: it is there.</summary>
    public OperatorException? Away { get; set; }

    /// <summary>What was asked for, in order.</summary>
    public List<string> Asked { get; } = [];

    /// <summary>Does what a restore does to the database.</summary>
    public Func<Task> Restore { get; set; } = static () => Task.CompletedTask;

    public void RemoveLeftovers(AppName app, DatabaseOptions options)
    {
    }

    public Task<IReadOnlyList<PointInTime>> ListAsync(AppName app, DatabaseOptions options, CancellationToken cancellationToken) =>
        Away is null ? Task.FromResult<IReadOnlyList<PointInTime>>(All) : throw Away;

    public Task<string> TakeAsync(AppDatabase database, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        Asked.Add($"take {release} {deployment}");
        return Task.FromResult($"restore point {deployment}");
    }

    public async Task<string> RestoreAsync(AppDatabase database, string point, string? release, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        Asked.Add($"restore {point} {deployment}");
        await Restore();
        return $"restored {point}";
    }

    public Task<string?> SwapBackAsync(AppDatabase database, string deployment, IProgress<string> messages, CancellationToken cancellationToken)
    {
        Asked.Add($"swap back {deployment}");
        return Task.FromResult<string?>("swapped back");
    }

    public Task SweepAsync(AppDatabase database, CancellationToken cancellationToken)
    {
        Asked.Add("sweep");
        return Task.CompletedTask;
    }
}

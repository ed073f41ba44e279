using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.RestorePoints;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Migrations.RestorePoints;

/// <summary>A host with an app whose database is on the tests' server, and a directory for its restore points.</summary>
internal sealed class RestorePointHost : IConfiguration, IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly PostgresServer server;

    private RestorePointHost(PostgresServer server, string database, IDisk? disk, ISupervisor? supervisor, string? data)
    {
        this.server = server;
        Database = database;
        Agent = AgentFile.Defaults with { Data = data ?? directory.Path };
        Address = Of(server.UrlOf(database));
        Points = new(
            this, disk ?? new Disk(), supervisor ?? new StaticSupervisor(_ => throw new NotSupportedException()), (_, _) => AsSuperuserAsync, Time, NullLogger<RestorePointService>.Instance)
        {
            Host = "web-1",
        };
    }

    public static AppName Shop { get; } = new("shop");

    public string Database { get; }

    public DatabaseAddress Address { get; set; }

    public DatabaseOptions Options { get; set; } = new("DATABASE_URL");

    /// <summary>As the app's environment has it; null: the server's own.</summary>
    public string? Url { get; set; }

    public RestorePointService Points { get; }

    public ManualTime Time { get; } = new();

    public AgentOptions Agent { get; }

    public IReadOnlyList<AppOptions> Apps => [App(Shop)];

    public string Directory => Points.Store(Shop, Options).Where;

    /// <summary>What was told on the way.</summary>
    public List<string> Said { get; } = [];

    /// <summary>How far transfers were, on the way.</summary>
    public List<(string What, long Done, long Total)> Transfers { get; } = [];

    /// <summary>Databases of the server that belong to this one.</summary>
    public async Task<IReadOnlyList<string>> DatabasesAsync() => await server.QueryAsync("postgres", $"SELECT datname FROM pg_database WHERE datname LIKE '{Database}%' AND datname !~ '^{Database}[0-9]' ORDER BY 1");

    public static async Task<RestorePointHost> NewAsync(PostgresServer server, IDisk? disk = null, ISupervisor? supervisor = null, string? data = null) =>
        new(server, await server.NewDatabaseAsync(), disk, supervisor, data);

    public static DatabaseAddress Of(string url) => DatabaseAddress.Of(new DatabaseOptions("DATABASE_URL"), new Dictionary<string, string>(), new Dictionary<string, string> { ["DATABASE_URL"] = url });

    public Task<RestorePoint> TakeAsync(string? deployment = null, CancellationToken? cancellationToken = null) =>
        Points.TakeAsync(Shop, Options, Address, Reason(deployment), Progress, cancellationToken ?? TestContext.Current.CancellationToken);

    public Task<Restored> RestoreAsync(string id, string? deployment = null) => Points.RestoreAsync(Shop, Options, Address, id, Reason(deployment), Progress, TestContext.Current.CancellationToken);

    public Task<bool> SwapBackAsync(string deployment) => Points.SwapBackAsync(Shop, Options, Address, deployment, TestContext.Current.CancellationToken);

    public Task<Verification> VerifyAsync(RestorePoint point) => Points.VerifyAsync(Shop, Options, Address, point, "uid 0 (root)", Progress, TestContext.Current.CancellationToken);

    public Task<IReadOnlyList<KeptRestorePoint>> ListAsync() => Points.ListAsync(Shop, Options, TestContext.Current.CancellationToken);

    public IReadOnlyList<string> Files() => [.. System.IO.Directory.GetFiles(Directory).Select(path => Path.GetFileName(path)).Order()];

    public AppOptions App(AppName name) => new(name, null, new Dictionary<string, string> { ["DATABASE_URL"] = Url ?? server.UrlOf(Database) }, null, null, null, 3) { Database = Options };

    public AppDefinition Define(AppName app, string? releaseYaml) => throw new NotSupportedException();

    public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

    public void Check() => throw new NotSupportedException();

    public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();

    public void Dispose() => directory.Dispose();

    private IWorkProgress Progress => new Sink(this);

    private static RestorePointReason Reason(string? deployment) => new("v1.0.0", deployment, "uid 0 (root)");

    private Task AsSuperuserAsync(string database, IReadOnlyList<string> statements, CancellationToken cancellationToken) => server.ExecuteAsync(database, statements);

    private sealed class Sink(RestorePointHost host) : IWorkProgress
    {
        public void Report(string value)
        {
            lock (host.Said) host.Said.Add(value);
        }

        public void Report(string what, long done, long total)
        {
            lock (host.Said) host.Transfers.Add((what, done, total));
        }
    }
}

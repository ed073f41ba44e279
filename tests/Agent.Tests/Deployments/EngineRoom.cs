using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Deployments;

/// <summary>Parts of the engine one by one, for an app called shop, with releases and generations on a simulated disk.</summary>
internal sealed class EngineRoom
{
    public static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static readonly AgentOptions Options = new(null, TimeSpan.FromMinutes(1), "/srv", "/var/lib/agentd", SimulatedSystem.Units, "/run/agentd/agentd.sock");

    public EngineRoom()
    {
        foreach (string directory in new[] { Options.Releases, Options.Data, Options.Units, "/downloads" }) Disk.MakeDirectories(directory);
        Releases = new InstalledReleases(Disk, Options.Releases);
        Generations = new Generations(Disk, Options.Data, Options.Units, Releases);
        Comparison = new GenerationComparison(Generations, Releases);
        Evidence = new EvidenceFiles(Disk, Options.Data);
    }

    public SimulatedDisk Disk { get; } = new(new Fuse(int.MaxValue));

    public RecordingSupervisor Supervisor { get; } = new();

    public InstalledReleases Releases { get; }

    public Generations Generations { get; }

    public GenerationComparison Comparison { get; }

    public EvidenceFiles Evidence { get; }

    public World.FakeConfiguration Configuration { get; } = new(Options, rich: false, database: false);

    public List<string> Told { get; } = [];

    public DeploymentSteps Steps => new(
        Configuration, new World.FakeSource(Disk, new Brake()), Releases, new SharedTree(Disk, Releases), Generations, Supervisor,
        new SimulatedMigrator(new SimulatedDatabase(), new Fuse(int.MaxValue)), new Gate(new NoProbe(), Supervisor, TimeProvider.System), Disk);

    public HookRunner Hooks => new(Configuration, Releases, Generations, Supervisor, NullLogger<HookRunner>.Instance);

    public EvidenceCollector Collector(IDisk? disk = null) =>
        new(Supervisor, Generations, Comparison, Evidence, disk ?? Disk, Options, new ManualTime(), NullLogger<EvidenceCollector>.Instance);

    public DeploymentWork Work() => new(() => AppState.Empty(World.Shop), new Nothing(), new List(Told));

    /// <summary>A release that lies on this host.</summary>
    public ReleaseRef Install(string version, params ManifestEntry[] entries)
    {
        var manifest = new Manifest(World.Shop, new ReleaseVersion(version), entries, []);
        byte[] stored = ManifestFormat.Serialize(manifest);
        Disk.WriteFile($"/downloads/{version}", DurableOperations.Mode644, stream => stream.Write(stored));
        Releases.Stage(
            new FetchedRelease(new ReleaseId(World.Shop, manifest.Version, Digest.Of(stored)), manifest, $"/downloads/{version}", new Dictionary<string, string>()), mayReplace: true, CancellationToken.None);
        return new ReleaseRef(version, Digest.Of(stored).Hex);
    }

    public AppDefinition Define(params UnitSource[] units) => Configuration.Define(World.Shop, null) with { Units = units };

    public static UnitSource Service(string name) => new UnitSource.Rendered(new UnitName(name), "bin/run", null);

    public static UnitSource Timer(string name) => new UnitSource.Rendered(new UnitName(name), "bin/run", null) { Schedule = "daily" };

    public static Deployment Deploying(ReleaseRef to, ReleaseRef? from = null, params JournalRecord.OfDeployment[] records) => new JournalRecord[]
    {
        new JournalRecord.DeploymentStarted(Now, "shop-2", "shop", from, from is null ? null : "shop-1", to, Trigger.Deploy, "ann"),
    }.Concat(records).Aggregate(AgentState.Empty, (state, record) => state.Apply(record)).Find("shop-2")!;

    private sealed class Nothing : IProgress<TransferProgress>
    {
        public void Report(TransferProgress value)
        {
        }
    }

    private sealed class List(List<string> to) : IProgress<string>
    {
        public void Report(string value) => to.Add(value);
    }

    private sealed class NoProbe : IHealthProbe
    {
        public Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}

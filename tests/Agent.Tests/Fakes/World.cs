using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Fakes;

/// <summary>The engine on a simulated disk under a simulated systemd, with an app called shop.</summary>
internal sealed class World : IDisposable
{
    public static readonly AppName Shop = new("shop");

    private readonly CancellationTokenSource stopping = new();

    public World(SimulatedDisk disk, SimulatedSystem system, Fuse fuse)
    {
        Disk = disk;
        System = system;
        Fuse = fuse;
        Source = new FakeSource(disk);
        var options = new AgentOptions(null, TimeSpan.FromMinutes(1), "/srv", "/var/lib/agentd", SimulatedSystem.Units, "/run/agentd/agentd.sock");
        disk.MakeDirectories(options.Data);
        disk.MakeDirectories(options.Units);
        disk.MakeDirectories(options.Releases);
        Journal journal = Journal.Open(disk, options.Data + "/journal", out IReadOnlyList<JournalRecord> records, out _);
        Log = new DeploymentLog(journal, records, NullLogger<DeploymentLog>.Instance);
        Installed = new InstalledReleases(disk, options.Releases);
        var time = new InstantTime(loops: 3);   // the gate's: its own clock, a unit and a check
        Configuration = new FakeConfiguration(options);
        var steps = new DeploymentSteps(
            Configuration, Source, Installed, new Generations(disk, options.Data, options.Units, Installed), system, new Gate(new FakeProbe(system, fuse), system, time));
        var runner = new DeploymentRunner(
            Log, steps, new EvidenceCollector(system, disk, options, time), time, NullLogger<DeploymentRunner>.Instance);
        Engine = new DeploymentEngine(Log, runner, steps, Configuration, Source, Installed, time, NullLogger<DeploymentEngine>.Instance, stopping.Token);
    }

    public SimulatedDisk Disk { get; }

    public SimulatedSystem System { get; }

    public Fuse Fuse { get; }

    public FakeSource Source { get; }

    public FakeConfiguration Configuration { get; }

    public DeploymentLog Log { get; }

    public InstalledReleases Installed { get; }

    public DeploymentEngine Engine { get; }

    /// <summary>A world on an empty disk that lasts for so many effects.</summary>
    public static World New(int effects = int.MaxValue)
    {
        var fuse = new Fuse(effects);
        var disk = new SimulatedDisk(fuse);
        return new World(disk, new SimulatedSystem(disk, fuse), fuse);
    }

    /// <summary>The next start of the agent on what is left.</summary>
    public World After(Loss loss, int effects = int.MaxValue)
    {
        var fuse = new Fuse(effects);
        SimulatedDisk disk = Disk.After(loss, fuse);
        SimulatedSystem system;
        if (loss == Loss.AgentKilled)
            system = System.After(disk, fuse);
        else
        {
            var bootFuse = new Fuse(int.MaxValue);
            system = SimulatedSystem.Boot(disk.After(Loss.Kept, bootFuse), bootFuse).After(disk, fuse);
        }
        return new World(disk, system, fuse);
    }

    /// <summary>Deploys to the end.</summary>
    /// <returns>Null: power failed before the outcome.</returns>
    public async Task<Deployment?> DeployAsync(string version, Trigger trigger = Trigger.Deploy, bool force = false)
    {
        Configuration.For = version;
        try
        {
            Deployment started = await Engine.StartAsync(
                new DeploymentRequest(Shop, new Track.Exactly(new ReleaseVersion(version)), trigger, "test", force), CancellationToken.None);
            await Engine.IdleAsync();
            Deployment ended = Engine.Find(started.Id);
            return Fuse.Blown ? null : ended;
        }
        catch (PowerLostException)
        {
            return null;
        }
    }

    /// <returns>False: power failed again.</returns>
    public async Task<bool> RecoverAsync()
    {
        try
        {
            await Engine.RecoverAsync(CancellationToken.None);
            await Engine.IdleAsync();
        }
        catch (PowerLostException) { }
        return !Fuse.Blown;
    }

    /// <summary>Asserts that disk, systemd, journal and what runs agree, and that nothing is left over.</summary>
    public void AssertConsistent(string where)
    {
        string? current = Installed.Current(Shop);
        AppState state = Engine.State(Shop);
        Assert.True(state.Running is null, $"{where}: {state.Running?.Id} has no outcome");
        Assert.True(current == state.Current?.Version, $"{where}: current is {current}, the journal says {state.Current?.Version}");
        SimulatedSystem.Process? process = System.Running.GetValueOrDefault("shop.service");
        Assert.True(process?.Version == current, $"{where}: {process?.Version} runs, current is {current}");
        if (process is not null)
        {
            Assert.True(process.UnitText == Disk.ReadText(SimulatedSystem.Units + "/shop.service"), $"{where}: runs under another unit file");
            Assert.True(process.Environment.Contains($"FOR=\"{current}\"", StringComparison.Ordinal), $"{where}: {current} runs with {process.Environment}");
        }
        else
            Assert.True(Disk.Kind(SimulatedSystem.Units + "/shop.service") == EntryKind.Missing, $"{where}: nothing runs but a unit is installed");
        bool enabled = Disk.Kind(SimulatedSystem.Units + "/multi-user.target.wants/shop.service") == EntryKind.Link;
        Assert.True(enabled == (current is not null), $"{where}: enabled is {enabled}, current is {current}");
        foreach (string path in Disk.AllPaths)
            Assert.False(path.Contains(DurableOperations.TemporarySuffix, StringComparison.Ordinal) || path.Contains(".staging-", StringComparison.Ordinal), $"{where}: {path} is left over");
        foreach (ReleaseRef release in Installed.List(Shop))
            Assert.True(state.Proved.Any(p => p.Release == release), $"{where}: {release.Version} lies there and never proved itself");
        foreach (string generation in Disk.List("/var/lib/agentd/generations/shop"))
            Assert.True(state.Proved.Any(p => p.Generation == generation), $"{where}: generation {generation} is left over");
    }

    public void Dispose() => stopping.Dispose();

    internal sealed class FakeSource(SimulatedDisk disk) : IArtifactSource
    {
        public OperatorException? Failure { get; set; }

        public Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken) => Task.FromResult(
            wanted is Track.Exactly { Version: var version } ? new ReleaseId(app, version, DigestOf(version.Text)) : null);

        /// <summary>v1.x.0 is healthy, v1.x.5 exits at once, v1.x.6 answers 500.</summary>
        public Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
        {
            if (Failure is { } failure) throw failure;
            string version = release.Version.Text;
            string directory = "/var/lib/agentd/downloads/shop";
            disk.MakeDirectories(directory);
            var files = new List<ManifestEntry>();
            var objects = new Dictionary<string, string>();
            foreach ((string path, string content) in new[] { ("VERSION", version), ("behaviour", version[^1] switch { '5' => "exits", '6' => "500", _ => "ok" }) })
            {
                byte[] bytes = Encoding.UTF8.GetBytes(content);
                var file = new ManifestFile(path, false, bytes.Length, Digest.Of(bytes), null);
                files.Add(file);
                string key = $"{directory}/{FetchedRelease.ObjectKey(file)}";
                disk.WriteFile(key, DurableOperations.Mode644, s => s.Write(bytes));
                objects[FetchedRelease.ObjectKey(file)] = key;
            }
            disk.WriteFile(directory + "/manifest", DurableOperations.Mode644, s => s.Write(ManifestOf(version)));
            return Task.FromResult(new FetchedRelease(release, new Manifest(release.App, release.Version, files, []), directory + "/manifest", objects));
        }

        public void Sweep(AppName app) => disk.RemoveDurable("/var/lib/agentd/downloads/shop");

        public static Digest DigestOf(string version) => Digest.Of(ManifestOf(version));

        private static byte[] ManifestOf(string version) => Encoding.UTF8.GetBytes("manifest of " + version);
    }

    internal sealed class FakeConfiguration(AgentOptions agent) : IConfiguration
    {
        private static readonly CheckOptions.Http Up = new(
            "http /up", new Uri("http://127.0.0.1/up"), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1, 3);

        public AgentOptions Agent => agent;

        public IReadOnlyList<AppOptions> Apps => [App(Shop)];

        public int Keep { get; set; } = 2;

        public AppOptions App(AppName name) => new(name, null, new Dictionary<string, string>(), null, null, null, Keep);

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotSupportedException();

        public void Check() => throw new NotSupportedException();

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();

        public AppDefinition Define(AppName app, string? releaseYaml) => new(
            app, new Dictionary<string, string> { ["FOR"] = For }, [new UnitSource.Rendered(new UnitName("shop.service"), $"bin/shop --{For}", null)],
            [Up], new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1)));

        /// <summary>The version for which the next definition is made: each release has a unit and an environment of its own.</summary>
        public string For { get; set; } = "";
    }

    private sealed class FakeProbe(SimulatedSystem system, Fuse fuse) : IHealthProbe
    {
        public Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken)
        {
            fuse.Check();
            bool healthy = system.Running.GetValueOrDefault("shop.service") is { Healthy: true };
            return Task.FromResult(new CheckAnswer(check.Name, healthy, healthy ? "200" : "GET /up gave 500"));
        }
    }
}

using System.Collections.Concurrent;
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

    /// <summary>Deployments of the app that the journal of a rich world keeps.</summary>
    public const int History = 2;

    private readonly bool rich;
    private readonly Brake brake = new();

    public World(SimulatedDisk disk, SimulatedSystem system, Fuse fuse, bool rich, SimulatedDatabase? database = null)
    {
        this.rich = rich;
        Database = database;
        Disk = disk;
        System = system;
        Fuse = fuse;
        Source = new FakeSource(disk, brake);
        system.Brake = brake;
        var options = new AgentOptions(null, TimeSpan.FromMinutes(1), "/srv", "/var/lib/agentd", SimulatedSystem.Units, "/run/agentd/agentd.sock") { History = rich ? History : 100 };
        disk.MakeDirectories(options.Data);
        disk.MakeDirectories(options.Units);
        disk.MakeDirectories(options.Releases);
        Journal journal = Journal.Open(disk, options.Data + "/journal", out IReadOnlyList<JournalRecord> records, out _);
        var time = new InstantTime(loops: rich ? 4 : 3);   // the gate's: its own clock, each unit and a check
        Log = new DeploymentLog(journal, records, options.History, time, NullLogger<DeploymentLog>.Instance);
        Installed = new InstalledReleases(disk, options.Releases);
        Configuration = new FakeConfiguration(options, rich, database is not null);
        var generations = new Generations(disk, options.Data, options.Units, Installed);
        var comparison = new GenerationComparison(generations, Installed);
        Evidence = new EvidenceFiles(disk, options.Data);
        var steps = new DeploymentSteps(
            Configuration, Source, Installed, new SharedTree(disk, Installed), generations, system,
            new SimulatedMigrator(database ?? new SimulatedDatabase(), fuse), new Gate(new FakeProbe(system, fuse, brake), system, time), disk);
        var runner = new DeploymentRunner(
            Log, steps, new HookRunner(Configuration, Installed, generations, system, NullLogger<HookRunner>.Instance),
            new EvidenceCollector(system, generations, comparison, Evidence, disk, options, time, NullLogger<EvidenceCollector>.Instance), time, new Lines<DeploymentRunner>(Told));
        Engine = new DeploymentEngine(
            Log, runner, steps, Configuration, Source, Installed, comparison, Evidence, time, NullLogger<DeploymentEngine>.Instance, stopping.Token);
    }

    /// <summary>What the runner logged.</summary>
    public List<string> Told { get; } = [];

    public SimulatedDisk Disk { get; }

    public SimulatedSystem System { get; }

    /// <summary>Null: the app has none.</summary>
    public SimulatedDatabase? Database { get; }

    public Fuse Fuse { get; }

    public FakeSource Source { get; }

    public FakeConfiguration Configuration { get; }

    public DeploymentLog Log { get; }

    public InstalledReleases Installed { get; }

    public EvidenceFiles Evidence { get; }

    public DeploymentEngine Engine { get; }

    /// <summary>A world on an empty disk that lasts for so many effects.</summary>
    /// <param name="rich">With two units, hooks, secrets, a template, a shared directory, and a journal that is compacted often.</param>
    /// <param name="database">With a database whose migrations belong to its releases.</param>
    public static World New(int effects = int.MaxValue, bool rich = false, bool database = false)
    {
        var fuse = new Fuse(effects);
        var disk = new SimulatedDisk(fuse);
        return new World(disk, new SimulatedSystem(disk, fuse), fuse, rich, database ? new SimulatedDatabase() : null);
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
            system = SimulatedSystem.Boot(disk.After(Loss.Kept, bootFuse), bootFuse, System.Broken).After(disk, fuse);
        }
        return new World(disk, system, fuse, rich, Database?.After());
    }

    /// <summary>Deploys to the end.</summary>
    /// <returns>Null: power failed before the outcome.</returns>
    /// <param name="settings">What the environment says; null: the version.</param>
    public async Task<Deployment?> DeployAsync(string version, Trigger trigger = Trigger.Deploy, bool force = false, string? settings = null)
    {
        Configuration.For = settings ?? version;
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

    /// <summary>Asks for a deployment by a person, and does not wait for it.</summary>
    public Task<Deployment> StartAsync(string version, Func<DeploymentRequest, DeploymentRequest>? change = null, CancellationToken cancellationToken = default)
    {
        Configuration.For = version;
        var request = new DeploymentRequest(Shop, new Track.Exactly(new ReleaseVersion(version)), Trigger.Deploy, "test", Force: false);
        return Engine.StartAsync(change is null ? request : change(request), cancellationToken);
    }

    /// <summary>Makes the next deployment wait inside of a step, until <see cref="GoOn"/>.</summary>
    /// <returns>Ends when it waits there.</returns>
    public Task<string> StopAtAsync(Step step) => brake.SetAsync(step);

    public void GoOn() => brake.Release();

    /// <summary>Begins a deployment by a person, and waits until it waits inside of a step.</summary>
    public async Task<Deployment> StartToAsync(string version, Step step)
    {
        Task<string> waiting = StopAtAsync(step);
        Deployment started = await StartAsync(version);
        await waiting;
        return started;
    }

    /// <summary>The agent is stopped while a deployment waits inside of a step: what it leaves is for the next start.</summary>
    public async Task LeaveAtAsync(string version, Step step)
    {
        await StartToAsync(version, step);
        Stop();
        await Engine.IdleAsync();
    }

    /// <summary>The agent is told to stop.</summary>
    public void Stop() => stopping.Cancel();

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
        foreach (string unit in Configuration.Units)
        {
            SimulatedSystem.Process? process = System.Running.GetValueOrDefault(unit);
            Assert.True(process?.Version == current, $"{where}: {unit} of {process?.Version} runs, current is {current}");
            if (process is not null)
            {
                Assert.True(process.UnitText == Disk.ReadText($"{SimulatedSystem.Units}/{unit}"), $"{where}: {unit} runs under another unit file");
                Assert.True(process.Environment.Contains($"FOR=\"{current}\"", StringComparison.Ordinal), $"{where}: {unit} of {current} runs with {process.Environment}");
                Assert.True(!rich || process.Config == $"for {current}, key s3cret", $"{where}: {unit} of {current} reads {process.Config}");
            }
            else
                Assert.True(Disk.Kind($"{SimulatedSystem.Units}/{unit}") == EntryKind.Missing, $"{where}: nothing runs but {unit} is installed");
            bool enabled = Disk.Kind($"{SimulatedSystem.Units}/multi-user.target.wants/{unit}") == EntryKind.Link;
            Assert.True(enabled == (current is not null), $"{where}: {unit} enabled is {enabled}, current is {current}");
        }
        Assert.True(System.Hooks.Count == 0, $"{where}: {string.Join(", ", System.Hooks)} still runs");
        Assert.True(state.Deployments.Count <= Configuration.Agent.History + Math.Max(1, Configuration.Agent.History / 4), $"{where}: the journal keeps {state.Deployments.Count} deployments");
        string? rendered = Disk.ReadLink("/srv/shop/rendered/current");
        Assert.True(rendered == (rich ? state.Generation : null), $"{where}: rendered/current is {rendered}, the generation {state.Generation}");
        foreach (string generation in Disk.List("/srv/shop/rendered").Except(["current"]))
            Assert.True(state.Proved.Any(p => p.Generation == generation), $"{where}: what was rendered for {generation} is left over");
        foreach (string kept in Disk.List("/var/lib/agentd/evidence/shop"))
            Assert.True(state.Deployments.Any(d => kept == d.Id + ".json"), $"{where}: evidence {kept} is left over");
        foreach (string path in Disk.AllPaths)
            Assert.False(path.Contains(DurableOperations.TemporarySuffix, StringComparison.Ordinal) || path.Contains(".staging-", StringComparison.Ordinal), $"{where}: {path} is left over");
        foreach (ReleaseRef release in Installed.List(Shop))
            Assert.True(state.Proved.Any(p => p.Release == release), $"{where}: {release.Version} lies there and never proved itself");
        foreach (string generation in Disk.List("/var/lib/agentd/generations/shop"))
            Assert.True(state.Proved.Any(p => p.Generation == generation), $"{where}: generation {generation} is left over");
    }

    public void Dispose() => stopping.Dispose();

    internal sealed class FakeSource(SimulatedDisk disk, Brake brake) : IArtifactSource
    {
        public OperatorException? Failure { get; set; }

        /// <summary>What every channel points at; null: nothing.</summary>
        public string? Channel { get; set; }

        /// <summary>What reading a channel or a range ends in; null: it is read.</summary>
        public OperatorException? Unread { get; set; }

        /// <summary>What was pushed.</summary>
        public Func<Digest, PushedRelease?> Pushed { get; set; } = _ => null;

        public PushedRelease? FindPushed(AppName app, Digest digest) => Pushed(digest);

        public PushedRelease? FindPushed(AppName app, ReleaseVersion version) => Pushed(DigestOf(version.Text)) is { Unsigned: false } pushed ? pushed : null;

        /// <summary>What every question waits for.</summary>
        public Task Answers { get; set; } = Task.CompletedTask;

        public async Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken)
        {
            await Answers.WaitAsync(cancellationToken);
            if (wanted is not Track.Exactly && Unread is { } failure) throw failure;
            return (wanted is Track.Exactly { Version: var version } ? version.Text : Channel) is { } text ? new ReleaseId(app, new ReleaseVersion(text), DigestOf(text)) : null;
        }

        /// <summary>v1.x.0 is healthy, v1.x.5 exits at once, v1.x.6 answers 500.</summary>
        public async Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
        {
            if (Failure is { } failure) throw failure;
            string version = release.Version.Text;
            await brake.PassAsync(Step.Fetch, cancellationToken);
            string directory = "/var/lib/agentd/downloads/shop";
            disk.MakeDirectories(directory);
            var objects = new Dictionary<string, string>();
            Manifest manifest = ManifestOf(version).Manifest;
            foreach (ManifestFile file in manifest.Files.OfType<ManifestFile>())
            {
                string key = $"{directory}/{FetchedRelease.ObjectKey(file)}";
                disk.WriteFile(key, DurableOperations.Mode644, s => s.Write(Encoding.UTF8.GetBytes(Contents(version)[file.Path])));
                objects[FetchedRelease.ObjectKey(file)] = key;
            }
            disk.WriteFile(directory + "/manifest", DurableOperations.Mode644, s => s.Write(ManifestOf(version).Stored));
            return new FetchedRelease(release, manifest, directory + "/manifest", objects);
        }

        public void Sweep(AppName app)
        {
            brake.PassAsync(Step.Sweep, CancellationToken.None).Wait();
            disk.RemoveDurable("/var/lib/agentd/downloads/shop");
        }

        public static Digest DigestOf(string version) => Digest.Of(ManifestOf(version).Stored);

        private static readonly ConcurrentDictionary<string, (Manifest Manifest, byte[] Stored)> manifests = new();

        private static Dictionary<string, string> Contents(string version) => new()
        {
            ["VERSION"] = version,
            ["behaviour"] = version[^1] switch { '5' => "exits", '6' => "500", _ => "ok" },
            ["config.template"] = "for ${FOR}, key ${KEY}",
        };

        private static (Manifest Manifest, byte[] Stored) ManifestOf(string version) => manifests.GetOrAdd(version, static version =>
        {
            var files = new List<ManifestEntry>();
            long size = Contents(version).Values.Sum(content => content.Length), start = 0;
            foreach ((string path, string content) in Contents(version))
            {
                files.Add(new ManifestFile(path, false, content.Length, Digest.Of(Encoding.UTF8.GetBytes(content)), new FramePlace(0, 0, 100, size, start)));
                start += content.Length;
            }
            var manifest = new Manifest(Shop, new ReleaseVersion(version), files, [new PackReference(Digest.Of("pack"u8), 100)]);
            return (manifest, ManifestFormat.Serialize(manifest));
        });
    }

    internal sealed class FakeConfiguration(AgentOptions agent, bool rich, bool database) : IConfiguration
    {
        private static readonly CheckOptions.Http Up = new(
            "http /up", new Uri("http://127.0.0.1/up"), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 1, 3);

        public AgentOptions Agent { get; set; } = agent;

        public IReadOnlyList<AppOptions> Apps => Known ? [App(Shop)] : [];

        /// <summary>False: the operator has taken the app's file away.</summary>
        public bool Known { get; set; } = true;

        public int Keep { get; set; } = 2;

        public IReadOnlyList<string> Units { get; } = rich ? ["shop.service", "shop-worker.service"] : ["shop.service"];

        public ReleaseVersion? MaxVersion { get; set; }

        public long KeepFree { get; set; }

        public bool Follows { get; set; }

        /// <summary>What is different from the usual definition.</summary>
        public Func<AppDefinition, AppDefinition> Change { get; set; } = definition => definition;

        /// <summary>What is different from the operator's usual file.</summary>
        public Func<AppOptions, AppOptions> ChangeOptions { get; set; } = options => options;

        public AppOptions App(AppName name) => ChangeOptions(new AppOptions(name, Follows ? new Track.Channel("stable") : null, new Dictionary<string, string>(), null, null, null, Keep)
        {
            MaxVersion = MaxVersion,
            KeepFree = KeepFree,
            Hooks = rich ? [.. Hooks.Where(hook => hook.Line.StartsWith('/'))] : [],
        });

        public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => new Dictionary<string, string> { ["KEY"] = "s3cret" };

        public void Check() => throw new NotSupportedException();

        public string Effective(AppName? app, string? releaseYaml) => throw new NotSupportedException();

        public AppDefinition Define(AppName app, string? releaseYaml) => Change(new AppDefinition(
            app, new Dictionary<string, string> { ["FOR"] = For, ["API_TOKEN"] = For }, [.. Units.Select(unit => new UnitSource.Rendered(new UnitName(unit), $"bin/{unit} --{For}", null))],
            [Up], new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1)))
        {
            SecretsFile = rich ? "/etc/agentd/secrets.d/shop.env" : null,
            Templates = rich ? ["config.template"] : null,
            SharedDirectories = rich ? ["log"] : null,
            Hooks = rich ? Hooks : null,
            Database = database ? new DatabaseOptions("DATABASE_URL") : null,
        });

        private static readonly HookOptions[] Hooks =
        [
            new("before-stage", Step.Stage, true, "/bin/announce", null, TimeSpan.FromSeconds(60), null, true),
            new("before-flip", Step.Flip, true, "bin/warm", null, TimeSpan.FromSeconds(60), null, false),
            new("after-gate", Step.Gate, false, "bin/smoke", null, TimeSpan.FromSeconds(60), null, false),
            new("after-sweep", Step.Sweep, false, "/bin/announce", null, TimeSpan.FromSeconds(60), null, false),
        ];

        /// <summary>The version for which the next definition is made: each release has a unit and an environment of its own.</summary>
        public string For { get; set; } = "";
    }

    private sealed class FakeProbe(SimulatedSystem system, Fuse fuse, Brake brake) : IHealthProbe
    {
        public async Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken)
        {
            fuse.Check();
            await brake.PassAsync(Step.Gate, cancellationToken);
            bool healthy = system.Running.GetValueOrDefault("shop.service") is { Healthy: true };
            return new CheckAnswer(check.Name, healthy, healthy ? "200" : "GET /up gave 500");
        }
    }
}

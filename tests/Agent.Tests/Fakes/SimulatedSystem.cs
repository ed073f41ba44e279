using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;

namespace Agent.Tests.Fakes;

/// <summary>
/// systemd on a simulated disk: unit files are loaded at boot and at daemon-reload, a start resolves <c>current</c>, enabled units start
/// at boot, and enabling writes links that systemd itself does not sync.
/// </summary>
internal sealed class SimulatedSystem(SimulatedDisk disk, Fuse fuse) : ISupervisor
{
    public const string Units = "/etc/systemd/system";

    private readonly Dictionary<string, string> loaded = [];
    private int invocations;

    /// <summary>What runs: the release, and the unit file and environment that it was started with.</summary>
    public sealed record Process(string Version, string UnitText, string Environment, int Invocation, bool Healthy, string? Config);

    public Dictionary<string, Process> Running { get; } = [];

    public Brake? Brake { get; set; }

    /// <summary>Told of each user that is made and each hook that runs, at that moment: <c>user shop</c>, <c>hook after-gate</c>.</summary>
    public Action<string>? Asked { get; set; }

    /// <summary>Hooks that run now, by unit.</summary>
    public HashSet<string> Hooks { get; private init; } = [];

    /// <summary>Releases that exit at once, besides those that say so themselves.</summary>
    public HashSet<string> Broken { get; private init; } = [];

    /// <summary>After the death of the agent alone: systemd and what runs go on.</summary>
    public SimulatedSystem After(SimulatedDisk disk, Fuse fuse)
    {
        var next = new SimulatedSystem(disk, fuse) { invocations = invocations, Hooks = [.. Hooks], Broken = [.. Broken] };
        foreach ((string unit, string text) in loaded) next.loaded[unit] = text;
        foreach ((string unit, Process process) in Running) next.Running[unit] = process;
        return next;
    }

    /// <summary>After a power cut: what is on the disk is loaded, what is enabled is started.</summary>
    public static SimulatedSystem Boot(SimulatedDisk disk, Fuse fuse, IEnumerable<string> broken)
    {
        var system = new SimulatedSystem(disk, fuse) { Broken = [.. broken] };
        system.Load();
        foreach (string unit in disk.List($"{Units}/multi-user.target.wants"))
            if (system.loaded.ContainsKey(unit)) system.Start(unit);
        return system;
    }

    public Task ReloadAsync(CancellationToken cancellationToken)
    {
        fuse.Burn();
        Load();
        return Task.CompletedTask;
    }

    public Task StartAsync(UnitName unit, CancellationToken cancellationToken) => RestartAsync(unit, cancellationToken);

    public Task StopAsync(UnitName unit, CancellationToken cancellationToken)
    {
        fuse.Burn();
        Running.Remove(unit.Value);
        Hooks.Remove(unit.Value);
        return Task.CompletedTask;
    }

    public async Task RestartAsync(UnitName unit, CancellationToken cancellationToken)
    {
        if (Brake is not null) await Brake.PassAsync(Step.Restart, cancellationToken);
        fuse.Burn();
        Running.Remove(unit.Value);
        Start(unit.Value);
        fuse.Burn();   // the job is done, the agent has not heard of it yet
    }

    public Task EnableAsync(UnitName unit, CancellationToken cancellationToken)
    {
        fuse.Check();
        if (disk.Kind(Units + "/multi-user.target.wants") == EntryKind.Missing) disk.MakeDirectory(Units + "/multi-user.target.wants", DurableOperations.Mode755);
        string link = $"{Units}/multi-user.target.wants/{unit}";
        if (disk.Kind(link) == EntryKind.Missing) disk.MakeLink(link, $"../{unit}");
        return Task.CompletedTask;
    }

    public Task DisableAsync(UnitName unit, CancellationToken cancellationToken)
    {
        fuse.Check();
        if (disk.Kind($"{Units}/{unit}") == EntryKind.Missing) return Task.CompletedTask;   // systemd does nothing for a file that is gone
        disk.RemoveFile($"{Units}/multi-user.target.wants/{unit}");
        return Task.CompletedTask;
    }

    public Task<UnitState> GetStateAsync(UnitName unit, CancellationToken cancellationToken)
    {
        fuse.Check();
        Process? process = Running.GetValueOrDefault(unit.Value);
        return Task.FromResult(new UnitState(
            unit, "loaded", process is null ? "failed" : "active", process is null ? "failed" : "running", process is null ? "exit-code" : "success", 0,
            process?.Invocation ?? 0, "", 0, process is null ? "" : process.Invocation.ToString("x32"), null));
    }

    /// <summary>A hook of a release whose version ends in 7 fails before the flip, of one that ends in 8 after the gate.</summary>
    public Task<CommandEnd> RunAsync(TransientCommand command, Action<string> output, CancellationToken cancellationToken)
    {
        fuse.Burn();
        Hooks.Add(command.Unit.Value);
        fuse.Burn();   // killed here, the hook goes on without the agent
        Hooks.Remove(command.Unit.Value);
        Asked?.Invoke($"hook {command.Environment["AGENTD_HOOK"]}");
        output("key is s3cret");
        string version = command.Environment["AGENTD_VERSION"], hook = command.Environment["AGENTD_HOOK"];
        bool fails = (version[^1], hook) is ('7', "before-flip") or ('8', "after-gate");
        return Task.FromResult(new CommandEnd(!fails, fails ? "exit status 1" : "", ["key is s3cret"]));
    }

    public Task<UserIds> MakeUserAsync(string user, CancellationToken cancellationToken)
    {
        fuse.Burn();
        Asked?.Invoke($"user {user}");
        return Task.FromResult(new UserIds(1000, 1000));
    }

    public Task<IReadOnlyList<LogEntry>> ReadLogAsync(UnitName unit, int lines, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<LogEntry>>([]);

    public async IAsyncEnumerable<LogEntry> FollowLogAsync(IReadOnlyList<UnitName> units, int lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        yield break;
    }

    private void Load()
    {
        loaded.Clear();
        foreach (string unit in disk.List(Units))
            if (unit.EndsWith(".service", StringComparison.Ordinal)) loaded[unit] = disk.ReadText($"{Units}/{unit}");
    }

    private void Start(string unit)
    {
        if (!loaded.TryGetValue(unit, out string? text))
        {
            if (disk.Kind($"{Units}/{unit}") == EntryKind.Missing) throw new OperatorException(ExitCode.RolledBack, $"{unit} not-found", "");
            loaded[unit] = text = disk.ReadText($"{Units}/{unit}");
        }
        string app = "/srv/shop";
        if (disk.ReadLink(app + "/current") is not { } target) return;   // nothing to start: the unit fails
        string behaviour = disk.ReadText($"{app}/{target}/behaviour");
        if (behaviour == "exits" || Broken.Contains(Path.GetFileName(target))) return;
        string environment = text.Split('\n').First(l => l.StartsWith("EnvironmentFile=", StringComparison.Ordinal))["EnvironmentFile=".Length..];
        Running[unit] = new Process(Path.GetFileName(target), text, disk.ReadText(environment), ++invocations, behaviour == "ok", disk.Kind(app + "/rendered/current") == EntryKind.Missing ? null : disk.ReadText($"{app}/{target}/config"));
    }
}

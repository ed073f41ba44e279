using System.Diagnostics;
using System.Globalization;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>
/// The drill's own agent: the installed agentd as a transient unit, on files, a socket, units and a store that all lie in /run, so that no boot
/// finds anything of it. Its keys never leave this process.
/// </summary>
internal sealed class DrillHost : IDisposable
{
    public const string Root = "/run/agentd-drill", Socket = $"{Root}/agentd.sock", AgentUnit = "agentd-drill.service";

    // Names that begin with agentd- are refused for apps and their units.
    private const string App = "crash-drill", AppUnit = $"{App}.service";
    private const string Agentd = "/usr/bin/agentd", Lock = "/run/agentd-drill.lock", Units = "/run/systemd/system";
    private const string Releases = $"{Root}/releases", Data = $"{Root}/data", Store = $"{Root}/store", Scratch = $"{Root}/scratch";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60), Pause = TimeSpan.FromMilliseconds(20), Asked = TimeSpan.FromSeconds(10);

    private readonly TimeProvider time;
    private readonly Disk disk = new();
    private readonly KeyFile keys;
    private readonly TrustRepository repository;
    private readonly Publisher publisher;
    private string current = "v1.0.0";
    private int published;

    public DrillHost(TimeProvider time)
    {
        this.time = time;
        keys = KeyFile.Generate(RoleLives.Default, time).WithApp(new AppName(App));
        IStoreWriter store = Stores.OpenWriter(Store, disk, time);
        repository = new TrustRepository(store, keys, disk, $"{Root}/publisher", time);
        publisher = new Publisher(store, repository, disk, Scratch, time);
    }

    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: no root, no systemd, no agentd, or the names are taken.</exception>
    public static void RefuseWhereItCannotRun()
    {
        if (!Environment.IsPrivilegedProcess) throw new OperatorException(ExitCode.Refused, "the drill starts an agent and units of its own, and that needs root", "sudo agentctl drill");
        if (!Directory.Exists(Units)) throw new OperatorException(ExitCode.Refused, "systemd does not run this machine", "run the drill on a host with systemd as PID 1");
        if (!File.Exists(Agentd)) throw new OperatorException(ExitCode.Refused, $"there is no {Agentd}", "install the agent first: sudo ./install.sh");
        foreach (string directory in (string[])["/etc/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system"])
            if (Path.Exists($"{directory}/{AppUnit}")) throw new OperatorException(ExitCode.Refused, $"{directory}/{AppUnit} has the name of the drill's scratch app", "give that unit another name");
    }

    /// <summary>Held while a drill runs; the kernel lets go of it when the process ends.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: another one runs.</exception>
    public static FileStream TakeLock()
    {
        try
        {
            return new FileStream(Lock, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, Options = FileOptions.DeleteOnClose, UnixCreateMode = DurableOperations.Mode600 });
        }
        catch (IOException e)
        {
            throw new OperatorException(ExitCode.Refused, "another drill runs on this host", "wait for its end", e);
        }
    }

    /// <summary>Ends and removes all that a drill makes; nothing where there is nothing.</summary>
    /// <exception cref="OperatorException">Something is left.</exception>
    public static async Task RemoveAsync(CancellationToken cancellationToken)
    {
        var disk = new Disk();
        if (!disk.Exists(Root)) return;   // made first, removed last
        foreach (string unit in (string[])[AgentUnit, AppUnit]) await DrillTool.SystemctlAsync(cancellationToken, "stop", unit);   // the agent first: it would start the other one again
        disk.RemoveTree($"{Units}/{AppUnit}");
        disk.RemoveTree($"{Units}/{AppUnit}.d");
        await DrillTool.SystemctlAsync(cancellationToken, "daemon-reload");
        foreach (string unit in (string[])[AgentUnit, AppUnit]) await DrillTool.SystemctlAsync(cancellationToken, "reset-failed", unit);   // fails where there is nothing to forget
        foreach (string unit in (string[])[AgentUnit, AppUnit])
        {
            if (await DrillTool.PropertyAsync(unit, "ActiveState", cancellationToken) is "active" or "activating" or "deactivating")
                throw new OperatorException(ExitCode.NeedsOperator, $"{unit} of the drill does not stop", $"sudo systemctl stop {unit}, then another drill, which removes the rest");
        }
        disk.RemoveTree(Root);
    }

    /// <summary>Makes the store and the files, starts the agent, and deploys the first release.</summary>
    public async Task SetUpAsync(CancellationToken cancellationToken)
    {
        disk.MakeDirectory(Root, DurableOperations.Mode755);   // the app's user goes through it
        foreach (string directory in (string[])[$"{Root}/etc", $"{Root}/etc/apps.d", Store, Scratch, $"{Root}/source"]) disk.MakeDirectory(directory, DurableOperations.Mode700);
        await repository.InitAsync(cancellationToken);
        disk.WriteAtomic($"{Root}/etc/root.json", keys.Root);
        disk.WriteAtomic($"{Root}/etc/agentd.yaml", $"""
            store: {Store}
            poll: 24h
            releases: {Releases}
            data: {Data}
            socket: {Socket}
            units: {Units}
            roles:
              viewer: []
              deployer: []
              admin: []

            """);
        disk.WriteAtomic($"{Root}/etc/apps.d/{App}.yaml", "keep: 1\n");
        await PublishAsync(current, good: true, cancellationToken);
        (int exit, string told) = await DrillTool.RunAsync("/usr/bin/systemd-run", cancellationToken,
            "--quiet", "--collect", $"--unit={AgentUnit}", "--description=Deployment agent of agentctl drill", "--service-type=notify",
            "--property=Restart=always", "--property=RestartSec=100ms", "--property=StartLimitIntervalSec=0", "--property=KillMode=mixed", "--property=UMask=0022",
            "--property=TimeoutStopSec=10s", "--property=Nice=10",   // on a busy machine the drill has to be quicker than the agent
            "--setenv=DOTNET_EnableDiagnostics=0", Agentd, "--config", $"{Root}/etc");
        if (exit != 0) throw new OperatorException(ExitCode.Unreachable, $"the drill's agent does not start: {told.Trim()}", $"journalctl -u {AgentUnit} -n 50");
        using var agent = new AgentConnection(Socket, time);
        Deployment? first = null;
        await foreach (DeploymentEvent happened in agent.StreamAsync((client, options) => client.Deploy(new DeployRequest { App = App, Version = current }, options), cancellationToken))
            first = happened.Finished ?? first;
        if (first?.Outcome != Outcome.Live)
            throw new OperatorException(ExitCode.NeedsOperator, $"the drill's first release, which nothing disturbed, did not become live: {first?.Cause}", $"agentctl drill --keep, then agentctl why --socket {Socket}");
    }

    /// <summary>Deploys a release, kills the agent when it says that a step, or a step's undo, begins, and looks at what became of it.</summary>
    /// <param name="back">The release fails, and the agent is killed on the way back.</param>
    public async Task<DrillRound> KillAsync(string step, bool back, CancellationToken cancellationToken)
    {
        string from = current, to = $"v1.{++published}.0";
        await PublishAsync(to, good: !back, cancellationToken);
        (string id, long killed) = await KillAtAsync(to, step, back ? "undo-started" : "step-started", cancellationToken);
        var problems = new List<string>();
        TimeSpan? answered = await AnsweredAsync(killed == 0 ? time.GetTimestamp() : killed, cancellationToken);
        string where = "-";
        Outcome outcome = Outcome.Unspecified;
        if (answered is null) problems.Add($"the agent did not answer within {Limit.TotalSeconds} s: journalctl -u {AgentUnit} -n 50");
        else (where, outcome) = await JournaledAsync(id, problems, cancellationToken);
        string ended = await LookAsync(from, to, id, outcome, problems, cancellationToken);
        if (back && ended == to) problems.Add($"{to} fails by design, and yet it was kept");
        current = ended.Length > 0 ? ended : from;
        return new DrillRound(step, back, killed == 0 ? DrillRound.Missed : where, from, to, ended, outcome, killed == 0 ? null : answered, problems);
    }

    public void Dispose() => repository.Dispose();

    private async Task PublishAsync(string version, bool good, CancellationToken cancellationToken)
    {
        string source = $"{Root}/source/{version}";
        disk.MakeDirectory(source, DurableOperations.Mode700);
        void Write(string name, string text) => disk.WriteFile($"{source}/{name}", DurableOperations.Mode644, stream => stream.Write(Encoding.UTF8.GetBytes(text)));
        Write("agent.yaml", $"units:\n  - {AppUnit}\ngate:\n  start: 10s\n  stable: 300ms\n");
        // A shell reads the script: /run is often mounted noexec. A user for the time of the service: none has to be made, and removed.
        Write(AppUnit, $"""
            [Unit]
            Description=Scratch app of agentctl drill
            StartLimitIntervalSec=0

            [Service]
            Type=exec
            DynamicUser=yes
            WorkingDirectory={Releases}/{App}/current
            ExecStart=/bin/sh run
            SyslogIdentifier={App}

            """);
        Write("run", $"# {version}\n{(good ? "exec sleep infinity" : "echo 'this release is made to fail'; exit 3")}\n");
        await publisher.PublishAsync(source, new AppName(App), new ReleaseVersion(version), new Quiet(), cancellationToken);
        disk.RemoveTree(source);
    }

    /// <returns>The deployment, and when the agent was killed; 0: the deployment ended before.</returns>
    private async Task<(string Id, long Killed)> KillAtAsync(string version, string step, string record, CancellationToken cancellationToken)
    {
        using Process process = Process.GetProcessById(int.Parse(await DrillTool.PropertyAsync(AgentUnit, "MainPID", cancellationToken), CultureInfo.InvariantCulture));
        using var journal = new DrillJournal(Data);
        using var agent = new AgentConnection(Socket, time);
        string told = "";
        long killed = 0;
        string? id = await journal.WhenAsync(record, step, async () => told = await DeployAsync(agent, version, cancellationToken), () =>
        {
            process.Kill();   // 'systemctl kill' would take longer than most steps do
            killed = time.GetTimestamp();
        });
        return (id ?? told, killed);
    }

    /// <summary>Deploys until the outcome, or until the agent is gone.</summary>
    /// <returns>The deployment's id; empty where the agent went away before it had told it.</returns>
    private static async Task<string> DeployAsync(AgentConnection agent, string version, CancellationToken cancellationToken)
    {
        string id = "";
        try
        {
            await foreach (DeploymentEvent happened in agent.StreamAsync((client, options) => client.Deploy(new DeployRequest { App = App, Version = version }, options), cancellationToken))
                id = happened.Deployment;
        }
        catch (OperatorException e) when (e.Code == ExitCode.Unreachable)
        {
            // Killed, as it should be.
        }
        return id;
    }

    /// <returns>Time since the kill; null: it took too long.</returns>
    private async Task<TimeSpan?> AnsweredAsync(long killed, CancellationToken cancellationToken)
    {
        long start = time.GetTimestamp();
        while (time.GetElapsedTime(start) < Limit)
        {
            try
            {
                using var agent = new AgentConnection(Socket, time);
                await agent.AskAsync((client, options) => client.GetStatusAsync(new GetStatusRequest { App = App }, options), cancellationToken, Asked);
                return time.GetElapsedTime(killed);
            }
            catch (OperatorException e) when (e.Code == ExitCode.Unreachable)
            {
                await Task.Delay(Pause, time, cancellationToken);
            }
        }
        return null;
    }

    /// <summary>What the journal says: where it was interrupted, and the outcome.</summary>
    private async Task<(string Killed, Outcome Outcome)> JournaledAsync(string id, List<string> problems, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(Limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        using var agent = new AgentConnection(Socket, time);
        StepEvent? last = null;
        string? killed = null;
        try
        {
            await foreach (DeploymentEvent happened in agent.StreamAsync((client, options) => client.WatchDeployment(new WatchDeploymentRequest { Deployment = id }, options), either.Token))
            {
                if (happened.Step is { } step) last = step;
                if (happened.Progress is { Step: "" }) killed ??= Word(last);   // it was interrupted here
                if (happened.Finished is { } finished) return (killed ?? "after its end", finished.Outcome);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
        problems.Add($"{id} has no outcome {Limit.TotalSeconds} s after the agent came back");
        return (killed ?? "-", Outcome.Unspecified);
    }

    /// <summary>Looks past the agent: at the link, the unit, its process, the files. Adds what is not as the outcome says.</summary>
    /// <returns>The version that <c>current</c> names; empty: none.</returns>
    private async Task<string> LookAsync(string from, string to, string id, Outcome outcome, List<string> problems, CancellationToken cancellationToken)
    {
        string link = disk.ReadLink($"{Releases}/{App}/current") ?? "";
        string ended = link.StartsWith("releases/", StringComparison.Ordinal) ? link["releases/".Length..] : "";
        if (ended != from && ended != to) problems.Add($"current is '{link}', which is neither {from} nor {to}");
        if (outcome is not (Outcome.Live or Outcome.RolledBack or Outcome.Refused or Outcome.Unspecified)) problems.Add($"the outcome is {JsonMessages.Word(outcome)}");
        bool live = outcome == Outcome.Live;
        if (outcome != Outcome.Unspecified && ended != (live ? to : from)) problems.Add($"the outcome is {JsonMessages.Word(outcome)}, and current is {ended}");

        string state = await DrillTool.PropertyAsync(AppUnit, "ActiveState", cancellationToken), pid = await DrillTool.PropertyAsync(AppUnit, "MainPID", cancellationToken);
        string runs = disk.ReadLink($"/proc/{pid}/cwd") ?? "";
        if (state != "active") problems.Add($"{AppUnit} is {state}");
        else if (runs != $"{Releases}/{App}/releases/{ended}") problems.Add($"{AppUnit} runs in {runs}, and current is {ended}");

        if (disk.Exists($"{Releases}/{App}/releases/{to}") != live) problems.Add(live ? $"the files of {to} are gone" : $"the files of {to} are left");
        if (disk.Exists($"{Data}/generations/{App}/{id}") != live) problems.Add(live ? $"the generation of {id} is gone" : $"the generation of {id} is left");
        foreach (string directory in (string[])[$"{Releases}/{App}", $"{Releases}/{App}/releases", $"{Data}/generations/{App}", Data, Units])
        {
            foreach (string name in disk.List(directory))
                if (name.StartsWith(".staging-", StringComparison.Ordinal) || name.EndsWith(DurableOperations.TemporarySuffix, StringComparison.Ordinal)) problems.Add($"{directory}/{name} is left");
        }
        return ended;
    }

    private static string Word(StepEvent? step) => step switch
    {
        null => "before the first step",
        { Phase: StepEvent.Types.Phase.Started } => $"in {step.Step}",
        { Phase: StepEvent.Types.Phase.UndoStarted } => $"in undo of {step.Step}",
        { Phase: StepEvent.Types.Phase.UndoDone or StepEvent.Types.Phase.UndoFailed } => $"after undo of {step.Step}",
        _ => $"after {step.Step}",
    };

    private sealed class Quiet : IProgress<(long Done, long Total)>
    {
        public void Report((long Done, long Total) value)
        {
        }
    }
}

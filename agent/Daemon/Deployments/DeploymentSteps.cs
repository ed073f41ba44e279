using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Health;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>The new release did not pass its gate.</summary>
internal sealed class GateException(GateVerdict verdict) : Exception(verdict.Cause)
{
    public GateVerdict Verdict { get; } = verdict;
}

/// <summary>
/// What each step does and how it is undone. Each Do and Undo is idempotent: it may run again after a crash, Undo also where Do only half ran.
/// Which comes when is <see cref="DeploymentState"/>'s to say.
/// </summary>
internal sealed class DeploymentSteps(
    IConfiguration configuration, IArtifactSource source, InstalledReleases releases, Generations generations, ISupervisor supervisor, Gate gate)
{
    /// <summary>Time within which a step must be done; the gate has its own times on top.</summary>
    public static TimeSpan Deadline(Step step, AppDefinition? definition) => step switch
    {
        Step.Fetch => TimeSpan.FromHours(1),
        Step.Stage or Step.Sweep => TimeSpan.FromMinutes(10),
        Step.Prepare or Step.Flip => TimeSpan.FromMinutes(1),
        Step.Restart => TimeSpan.FromMinutes(5),
        Step.Gate => TimeSpan.FromMinutes(1) + (definition?.Gate.Start + definition?.Gate.Stable ?? TimeSpan.Zero),
        _ => throw new ArgumentOutOfRangeException(nameof(step)),
    };

    /// <summary>The generation that a deployment made; null before it was prepared.</summary>
    public Generation? GenerationTo(Deployment deployment) => Try(deployment.App, deployment.Id);

    /// <summary>The generation that ran before; null at a first deployment.</summary>
    public Generation? GenerationFrom(Deployment deployment) => deployment.FromGeneration is { } id ? generations.Load(deployment.App, id) : null;

    /// <summary>What a generation runs as; null when it is gone.</summary>
    public AppDefinition? Definition(AppName app, string generation) => Try(app, generation)?.Definition;

    /// <returns>What was done, for people; null where the step's name says it.</returns>
    public async Task<string?> DoAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken cancellationToken)
    {
        AppName app = deployment.App;
        switch (step)
        {
            case Step.Fetch:
                if (releases.Holds(app, deployment.To)) return "already on this host";
                var id = new ReleaseId(app, new ReleaseVersion(deployment.To.Version), new Digest(deployment.To.Digest));
                string[] installed = [.. releases.List(app).Select(release => releases.ReleaseDirectory(app, release.Version))];
                work.Fetched = await source.FetchAsync(id, installed, work.Transfer, cancellationToken);
                return $"{work.Fetched.Manifest.Files.Count} files";
            case Step.Stage:
                if (work.Fetched is { } fetched) releases.Stage(fetched, mayReplace: !work.Proved.Any(p => p.Release.Version == deployment.To.Version));
                return null;
            case Step.Prepare:
                AppDefinition definition = configuration.Define(app, releases.ReadText(app, deployment.To.Version, "agent.yaml"));
                work.Definition = generations.Prepare(deployment.Id, deployment.To, definition).Definition;
                return null;
            case Step.Flip:
                await InstallAsync(app, GenerationFrom(deployment), GenerationTo(deployment), cancellationToken);
                releases.Flip(app, deployment.To.Version);
                return null;
            case Step.Restart:
                await SwitchAsync(GenerationFrom(deployment), GenerationTo(deployment), cancellationToken);
                return null;
            case Step.Gate:
                definition = GenerationTo(deployment)!.Definition;
                GateVerdict verdict = await gate.WatchAsync(definition, definition.Gate.Start, definition.Gate.Stable, work.Message, cancellationToken);
                return verdict.Healthy ? verdict.Cause : throw new GateException(verdict);
            case Step.Sweep:
                Sweep(app, work.StateNow(), configuration.App(app).Keep);
                return null;
            default:
                throw new ArgumentOutOfRangeException(nameof(step));
        }
    }

    public async Task UndoAsync(Deployment deployment, Step step, DeploymentWork work, CancellationToken cancellationToken)
    {
        AppName app = deployment.App;
        switch (step)
        {
            case Step.Stage:
                if (!work.Proved.Any(p => p.Release == deployment.To)) releases.Remove(app, deployment.To.Version);
                break;
            case Step.Prepare:
                generations.Remove(app, deployment.Id);
                break;
            case Step.Flip:
                await InstallAsync(app, GenerationTo(deployment), GenerationFrom(deployment), cancellationToken);
                releases.Flip(app, deployment.From?.Version);
                break;
            case Step.Restart:
                await SwitchAsync(GenerationTo(deployment), GenerationFrom(deployment), cancellationToken);
                break;
            case Step.Gate:
                if (GenerationFrom(deployment) is not { } old) break;
                // It proved itself before: answering again is enough, it need not stay stable once more.
                GateVerdict verdict = await gate.WatchAsync(old.Definition, old.Definition.Gate.Start, TimeSpan.Zero, work.Message, cancellationToken);
                if (!verdict.Healthy) throw new GateException(verdict);
                break;
        }
    }

    /// <summary>Removes what a crash may have left of an app, besides what a deployment under way still needs.</summary>
    public void RemoveLeftovers(AppState state)
    {
        releases.RemoveLeftovers(state.Name);
        generations.RemoveLeftovers(state.Name, state.Generation is { } id ? Try(state.Name, id) : null);
    }

    private void Sweep(AppName app, AppState state, int keep)
    {
        var kept = Retention.Reasons(state, keep);
        foreach (ReleaseRef release in releases.List(app))
            if (!kept.ContainsKey(release.Digest)) releases.Remove(app, release.Version);
        generations.RemoveAllBut(app, [.. state.Proved.Where(p => kept.ContainsKey(p.Release.Digest)).Select(p => p.Generation), .. state.Running is { } d ? [d.Id] : Array.Empty<string>()]);
        RemoveLeftovers(state);
        source.Sweep(app);
    }

    private async Task InstallAsync(AppName app, Generation? from, Generation? to, CancellationToken cancellationToken)
    {
        // While their files are still there, and durably before they go: systemd finds the links to remove by what the file says.
        UnitName[] removed = [.. (from?.Units ?? []).Except(to?.Units ?? [])];
        foreach (UnitName unit in removed) await supervisor.DisableAsync(unit, cancellationToken);
        if (removed.Length > 0) generations.SyncUnits();
        generations.Install(app, from, to);
    }

    /// <summary>Makes what runs agree with the units and the link that lie on the disk now: forward as well as back.</summary>
    private async Task SwitchAsync(Generation? from, Generation? to, CancellationToken cancellationToken)
    {
        UnitName[] before = [.. from?.Units ?? []], after = [.. to?.Units ?? []];
        await supervisor.ReloadAsync(cancellationToken);
        foreach (UnitName unit in before.Except(after).Reverse()) await supervisor.StopAsync(unit, cancellationToken);
        foreach (UnitName unit in after) await supervisor.RestartAsync(unit, cancellationToken);
        UnitName[] added = [.. after.Except(before)];
        foreach (UnitName unit in added) await supervisor.EnableAsync(unit, cancellationToken);
        if (added.Length > 0 || before.Except(after).Any()) generations.SyncUnits();
    }

    private Generation? Try(AppName app, string id)
    {
        try
        {
            return generations.Load(app, id);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}

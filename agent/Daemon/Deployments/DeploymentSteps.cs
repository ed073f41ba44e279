using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
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
    IConfiguration configuration, IArtifactSource source, InstalledReleases releases, SharedTree shared, Generations generations, ISupervisor supervisor, IMigrator migrator, Gate gate, IDisk disk)
{
    /// <summary>Time within which a step must be done; the gate has its own times on top.</summary>
    public TimeSpan Deadline(AppName app, Step step, AppDefinition? definition) => configuration.Find(app)?.Deadlines.TryGetValue(step, out TimeSpan set) == true ? set : step switch
    {
        Step.Fetch => TimeSpan.FromHours(1),
        Step.Backup or Step.Migrate or Step.Contract => TimeSpan.FromHours(4),
        Step.Stage or Step.Sweep => TimeSpan.FromMinutes(10),
        Step.Prepare or Step.Flip => TimeSpan.FromMinutes(1),
        Step.Restart => TimeSpan.FromMinutes(5),
        Step.Gate => TimeSpan.FromMinutes(1) + (definition?.Gate.Start + definition?.Gate.Stable ?? TimeSpan.Zero),
        _ => throw new ArgumentOutOfRangeException(nameof(step)),
    };

    /// <summary>The generation that a deployment made; null before it was prepared.</summary>
    public Generation? GenerationTo(Deployment deployment) => generations.Find(deployment.App, deployment.Id);

    /// <summary>The generation that ran before; null at a first deployment.</summary>
    public Generation? GenerationFrom(Deployment deployment) => deployment.FromGeneration is { } id ? generations.Load(deployment.App, id) : null;

    /// <summary>What a generation runs as; null when it is gone.</summary>
    public AppDefinition? Definition(AppName app, string generation) => generations.Find(app, generation)?.Definition;

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
                if (work.Fetched is { } fetched) releases.Stage(fetched, mayReplace: !work.Proved.Any(p => p.Release.Version == deployment.To.Version), cancellationToken);
                return null;
            case Step.Prepare:
                return await PrepareAsync(deployment, work, cancellationToken);
            case Step.Backup:
                work.Migration = await migrator.BeginAsync(RequestOf(deployment)!, work.Message, cancellationToken);
                work.Contract = work.Migration.Contract;
                return work.Migration.Pending ? await work.Migration.BackUpAsync(work.Message, cancellationToken) : null;
            case Step.Migrate:
                return await MigrateAsync(work, cancellationToken);
            case Step.Contract:
                return await migrator.ContractAsync(RequestOf(deployment)!, work.Message, cancellationToken);
            case Step.Flip:
                await InstallAsync(app, GenerationFrom(deployment), GenerationTo(deployment), cancellationToken);
                shared.Flip(app, deployment.Id);
                releases.Flip(app, deployment.To.Version);
                return null;
            case Step.Restart:
                await SwitchAsync(GenerationFrom(deployment), GenerationTo(deployment), cancellationToken);
                return null;
            case Step.Gate:
                AppDefinition definition = GenerationTo(deployment)!.Definition;
                GateVerdict verdict = await gate.WatchAsync(definition, definition.Gate.Start, definition.Gate.Stable, work.Message, cancellationToken);
                return verdict.Healthy ? verdict.Cause : throw new GateException(verdict);
            case Step.Sweep:
                if (GenerationTo(deployment)?.Definition is { Database: not null } swept) await migrator.SweepAsync(swept, cancellationToken);
                Sweep(work.StateNow(), configuration.Find(app));
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
                shared.Remove(app, deployment.Id);
                generations.Remove(app, deployment.Id);
                break;
            case Step.Migrate:
                if (RequestOf(deployment) is { } request) await migrator.UndoAsync(request, work.Message, cancellationToken);
                break;
            case Step.Flip:
                await InstallAsync(app, GenerationTo(deployment), GenerationFrom(deployment), cancellationToken);
                shared.Flip(app, deployment.FromGeneration);
                releases.Flip(app, deployment.From?.Version);
                break;
            case Step.Restart:
                await SwitchAsync(GenerationTo(deployment), GenerationFrom(deployment), cancellationToken);
                break;
            case Step.Gate:
                if (GenerationFrom(deployment) is not { } old) break;
                GateVerdict verdict = await gate.WatchAsync(old.Definition, old.Definition.Gate.Start, Probation(deployment, old), work.Message, cancellationToken);
                if (!verdict.Healthy) throw new GateException(verdict);
                break;
        }
    }

    /// <summary>What is said meanwhile is evidence where it fails. The database is let go when this is journaled.</summary>
    private static async Task<string> MigrateAsync(DeploymentWork work, CancellationToken cancellationToken)
    {
        var said = new LastLines(work.Message);
        try
        {
            return await work.Migration!.MigrateAsync(said, cancellationToken);
        }
        catch (Exception e)
        {
            work.Hooks.Add(new HookEvidence("migrate", work.Redactor.Clean(e.Message), said.Lines));
            throw;
        }
    }

    /// <summary>The deployment as the database meets it; null where the release has none, or is gone.</summary>
    private MigrationRequest? RequestOf(Deployment deployment)
    {
        DatabaseUser User(Generation generation) =>
            new(generation.Release.Version, releases.ReleaseDirectory(deployment.App, generation.Release.Version), generation.Definition);
        return GenerationTo(deployment) is { Definition.Database: not null } to
            ? new MigrationRequest(deployment.App, deployment.Id, GenerationFrom(deployment) is { } from ? User(from) : null, User(to), deployment.RestorePoint, deployment.IgnoreSchema)
            : null;
    }

    /// <summary>
    /// For how long the old release must stay good before the new one is blamed: a little longer than that one took to fail. A host that kills
    /// everything after a second would pass a shorter look. It proved itself before, so where nobody is to be blamed, answering is enough.
    /// </summary>
    private static TimeSpan Probation(Deployment deployment, Generation old)
    {
        JournalRecord.StepFailed? failed = deployment.Records.OfType<JournalRecord.StepFailed>().FirstOrDefault();
        if (failed is not { Blame: true }) return TimeSpan.Zero;
        // Wall-clock times, perhaps of another life of the agent; a clock that was set meanwhile only makes it longer or shorter.
        TimeSpan took = failed.At - (deployment.Records.OfType<JournalRecord.StepStarted>().LastOrDefault(started => started.Step == failed.Step)?.At ?? failed.At);
        TimeSpan wanted = (took > TimeSpan.Zero ? took : TimeSpan.Zero) + TimeSpan.FromSeconds(2);
        return wanted < old.Definition.Gate.Stable ? wanted : old.Definition.Gate.Stable;
    }

    /// <summary>Removes what a crash may have left of an app, besides what a deployment under way still needs.</summary>
    public void RemoveLeftovers(AppState state)
    {
        releases.RemoveLeftovers(state.Name);
        shared.RemoveLeftovers(state.Name);
        generations.RemoveLeftovers(state.Name, state.Generation is { } id ? generations.Find(state.Name, id) : null);
        if (configuration.Find(state.Name)?.Database is { } database) migrator.RemoveLeftovers(state.Name, database);
    }

    /// <summary>Whether every unit of what a deployment made is active.</summary>
    public async Task<bool> IsRunningAsync(Deployment deployment, CancellationToken cancellationToken)
    {
        foreach (UnitName unit in Started(GenerationTo(deployment)))
            if ((await supervisor.GetStateAsync(unit, cancellationToken)).ActiveState is not ("active" or "reloading" or "activating")) return false;
        return true;
    }

    /// <summary>Removes the downloads of an app whose release will not be wanted again.</summary>
    public void DropDownloads(AppName app) => source.Sweep(app);

    private async Task<string?> PrepareAsync(Deployment deployment, DeploymentWork work, CancellationToken cancellationToken)
    {
        AppName app = deployment.App;
        // A person who goes back wants what ran then, with its settings; anything else is defined by what holds now.
        Generation? restored = deployment.Trigger == Trigger.Rollback && work.Proved.Find(p => p.Release == deployment.To) is { } proved ? generations.Find(app, proved.Generation) : null;
        AppDefinition definition = restored?.Definition ?? configuration.Define(app, releases.ReadText(app, deployment.To.Version, "agent.yaml"));
        IReadOnlyDictionary<string, string> secrets =
            definition.SecretsFile is { } file ? configuration.Secrets(file) : ImmutableDictionary<string, string>.Empty;
        work.Redactor = new Redactor(secrets.Values);
        UserIds user = await MakeUsersAsync(definition, cancellationToken);
        Generation generation = generations.Prepare(deployment.Id, deployment.To, definition, restored?.Id);
        var values = new Dictionary<string, string>(definition.Environment, StringComparer.Ordinal);
        foreach ((string name, string value) in secrets) values[name] = value;
        shared.Prepare(generation, user, values);
        work.Definition = definition;
        return restored is null ? null : $"as {restored.Id} ran";
    }

    /// <returns>The app's own user; root where nothing of it needs one.</returns>
    private async Task<UserIds> MakeUsersAsync(AppDefinition definition, CancellationToken cancellationToken)
    {
        string own = definition.User ?? definition.Name.Value;
        foreach (string user in definition.Units.OfType<UnitSource.Rendered>().Select(unit => unit.User ?? own).Distinct()) await supervisor.MakeUserAsync(user, cancellationToken);
        bool needed = definition.User is not null || definition.SharedDirectories is not null || definition.Templates is not null || definition.Checks.Any(check => check is CheckOptions.Command);
        return needed ? await supervisor.MakeUserAsync(own, cancellationToken) : default;
    }

    private void Sweep(AppState state, AppOptions? options)
    {
        if (options is null) return;   // nobody says any more what is to be kept
        AppName app = state.Name;
        HashSet<string> kept = [.. Retention.Reasons(state, options.Keep).Keys];
        void Remove()
        {
            foreach (ReleaseRef release in releases.List(app))
                if (!kept.Contains(release.Digest)) releases.Remove(app, release.Version);
        }

        Remove();
        foreach (ReleaseRef spare in Retention.Spare(state, options.Keep))
        {
            if (options.KeepFree == 0 || disk.FreeBytes(releases.AppDirectory(app)) >= options.KeepFree) break;
            kept.Remove(spare.Digest);
            Remove();
        }
        string[] generationsKept =
            [.. state.Proved.Where(p => kept.Contains(p.Release.Digest)).Select(p => p.Generation), .. state.Running is { } d ? [d.Id] : Array.Empty<string>()];
        shared.RemoveAllBut(app, generationsKept);
        generations.RemoveAllBut(app, generationsKept);
        RemoveLeftovers(state);
        source.Sweep(app);
    }

    private async Task InstallAsync(AppName app, Generation? from, Generation? to, CancellationToken cancellationToken)
    {
        // While their files are still there, and durably before they go: systemd finds the links to remove by what the file says.
        UnitName[] removed = [.. Started(from).Except(Started(to))];
        foreach (UnitName unit in removed) await supervisor.DisableAsync(unit, cancellationToken);
        if (removed.Length > 0) generations.SyncUnits();
        generations.Install(app, from, to);
    }

    /// <summary>Makes what runs agree with the units and the link that lie on the disk now: forward as well as back.</summary>
    private async Task SwitchAsync(Generation? from, Generation? to, CancellationToken cancellationToken)
    {
        UnitName[] before = [.. Started(from)], after = [.. Started(to)];
        await supervisor.ReloadAsync(cancellationToken);
        foreach (UnitName unit in before.Except(after).Reverse())
        {
            await supervisor.StopAsync(unit, cancellationToken);
            if (!unit.IsService) await supervisor.StopAsync(unit.ToService(), cancellationToken);   // what the timer or socket had started
        }
        foreach (UnitName unit in after) await supervisor.RestartAsync(unit, cancellationToken);
        UnitName[] added = [.. after.Except(before)];
        foreach (UnitName unit in added) await supervisor.EnableAsync(unit, cancellationToken);
        if (added.Length > 0 || before.Except(after).Any()) generations.SyncUnits();
    }

    private static IEnumerable<UnitName> Started(Generation? generation) => generation?.Definition.Started ?? [];
}

using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>A hook that may not fail did.</summary>
internal sealed class HookException(string what) : Exception(what);

/// <summary>Runs what the operator or the developer wants before and after a step, each as a transient unit.</summary>
internal sealed class HookRunner(IConfiguration configuration, InstalledReleases releases, Generations generations, ISupervisor supervisor, ILogger<HookRunner> logger)
{
    /// <exception cref="HookException">A hook failed that may not.</exception>
    /// <exception cref="OperatorException">systemd could not run it.</exception>
    public async Task RunAsync(Deployment deployment, Step step, bool before, DeploymentWork work, CancellationToken cancellationToken)
    {
        AppDefinition? definition = Definition(deployment, work);
        foreach (HookOptions hook in Hooks(deployment.App, definition).Where(hook => hook.Step == step && hook.Before == before))
        {
            if (definition is not null) work.Redactor = Redactor.Of(definition, configuration);   // it gets the secrets, so it may print them
            work.Message.Report(hook.Name);
            string user = hook.User ?? definition?.User ?? deployment.App.Value;
            await supervisor.MakeUserAsync(user, cancellationToken);
            CommandEnd end = await supervisor.RunAsync(Command(deployment, hook, definition, user), line => work.Message.Report($"{hook.Name}: {work.Redactor.Clean(line)}"), cancellationToken);
            work.Hooks.Add(new HookEvidence(hook.Name, end.Cause, [.. end.Output.Select(work.Redactor.Clean)]));
            if (end.Succeeded) continue;
            string what = $"hook {hook.Name} failed: {end.Cause}{(end.Output is [.., var last] ? $": {work.Redactor.Clean(last)}" : "")}";
            // Behind the commit point there is no way back to take.
            if (!hook.MayFail && step is not (Step.Contract or Step.Sweep)) throw new HookException(what);
            logger.HookFailed(deployment.App, deployment.To.Version, deployment.Id, what);
            work.Message.Report($"{what} (goes on)");
        }
    }

    /// <summary>Ends what an agent that was killed left running of a deployment.</summary>
    public async Task StopAsync(Deployment deployment, DeploymentWork work, CancellationToken cancellationToken)
    {
        foreach (HookOptions hook in Hooks(deployment.App, Definition(deployment, work)))
            await supervisor.StopAsync(UnitOf(deployment, hook), cancellationToken);
    }

    private IEnumerable<HookOptions> Hooks(AppName app, AppDefinition? definition) => (definition is null ? configuration.Find(app)?.Hooks : definition.Hooks) ?? [];

    /// <summary>Null before the release lies on this host: then only the operator's hooks can run.</summary>
    private AppDefinition? Definition(Deployment deployment, DeploymentWork work) => work.Definition ?? (work.Foreseen ??=
        generations.Find(deployment.App, deployment.Id)?.Definition
        ?? (releases.Holds(deployment.App, deployment.To) ? configuration.Define(deployment.App, releases.ReadText(deployment.App, deployment.To.Version, "agent.yaml")) : null));

    private TransientCommand Command(Deployment deployment, HookOptions hook, AppDefinition? definition, string user)
    {
        string release = releases.ReleaseDirectory(deployment.App, deployment.To.Version);
        bool staged = releases.Holds(deployment.App, deployment.To);
        IReadOnlyList<string> words = CommandLine.Split(hook.Line);
        var environment = new Dictionary<string, string>(definition?.Environment ?? configuration.Find(deployment.App)?.Environment ?? ImmutableDictionary<string, string>.Empty, StringComparer.Ordinal)
        {
            ["AGENTD_APP"] = deployment.App.Value,
            ["AGENTD_DEPLOYMENT"] = deployment.Id,
            ["AGENTD_HOOK"] = hook.Name,
            ["AGENTD_VERSION"] = deployment.To.Version,
            ["AGENTD_FROM_VERSION"] = deployment.From?.Version ?? "",
        };
        return new TransientCommand(
            UnitOf(deployment, hook), $"{hook.Name} of {deployment.App} {deployment.To.Version}", [Path.Combine(release, words[0]), .. words.Skip(1)], user, staged ? release : "/",
            environment, definition?.SecretsFile is { } secrets ? [secrets] : [], hook.Timeout, hook.Memory);
    }

    private static UnitName UnitOf(Deployment deployment, HookOptions hook) => new($"agentd-{deployment.Id}-{hook.Name}.service");
}

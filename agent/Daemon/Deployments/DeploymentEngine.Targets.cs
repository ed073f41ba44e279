using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>Which release a request means, and whether it may be deployed.</summary>
internal sealed partial class DeploymentEngine
{
    /// <summary>Whether the release that runs would be another generation under today's configuration: then a person who deploys it again wants that.</summary>
    private bool HasOtherSettings(AppName app, Deployment live)
    {
        try
        {
            return steps.GenerationTo(live) is { } runs && !runs.RunsAs(configuration.Define(app, installed.ReadText(app, live.To.Version, "agent.yaml")));
        }
        catch (OperatorException)
        {
            return true;   // it is wrong: prepare says how
        }
    }

    /// <summary>What the track points at, where a person wants something else: until it moves, tracking leaves their choice alone.</summary>
    private async Task<string?> PassedOverAsync(AppOptions options, DeploymentRequest request, ReleaseRef to, CancellationToken cancellationToken)
    {
        if (request.Trigger != Trigger.Deploy || (request.Wanted is not Track.Exactly && request.Pushed is null) || options.Track is not { } track) return null;
        try
        {
            return await source.ResolveAsync(options.Name, track, cancellationToken) is { } found && found.Digest.Hex != to.Digest ? found.Version.Text : null;
        }
        catch (OperatorException)
        {
            return null;   // the version itself was found; that the track cannot be read is tracking's to tell
        }
    }

    private static void RefuseUnexpected(DeploymentRequest request, ReleaseRef? current)
    {
        if (request.Expect is { } expected && expected != (current?.Version ?? "none"))
            throw new OperatorException(ExitCode.Refused, $"{request.App} runs {current?.Version ?? "nothing"}, not {expected} as was expected", "look at it with 'agentctl status', then ask again");
    }

    private static void RefuseUnwanted(AppOptions options, AppState state, ReleaseRef to, Trigger trigger)
    {
        if (state.Quarantined.TryGetValue(to.Digest, out Quarantine? quarantine))
            throw new OperatorException(
                ExitCode.Refused, $"{options.Name} {to.Version} is quarantined on this host since {quarantine.Deployment}: {quarantine.Cause}",
                $"publish a mended version; or, where it was not the release's fault, allow it again with 'agentctl unquarantine {to.Version} --app {options.Name} --reason WHY'");
        if (options.MaxVersion is { } most && ReleaseVersion.TryParse(to.Version, out ReleaseVersion? version) && version > most)
            throw new OperatorException(
                ExitCode.Refused, $"{options.Name} {to.Version} is above {most}, the max_version of apps.d/{options.Name}.yaml",
                trigger == Trigger.Rollback ? "raise max_version" : "raise max_version, or use --force");
    }

    private async Task<ReleaseRef> ResolveAsync(AppOptions options, DeploymentRequest request, CancellationToken cancellationToken)
    {
        if (request.Trigger == Trigger.Rollback) return RollbackTarget(options.Name, request.Wanted);
        if (request.Pushed is { } digest) return PushedTarget(options.Name, request.Wanted, digest);
        if (request is { Trigger: Trigger.Deploy, Wanted: Track.Exactly { Version: var version } } && source.FindPushed(options.Name, version) is { } brought)
            return new ReleaseRef(brought.Id.Version.Text, brought.Id.Digest.Hex);   // the store need not be reached
        Track wanted = request.Wanted ?? options.Track ?? throw new OperatorException(
            ExitCode.Usage, $"{options.Name} follows nothing, so a version is needed", $"name one: agentctl deploy v1.2.3 --app {options.Name}");
        ReleaseId found = await source.ResolveAsync(options.Name, wanted, cancellationToken) ?? throw new OperatorException(
            ExitCode.Usage, $"the store has no {options.Name} {wanted}", $"list what it has: agentctl store list --app {options.Name}");
        return new ReleaseRef(found.Version.Text, found.Digest.Hex);
    }

    /// <summary>From this host alone. What was deployed meanwhile is not kept as pushed any more.</summary>
    private ReleaseRef PushedTarget(AppName app, Track? wanted, Digest digest)
    {
        ReleaseRef found = source.FindPushed(app, digest) is { } pushed ? new ReleaseRef(pushed.Id.Version.Text, digest.Hex)
            : State(app).Proved.Select(p => p.Release).FirstOrDefault(r => r.Digest == digest.Hex && installed.Holds(app, r)) ?? throw new OperatorException(
                ExitCode.Refused, $"no release {digest.Short} of {app} waits on this host: it was not pushed here, or was swept since", "push it again");
        return wanted is not Track.Exactly exactly || exactly.Version.Text.TrimStart('v') == found.Version.TrimStart('v')
            ? found
            : throw new OperatorException(ExitCode.Usage, $"{digest.Short} is {app} {found.Version}, not {exactly.Version}", $"name {found.Version}, or leave the version out");
    }

    /// <summary>From this host alone: going back must work without the store.</summary>
    private ReleaseRef RollbackTarget(AppName app, Track? wanted)
    {
        AppState state = log.State.App(app);
        ReleaseRef? standing = Standing(app).Release;
        ImmutableList<ReleaseRef> candidates = [.. state.Proved.Select(p => p.Release).Where(r => r != standing && installed.Holds(app, r))];
        if (wanted is not Track.Exactly exactly)
            return candidates.FirstOrDefault() ?? throw new OperatorException(
                ExitCode.Refused, $"there is no release of {app} on this host to go back to", $"deploy one: agentctl deploy VERSION --app {app}");
        return candidates.Find(r => r.Version == exactly.Version.Text)
            ?? (state.Current?.Version == exactly.Version.Text ? state.Current : throw new OperatorException(
                ExitCode.Usage, $"{app} {exactly.Version} has not run healthy on this host, or is gone from it",
                candidates.IsEmpty ? $"deploy it: agentctl deploy {exactly.Version} --app {app}" : $"choose one of {string.Join(", ", candidates.Select(r => r.Version))}"));
    }

    /// <summary>What `current` and the units are of: what was kept last, but where a release was left in place because the one before could not live with the database any more.</summary>
    private (ReleaseRef? Release, string? Generation) Standing(AppName app)
    {
        AppState state = log.State.App(app);
        return state.Attention is { } attention && log.State.Find(attention.Deployment) is { IsStuckAtSchema: true } stuck
            && installed.Current(app) == stuck.To.Version && steps.GenerationTo(stuck) is not null
            ? (stuck.To, stuck.Id)
            : (state.Current, state.Generation);
    }

    private static Deployment? LastLive(AppState state) => state.Deployments.FindLast(d => d.Id == state.Generation && d.Outcome == Outcome.Live);

    private OperatorException Busy(AppName app)
    {
        Deployment? first = log.State.App(app).Running;
        return first is null
            ? new OperatorException(
                ExitCode.Refused, $"a deployment of {app}, asked for by {queue.First(app)}, is just starting", "look at it with 'agentctl status', or wait your turn with --wait")
            : new OperatorException(
                ExitCode.Refused, $"{app} is being deployed: {first.Id} to {first.To.Version} is at {Word(first.Step)}",
                $"wait for it with 'agentctl watch {first.Id}', or for your turn with --wait");
    }

    private static string Word(Step? step) => step?.Word() ?? "its start";
}

using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>What somebody wants deployed.</summary>
/// <param name="Wanted">What to deploy; null: what the app's track says, or for <see cref="Trigger.Rollback"/> the release before.</param>
/// <param name="By">Who asks: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
/// <param name="Force">Also a quarantined release.</param>
internal sealed record DeploymentRequest(AppName App, Track? Wanted, Trigger Trigger, string By, bool Force);

/// <summary>What happens in a deployment: a journal record, or progress that is not journaled.</summary>
internal abstract record DeploymentEvent
{
    private DeploymentEvent() { }

    public sealed record Recorded(JournalRecord Record) : DeploymentEvent;

    /// <param name="Message">For people: <c>http /up: connection refused</c>.</param>
    /// <param name="Done">Bytes; 0 of 0 where it is no transfer.</param>
    public sealed record Progress(DateTimeOffset At, string Deployment, Step Step, string Message, long Done, long Total) : DeploymentEvent;
}

/// <summary>A release that lies on this host.</summary>
/// <param name="KeptBecause">Null: it goes at the next sweep.</param>
internal sealed record InstalledRelease(ReleaseRef Release, bool Current, string? KeptBecause, long Size, DateTimeOffset? Proved, bool Quarantined);

/// <summary>The one state machine: all that Api and Tracking may ask of it.</summary>
internal sealed class DeploymentEngine
{
    /// <summary>Resolves what is wanted, then starts the deployment; it goes on whatever becomes of the caller.</summary>
    /// <returns>The deployment; it has an outcome already where nothing is to be done.</returns>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Refused"/>: one is under way for this app (its id and step are told), the release is quarantined, or it runs already;
    /// <see cref="ExitCode.Usage"/>: no such app or version; <see cref="ExitCode.Unreachable"/>: the store does not answer.
    /// </exception>
    public Task<Deployment> StartAsync(DeploymentRequest request, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>All events of a deployment from its beginning; ends after its outcome. Slow readers lose progress, never records.</summary>
    /// <exception cref="OperatorException">No such deployment (<see cref="ExitCode.Usage"/>).</exception>
    public IAsyncEnumerable<DeploymentEvent> WatchAsync(string deployment, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The state of an app; an empty one where nothing was ever deployed.</summary>
    public AppState State(AppName app) => throw new NotImplementedException();

    /// <exception cref="OperatorException">No such deployment (<see cref="ExitCode.Usage"/>).</exception>
    public Deployment Find(string deployment) => throw new NotImplementedException();

    /// <summary>What the running release is defined as; null before the first deployment.</summary>
    public AppDefinition? Running(AppName app) => throw new NotImplementedException();

    public ImmutableArray<InstalledRelease> Releases(AppName app) => throw new NotImplementedException();

    /// <summary>Finishes or undoes what an earlier run of the agent left. To be awaited before READY.</summary>
    public Task RecoverAsync(CancellationToken cancellationToken) => throw new NotImplementedException();
}

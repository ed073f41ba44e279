using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>What somebody wants deployed.</summary>
/// <param name="Wanted">What to deploy; null: what the app's track says, or for <see cref="Trigger.Rollback"/> the release before.</param>
/// <param name="By">Who asks: <c>uid 0 (root)</c>, <c>tracking</c>.</param>
/// <param name="Force">Also a quarantined release, and one that runs already.</param>
internal sealed record DeploymentRequest(AppName App, Track? Wanted, Trigger Trigger, string By, bool Force)
{
    /// <summary>Refused unless this version runs; <c>none</c>: nothing runs. Null: anything.</summary>
    public string? Expect { get; init; }

    /// <summary>For <see cref="Trigger.Rollback"/>: a restore point that the database is put back to; null: none.</summary>
    public string? RestorePoint { get; init; }

    /// <summary>For <see cref="Trigger.Rollback"/>: whatever the database has seen.</summary>
    public bool IgnoreSchema { get; init; }

    /// <summary>Made up by the caller: the same once more shows the deployment that it began. Null: none.</summary>
    public string? Request { get; init; }

    /// <summary>This host's turn in a rollout; null: none.</summary>
    public RolloutTurn? Turn { get; init; }

    /// <summary>A release that was pushed to this host, by the digest of its manifest, in place of what the store has; null: from the store.</summary>
    public Digest? Pushed { get; init; }

    /// <summary>Takes what is waited for, for people, where one deployment is under way; null: it is refused then.</summary>
    public Action<string>? Waiting { get; init; }
}

/// <param name="Revision">The one by which the driver thinks that it drives.</param>
internal sealed record RolloutTurn(string Id, long Revision);

using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>One host of a rollout, as whoever drives sees it: the edge between what is decided and the network.</summary>
/// <remarks>
/// Everything throws <see cref="OperatorException"/> where the agent said no, which is an answer; and <see cref="HostLostException"/> where it
/// could not be asked, or its answer did not come: then nobody knows what it did.
/// </remarks>
internal interface IRolloutHost : IDisposable
{
    string Name { get; }

    /// <summary>The host as it is before a rollout.</summary>
    /// <param name="app">Empty: all.</param>
    Task<HostFacts> LookAsync(string app, CancellationToken cancellationToken);

    /// <summary>Puts a rollout on the host, as it is now.</summary>
    Task<KeepRolloutResponse> KeepAsync(Rollout rollout, CancellationToken cancellationToken);

    /// <summary>The rollout as this host knows it, and what became of it here; null: it knows no such one.</summary>
    /// <param name="brief">Without the plan.</param>
    Task<HostRollout?> FindAsync(string app, string rollout, bool brief, CancellationToken cancellationToken);

    /// <summary>Begins a turn, or shows the one that the same request began before.</summary>
    IAsyncEnumerable<DeploymentEvent> DeployAsync(DeployRequest request, CancellationToken cancellationToken);

    /// <summary>Begins a way back, or shows the one that the same request began before.</summary>
    IAsyncEnumerable<DeploymentEvent> RollBackAsync(RollbackRequest request, CancellationToken cancellationToken);

    /// <summary>What is wrong with the app now; null: nothing.</summary>
    Task<string?> AilmentAsync(string app, CancellationToken cancellationToken);
}

/// <summary>A host could not be asked, or its answer did not come.</summary>
internal sealed class HostLostException(OperatorException why) : Exception(why.Message, why)
{
    /// <summary>As it is told where it is the end of the matter.</summary>
    public OperatorException Why { get; } = why;
}

/// <summary>How long a rollout waits for what.</summary>
internal sealed record RolloutTiming
{
    public static RolloutTiming Usual { get; } = new();

    /// <summary>How long a host is asked again and again when the connection was lost in its turn. Longer than a reboot takes.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Before it is asked again the first time; each further pause is twice as long.</summary>
    public TimeSpan FirstPause { get; init; } = TimeSpan.FromMilliseconds(500);

    public TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Between two looks at the health of what is live, while a batch settles.</summary>
    public TimeSpan Look { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Looks in a row that find a host unhealthy, until it is taken for it.</summary>
    public int Looks { get; init; } = 3;

    /// <summary>For an answer to a short question.</summary>
    public TimeSpan Answer { get; init; } = TimeSpan.FromSeconds(15);
}

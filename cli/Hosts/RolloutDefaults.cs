namespace Agent.Cli.Hosts;

/// <summary>How a rollout over a group goes where the command line says nothing else. Null: the file says nothing.</summary>
internal sealed record RolloutDefaults
{
    public static RolloutDefaults None { get; } = new();

    /// <summary>Hosts that go together: a number (<c>2</c>), or a share of all (<c>25%</c>).</summary>
    public string? Batch { get; init; }

    /// <summary>Hosts that go first and alone.</summary>
    public int? Canary { get; init; }

    /// <summary>How long the canary must stay well before the next batch begins.</summary>
    public TimeSpan? Soak { get; init; }

    /// <summary>Hosts that may be under way or not live at any time.</summary>
    public int? MaxUnavailable { get; init; }

    /// <summary>Between batches.</summary>
    public TimeSpan? Pause { get; init; }

    /// <summary>It stops when so many hosts have failed.</summary>
    public int? MaxFailures { get; init; }

    /// <summary>When it stops, every host that took the version goes back.</summary>
    public bool? RollbackAll { get; init; }

    /// <summary>This, and the other's where this says nothing.</summary>
    public RolloutDefaults Or(RolloutDefaults other) => new()
    {
        Batch = Batch ?? other.Batch,
        Canary = Canary ?? other.Canary,
        Soak = Soak ?? other.Soak,
        MaxUnavailable = MaxUnavailable ?? other.MaxUnavailable,
        Pause = Pause ?? other.Pause,
        MaxFailures = MaxFailures ?? other.MaxFailures,
        RollbackAll = RollbackAll ?? other.RollbackAll,
    };
}

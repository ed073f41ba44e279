using System.Collections.Immutable;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>What whoever watches a rollout is told, as it happens; one at a time.</summary>
internal abstract record RolloutReport
{
    private RolloutReport() { }

    /// <summary>The rollout as all hosts know it now: at first, and after each change of its state.</summary>
    public sealed record Changed(Rollout Rollout, RolloutProgress Progress) : RolloutReport;

    /// <summary>These hosts begin: forward in a batch (counted from 1), or on their way back (0).</summary>
    public sealed record Began(int Batch, ImmutableArray<string> Hosts) : RolloutReport;

    /// <summary>A host's deployment goes on.</summary>
    public sealed record Went(string Host, DeploymentEvent Event) : RolloutReport;

    /// <summary>The connection to a host under way was lost; it is asked again.</summary>
    public sealed record Lost(string Host, string Why) : RolloutReport;

    /// <summary>A host has ended.</summary>
    /// <param name="Why">For people; empty where it ended well.</param>
    public sealed record Ended(string Host, Stand Stand, Deployment? Deployment, string Why) : RolloutReport;

    /// <summary>What is live must stay healthy for so long.</summary>
    public sealed record Settling(int Batch, TimeSpan Span) : RolloutReport;

    /// <summary>A host that was live did not stay healthy.</summary>
    public sealed record Ailing(string Host, Stand Stand, string Why) : RolloutReport;
}

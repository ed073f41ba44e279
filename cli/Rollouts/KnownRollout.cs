using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>A host of a rollout, as it was found.</summary>
/// <param name="Batch">From 1.</param>
/// <param name="Why">For people; empty: it is well, or there is nothing to tell.</param>
/// <param name="Known">Null: it knows nothing of the rollout, or was not asked.</param>
internal sealed record RolloutHostState(RolloutHost Host, int Batch, Stand Stand, string Why, HostRollout? Known);

/// <summary>What one host that was asked told of a rollout.</summary>
internal sealed record Finding(HostEntry Host, HostRollout Known);

/// <summary>A rollout as its hosts know it: the highest revision is true.</summary>
internal sealed record KnownRollout(Rollout Rollout, ImmutableArray<RolloutHostState> Hosts)
{
    public int Count(Stand stand) => Hosts.Count(host => host.Stand == stand);

    /// <summary>All rollouts that were found, the last begun first.</summary>
    /// <param name="findings">With the plans.</param>
    /// <param name="lost">Names of hosts that could not be asked.</param>
    public static IReadOnlyList<KnownRollout> Join(IEnumerable<Finding> findings, IReadOnlyCollection<string> lost) =>
    [
        .. findings.Where(finding => finding.Known.Rollout?.Plan is { } plan && IsSound(plan)).GroupBy(finding => finding.Known.Rollout.Id)
            .Select(same => Join([.. same], lost)).OrderByDescending(known => known.Rollout.Started?.Seconds),
    ];

    /// <summary>The rollout by what its own hosts said of it.</summary>
    public static KnownRollout Join(Rollout newest, IReadOnlyList<HostSaid<HostRollout?>> said)
    {
        Dictionary<string, HostSaid<HostRollout?>> by = said.ToDictionary(host => host.Host);
        return new KnownRollout(newest, Each(newest.Plan, host => by[host.Name] is { Error: null } answer
            ? (answer.Answer, HostTurn.StandOf(answer.Answer), "")
            : (null, Stand.Unreachable, by[host.Name].Error!.Message)));
    }

    // What hosts say is as little trusted as what callers say to them.
    private static bool IsSound(RolloutPlan plan)
    {
        string[] names = [.. plan.Batches.SelectMany(batch => batch.Hosts).Select(host => host.Name)];
        return names.Length > 0 && names.Distinct().Count() == names.Length && names.All(name => name.Length > 0) && plan.Batches.All(batch => batch.Hosts.Count > 0)
            && (plan.Soak?.Seconds ?? 0) is >= 0 and <= 604_800 && (plan.Pause?.Seconds ?? 0) is >= 0 and <= 604_800;
    }

    private static KnownRollout Join(IReadOnlyList<Finding> findings, IReadOnlyCollection<string> lost)
    {
        Rollout newest = findings.MaxBy(finding => finding.Known.Rollout.Revision)!.Known.Rollout;
        return new KnownRollout(newest, Each(newest.Plan, host =>
        {
            HostRollout? known = findings.FirstOrDefault(finding => finding.Host.Name == host.Name || finding.Host.Address.ToString() == host.Address)?.Known;
            return known is not null ? (known, HostTurn.StandOf(known), "")
                : (null, Stand.Unreachable, lost.Contains(host.Name) ? "it could not be asked" : "it was not asked");
        }));
    }

    private static ImmutableArray<RolloutHostState> Each(RolloutPlan plan, Func<RolloutHost, (HostRollout? Known, Stand Stand, string Why)> find) =>
    [
        .. plan.Batches.Index().SelectMany(batch => batch.Item.Hosts.Select(host =>
        {
            (HostRollout? known, Stand stand, string why) = find(host);
            Deployment? last = known?.Back ?? known?.Deployment;
            return new RolloutHostState(host, batch.Index + 1, stand, why.Length > 0 ? why : last?.Cause ?? "", known);
        })),
    ];
}

/// <summary>A host of a plan that is not to be asked from here.</summary>
internal sealed class AbsentHost(string name, string why) : IRolloutHost
{
    public string Name => name;

    public Task<HostFacts> LookAsync(string app, CancellationToken cancellationToken) => throw Lost();

    public Task<KeepRolloutResponse> KeepAsync(Rollout rollout, CancellationToken cancellationToken) => throw Lost();

    public Task<HostRollout?> FindAsync(string app, string rollout, bool brief, CancellationToken cancellationToken) => throw Lost();

    public IAsyncEnumerable<DeploymentEvent> DeployAsync(DeployRequest request, CancellationToken cancellationToken) => throw Lost();

    public IAsyncEnumerable<DeploymentEvent> RollBackAsync(RollbackRequest request, CancellationToken cancellationToken) => throw Lost();

    public Task<string?> AilmentAsync(string app, CancellationToken cancellationToken) => throw Lost();

    public void Dispose()
    {
    }

    private HostLostException Lost() => new(new OperatorException(ExitCode.Unreachable, why, "name it in hosts.yaml as it was named when the rollout began: agentctl hosts add"));
}

using System.Collections.Immutable;
using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>Where a host of a rollout stands.</summary>
internal enum Stand
{
    /// <summary>It had no turn yet.</summary>
    Waiting,
    UnderWay,

    /// <summary>It took the version and is healthy.</summary>
    Live,

    /// <summary>It ran the version before its turn came: there is nothing to go back from.</summary>
    Already,

    /// <summary>It failed, and the release before is healthy again.</summary>
    RolledBack,

    /// <summary>It failed before anything was touched.</summary>
    Refused,

    /// <summary>It failed, and so did going back.</summary>
    NeedsOperator,

    /// <summary>It cannot be asked: what became of it is not known.</summary>
    Unreachable,

    /// <summary>It was live, and did not stay healthy.</summary>
    Unhealthy,
    GoingBack,

    /// <summary>It had taken the version, and runs the one before again.</summary>
    WentBack,

    /// <summary>It had taken the version, and could not go back.</summary>
    NotBack,
}

/// <summary>What whoever drives wants of a rollout.</summary>
internal enum Will
{
    GoOn,

    /// <summary>What is under way ends; nothing new starts.</summary>
    Stop,

    /// <summary>What is under way ends; every host that took the version goes back.</summary>
    GoBack,
}

/// <summary>What comes next in a rollout.</summary>
internal abstract record RolloutMove
{
    private RolloutMove() { }

    /// <summary>These hosts begin their turns.</summary>
    public sealed record Start(int Batch, ImmutableArray<string> Hosts) : RolloutMove;

    /// <summary>These hosts begin their way back.</summary>
    public sealed record Return(ImmutableArray<string> Hosts) : RolloutMove;

    /// <summary>What is live must stay healthy for this long before the batch after this one.</summary>
    public sealed record Settle(int Batch, TimeSpan Span) : RolloutMove;

    /// <summary>The limits say that it does not go on as it was.</summary>
    public sealed record Decide(Will Will, string Reason) : RolloutMove;

    /// <summary>Until a host has ended, or a batch has settled.</summary>
    public sealed record Wait : RolloutMove;

    /// <summary>Nothing is under way, and nothing more starts.</summary>
    public sealed record End : RolloutMove;
}

/// <summary>What is known of a rollout at one moment; <see cref="Next"/> says what follows from it, and does nothing.</summary>
/// <param name="Batches">Names of hosts, each once.</param>
/// <param name="Stands">Of every host.</param>
internal sealed record RolloutProgress(ImmutableArray<ImmutableArray<string>> Batches, ImmutableDictionary<string, Stand> Stands)
{
    private static readonly RolloutMove.Wait wait = new();
    private static readonly RolloutMove.End end = new();

    /// <summary>It stops when so many hosts have failed.</summary>
    public int MaxFailures { get; init; } = 1;

    /// <summary>Hosts under way or down at any time.</summary>
    public int MaxUnavailable { get; init; } = 1;

    public bool RollbackAll { get; init; }

    /// <summary>After the first batch, instead of <see cref="Pause"/>; zero: there is no canary.</summary>
    public TimeSpan Soak { get; init; }

    /// <summary>After each other batch.</summary>
    public TimeSpan Pause { get; init; }

    public Will Will { get; init; }

    /// <summary>Batches that have settled.</summary>
    public int Settled { get; init; }

    /// <summary>One is settling now.</summary>
    public bool Settling { get; init; }

    /// <summary>Hosts that a person has left out of the count of failures.</summary>
    public ImmutableHashSet<string> Forgiven { get; init; } = [];

    public IEnumerable<string> Hosts => Batches.SelectMany(batch => batch);

    /// <summary>Of those hosts that count.</summary>
    public int Failures => Stands.Count(host => IsFailure(host.Value) && !Forgiven.Contains(host.Key));

    /// <summary>A rollout that has not begun.</summary>
    public static RolloutProgress Of(RolloutPlan plan) => new(
        [.. plan.Batches.Select(batch => batch.Hosts.Select(host => host.Name).ToImmutableArray())],
        plan.Batches.SelectMany(batch => batch.Hosts).ToImmutableDictionary(host => host.Name, _ => Stand.Waiting))
    {
        MaxFailures = Math.Max(1, plan.MaxFailures),
        MaxUnavailable = plan.MaxUnavailable > 0 ? plan.MaxUnavailable : plan.Batches.Select(batch => batch.Hosts.Count).DefaultIfEmpty(1).Max(),
        RollbackAll = plan.RollbackAll && !plan.Rollback,
        Soak = plan.Soak?.ToTimeSpan() ?? TimeSpan.Zero,
        Pause = plan.Pause?.ToTimeSpan() ?? TimeSpan.Zero,
    };

    public static bool IsFailure(Stand stand) => stand is Stand.RolledBack or Stand.Refused or Stand.NeedsOperator or Stand.Unreachable or Stand.Unhealthy or Stand.NotBack;

    /// <summary>It does not serve as it should, or nobody knows whether it does.</summary>
    public static bool IsDown(Stand stand) => stand is Stand.NeedsOperator or Stand.Unreachable or Stand.Unhealthy or Stand.NotBack;

    public static bool IsUnderWay(Stand stand) => stand is Stand.UnderWay or Stand.GoingBack;

    public RolloutProgress With(string host, Stand stand) => this with { Stands = Stands.SetItem(host, stand) };

    public RolloutProgress With(IEnumerable<string> hosts, Stand stand) => this with { Stands = Stands.SetItems(hosts.Select(host => KeyValuePair.Create(host, stand))) };

    /// <summary>What comes next. Each <see cref="RolloutMove.Start"/> and <see cref="RolloutMove.Return"/> names hosts that are not under way.</summary>
    public RolloutMove Next()
    {
        if (Will == Will.GoBack) return NextBack();
        if (Will == Will.Stop) return IsAny(Stand.UnderWay) ? wait : end;
        bool isLeft = IsAny(Stand.Waiting);
        if (Failures >= MaxFailures && (isLeft || RollbackAll))
        {
            string[] failed = [.. Hosts.Where(host => IsFailure(Stands[host]) && !Forgiven.Contains(host))];
            string reason = $"{string.Join(", ", failed.Take(5).Select(host => $"{host} {Word(Stands[host])}"))}{(failed.Length > 5 ? $" and {failed.Length - 5} more" : "")}";
            return new RolloutMove.Decide(RollbackAll ? Will.GoBack : Will.Stop, reason);
        }
        if (!isLeft) return IsAny(Stand.UnderWay) ? wait : end;
        return NextForward();
    }

    /// <summary>The exit status that these stands come to.</summary>
    public int ExitStatus()
    {
        if (IsAny(Stand.NeedsOperator) || IsAny(Stand.NotBack)) return (int)ExitCode.NeedsOperator;
        if (IsAny(Stand.Unreachable)) return (int)ExitCode.Unreachable;
        if (IsAny(Stand.RolledBack) || IsAny(Stand.WentBack) || IsAny(Stand.Unhealthy)) return (int)ExitCode.RolledBack;
        if (IsAny(Stand.Refused)) return (int)ExitCode.Refused;
        return IsAny(Stand.Waiting) || IsAny(Stand.UnderWay) || IsAny(Stand.GoingBack) ? AgentCtl.Interrupted : (int)ExitCode.Live;
    }

    /// <summary>As people read it.</summary>
    public static string Word(Stand stand) => stand switch
    {
        Stand.Waiting => "waiting",
        Stand.UnderWay => "under way",
        Stand.Live => "live",
        Stand.Already => "runs it already",
        Stand.RolledBack => "rolled back",
        Stand.Refused => "refused",
        Stand.NeedsOperator => "needs a person",
        Stand.Unreachable => "unreachable",
        Stand.Unhealthy => "did not stay healthy",
        Stand.GoingBack => "going back",
        Stand.WentBack => "went back",
        _ => "could not go back",
    };

    private RolloutMove NextForward()
    {
        int batch = 0;
        while (!Batches[batch].Any(host => Stands[host] == Stand.Waiting)) batch++;
        // One batch at a time; whoever takes a rollout over may find hosts of several under way.
        if (Batches.Take(batch).Any(earlier => earlier.Any(host => Stands[host] == Stand.UnderWay))) return wait;
        bool begun = Batches[batch].Any(host => Stands[host] != Stand.Waiting);
        if (batch > Settled && !begun && (batch == 1 && Soak > TimeSpan.Zero ? Soak : Pause) is var span && span > TimeSpan.Zero)
            return Settling ? wait : new RolloutMove.Settle(batch - 1, span);
        int down = Stands.Count(host => IsDown(host.Value) && !Forgiven.Contains(host.Key)), underWay = Stands.Values.Count(IsUnderWay);
        ImmutableArray<string> hosts = [.. Batches[batch].Where(host => Stands[host] == Stand.Waiting).Take(Math.Max(0, MaxUnavailable - down - underWay))];
        if (hosts.Length > 0) return new RolloutMove.Start(batch, hosts);
        return underWay > 0 ? wait : new RolloutMove.Decide(Will.Stop, $"{down} {(down == 1 ? "host is" : "hosts are")} down, and no more than {MaxUnavailable} may be");
    }

    // The last that took the version goes back first. What is down already is not made worse by it; and one may always go, else nobody could.
    private RolloutMove NextBack()
    {
        int down = Stands.Values.Count(IsDown), underWay = Stands.Values.Count(IsUnderWay);
        int room = Math.Max(MaxUnavailable - down - underWay, underWay == 0 ? 1 : 0);
        ImmutableArray<string> hosts =
        [
            .. Hosts.Where(host => Stands[host] == Stand.Unhealthy).Take(Math.Max(0, MaxUnavailable - underWay)),
            .. Hosts.Where(host => Stands[host] == Stand.Live).Reverse().Take(room),
        ];
        if (hosts.Length > 0) return new RolloutMove.Return(hosts);
        return underWay > 0 ? wait : end;
    }

    private bool IsAny(Stand stand) => Stands.ContainsValue(stand);
}

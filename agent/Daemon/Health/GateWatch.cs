using System.Diagnostics.CodeAnalysis;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>How the gate ended.</summary>
/// <param name="Cause">For people; why it failed, or what held.</param>
/// <param name="Last">The last answer of each check, in the order of the definition.</param>
/// <param name="ByHand">It failed by what somebody did to a unit meanwhile: that says nothing of the release.</param>
internal sealed record GateVerdict(bool Healthy, string Cause, IReadOnlyList<CheckAnswer> Last, bool ByHand = false);

/// <summary>
/// What the gate makes of what is seen: no clock, no effects. All times count from the begin of the watch, as <see cref="WatchedTime"/> does.
/// <list type="number">
/// <item>Until every check passes and every unit is active; the start time bounds this.</item>
/// <item>From there for the stable time nothing may fail, and then everything must have been seen good once more.</item>
/// </list>
/// A unit that ends or is restarted by systemd fails at once, in both.
/// </summary>
internal sealed class GateWatch
{
    private readonly TimeSpan start;
    private readonly TimeSpan stable;
    private readonly TimeSpan settle;
    private readonly List<CheckWatch> checks;
    private readonly List<UnitWatch> units;
    private readonly Queue<string> news = new();
    private TimeSpan? goodSince;
    private string? failure;
    private bool byHand;

    public GateWatch(AppDefinition definition, TimeSpan start, TimeSpan stable)
    {
        (this.start, this.stable) = (start, stable);
        checks = [.. definition.Checks.Select(check => new CheckWatch(check))];
        units = [.. definition.Started.Select(unit => new UnitWatch(unit, definition.Units.Any(source => source is UnitSource.Rendered { Restart: null or "always", Schedule: null } && source.Name == unit)))];
        // What wavers when the stable time ends gets the time in which it would count as failing, then it does.
        settle = TimeSpan.FromSeconds(5) + definition.Checks.Select(check => check.Unhealthy * (check.Interval + check.Timeout)).DefaultIfEmpty().Max();
    }

    public void Saw(CheckAnswer answer, TimeSpan at)
    {
        CheckWatch check = checks.First(candidate => candidate.Options.Name == answer.Check);
        bool passed = check.Passing;
        CheckAnswer? before = check.Last;
        check.Add(answer, at);
        if (!passed && check.Passing) news.Enqueue($"{answer.Check}: passes");
        else if (!answer.Passed && (before is null or { Passed: true } || before.Detail != answer.Detail)) news.Enqueue($"{answer.Check}: {answer.Detail}");
        if (goodSince is not null && passed && !check.Passing)
            failure ??= $"{answer.Check} failed {check.Failures} {(check.Failures == 1 ? "time" : "times in a row")} after it had passed: {answer.Detail}";
    }

    public void Saw(UnitState state, TimeSpan at)
    {
        UnitWatch unit = units.First(candidate => candidate.Name == state.Unit);
        string? before = unit.Last?.ActiveState;
        if (failure is null) (failure, byHand) = unit.Add(state, at);
        if (before != state.ActiveState) news.Enqueue($"{state.Unit}: {state.ActiveState}");
    }

    /// <summary>Something for people that was not told before.</summary>
    public bool TryGetNews([NotNullWhen(true)] out string? message) => news.TryDequeue(out message);

    /// <summary>Whether it is decided, at a time that is no less than at any call before. A failure stays one.</summary>
    public GateVerdict? At(TimeSpan now)
    {
        if (failure is not null) return Verdict(healthy: false, failure);
        if (goodSince is null)
        {
            if (Good())
            {
                goodSince = now;
                if (stable > TimeSpan.Zero) news.Enqueue($"all good; watching for {Spoken.Duration(stable)}");
            }
            else return now < start ? null : Fail($"not healthy within {Spoken.Duration(start)}: {Missing()}");
        }
        TimeSpan end = goodSince.Value + stable;
        if (now < end) return null;
        if (Good() && (stable == TimeSpan.Zero || SeenSince(end))) return Verdict(healthy: true, Held());
        return now < end + settle ? null : Fail($"not steady after {Spoken.Duration(now - goodSince.Value)}: {Missing()}");
    }

    private GateVerdict Fail(string cause) => Verdict(healthy: false, failure = cause);

    private bool Good() => checks.TrueForAll(check => check is { Passing: true, Last.Passed: true }) && units.TrueForAll(unit => unit.Active);

    private bool SeenSince(TimeSpan end) => checks.TrueForAll(check => check.LastAt >= end) && units.TrueForAll(unit => unit.LastAt >= end);

    private string Missing()
    {
        IEnumerable<string> wrong =
        [
            .. units.Where(unit => !unit.Active).Select(unit => unit.Last is { } state ? $"{unit.Name} is {state.ActiveState} ({state.SubState})" : $"{unit.Name} was not seen"),
            .. checks.Where(check => check is not { Passing: true, Last.Passed: true }).Select(check => $"{check.Options.Name}: {check.Last?.Detail ?? "no answer yet"}"),
        ];
        string text = string.Join("; ", wrong);
        return text.Length > 0 ? text : "systemd or a check did not answer any more";
    }

    private string Held()
    {
        string what = (units.Count, checks.Count) switch
        {
            (var u, 0) => Count(u, "unit"),
            (0, var c) => Count(c, "check"),
            var (u, c) => $"{Count(u, "unit")} and {Count(c, "check")}",
        };
        return $"{what} good for {Spoken.Duration(stable)}";
    }

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";

    private GateVerdict Verdict(bool healthy, string cause) =>
        new(healthy, cause, [.. checks.Select(check => check.Last ?? new CheckAnswer(check.Options.Name, Passed: false, "no answer yet"))], byHand);

    private sealed class CheckWatch(CheckOptions options)
    {
        private int passes;

        public CheckOptions Options { get; } = options;

        public bool Passing { get; private set; }

        public int Failures { get; private set; }

        public CheckAnswer? Last { get; private set; }

        public TimeSpan LastAt { get; private set; }

        public void Add(CheckAnswer answer, TimeSpan at)
        {
            (Last, LastAt) = (answer, at);
            (passes, Failures) = answer.Passed ? (passes + 1, 0) : (0, Failures + 1);
            Passing = Passing ? Failures < Options.Unhealthy : passes >= Options.Healthy;
        }
    }

    /// <param name="always">systemd starts it again whatever ends it: so only a person, or another unit, makes it inactive.</param>
    private sealed class UnitWatch(UnitName name, bool always)
    {
        private UnitState? first;
        private UnitState? firstActive;

        public UnitName Name { get; } = name;

        public UnitState? Last { get; private set; }

        public TimeSpan LastAt { get; private set; }

        // active covers "exited" of a oneshot service that remains.
        public bool Active => Last?.ActiveState is "active" or "reloading";

        /// <returns>Why the unit has failed, and whether somebody did it by hand; a null cause where it has not.</returns>
        public (string? Cause, bool ByHand) Add(UnitState state, TimeSpan at)
        {
            first ??= state;
            (Last, LastAt) = (state, at);
            string end = Spoken.End(state) is { Length: > 0 } told ? $": {told}" : "";
            if (state.LoadState != "loaded") return ($"{Name} is {state.LoadState}", state.LoadState == "masked");
            if (state.ActiveState == "failed") return ($"{Name} failed{end}", false);
            if (state.ActiveState == "inactive") return (always ? $"{Name} was stopped while it was watched" : $"{Name} ended{end}", always);
            if (state.SubState.StartsWith("auto-restart", StringComparison.Ordinal)) return ($"{Name} ended{end}", false);
            if (state.Restarts > first.Restarts) return ($"{Name} ended and was restarted by systemd", false);
            if (!Active) return (null, false);
            firstActive ??= state;
            // systemd counts the restarts that it makes by itself: this one was asked for.
            if (state.InvocationId != firstActive.InvocationId) return ($"{Name} was restarted while it was watched", true);
            return (state.MainPid != 0 && firstActive.MainPid != 0 && state.MainPid != firstActive.MainPid ? $"{Name} changed its main process while it was watched" : null, false);
        }
    }
}

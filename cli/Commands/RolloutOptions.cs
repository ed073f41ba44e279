using System.CommandLine;
using System.CommandLine.Parsing;
using Agent.Artifacts;
using Agent.Artifacts.Configuration;
using Agent.Cli.Hosts;
using Agent.Cli.Rollouts;

namespace Agent.Cli.Commands;

/// <summary>How a rollout goes, as it is typed; what is not typed is as the group in hosts.yaml says.</summary>
internal sealed class RolloutOptions
{
    private readonly Option<Share?> batch = ShareOf("--batch", "hosts that go together; else what the group says, else 1");
    private readonly Option<int> canary = Verbs.Count("--canary", null, "so many hosts go first and alone", 0);
    private readonly Option<TimeSpan?> soak = SpanOf("--soak", "how long the canary must stay healthy");
    private readonly Option<Share?> unavailable = ShareOf("--max-unavailable", "hosts that may be under way or down at any time; else as many as a batch has");
    private readonly Option<TimeSpan?> pause = SpanOf("--pause", "between batches; all must stay healthy meanwhile");
    private readonly Option<int> failures = Verbs.Count("--max-failures", null, "stop when so many hosts have failed", 1);
    private readonly Option<bool> back = new("--rollback-all") { Description = "when it stops, every host that took the version goes back" };
    private readonly Option<bool> skip = new("--skip-unreachable") { Description = "leave out hosts that cannot be reached, instead of beginning nothing" };
    private readonly Option<HostOrder> order = new("--order")
    {
        Description = "which hosts go first: as hosts.yaml lists them, or otherwise",
        HelpName = "listed|reversed|random",
        CustomParser = result =>
        {
            if (Enum.TryParse(result.Tokens[0].Value, ignoreCase: true, out HostOrder value) && Enum.IsDefined(value)) return value;
            result.AddError("--order is listed, reversed or random");
            return HostOrder.Listed;
        },
    };

    /// <param name="canGoBack">It has <c>--rollback-all</c>.</param>
    public RolloutOptions(bool canGoBack) => All = [batch, canary, soak, unavailable, pause, failures, .. canGoBack ? [back] : Array.Empty<Option>(), order, skip];

    public IReadOnlyList<Option> All { get; }

    public bool SkipUnreachable(ParseResult parsed) => parsed.GetValue(skip);

    /// <exception cref="OperatorException">What is typed does not fit together (<see cref="ExitCode.Usage"/>).</exception>
    public RolloutLimits Read(ParseResult parsed, RolloutDefaults group)
    {
        var usual = new RolloutLimits();
        var limits = new RolloutLimits
        {
            Batch = parsed.GetValue(batch) ?? (group.Batch is { } text && Share.TryParse(text, out Share? share) ? share.Value : usual.Batch),
            Canary = IsTyped(parsed, canary) ? parsed.GetValue(canary) : group.Canary ?? 0,
            Soak = parsed.GetValue(soak) ?? group.Soak ?? TimeSpan.Zero,
            MaxUnavailable = parsed.GetValue(unavailable) ?? (group.MaxUnavailable is { } most ? new Share(most, false) : null),
            Pause = parsed.GetValue(pause) ?? group.Pause ?? TimeSpan.Zero,
            MaxFailures = IsTyped(parsed, failures) ? parsed.GetValue(failures) : group.MaxFailures ?? usual.MaxFailures,
            RollbackAll = All.Contains(back) && (IsTyped(parsed, back) ? parsed.GetValue(back) : group.RollbackAll ?? false),
            Order = parsed.GetValue(order),
        };
        if (parsed.GetValue(soak) is not null && limits.Canary == 0)
            throw new OperatorException(ExitCode.Usage, "--soak is for a canary", "add --canary 1, or use --pause for all batches");
        return limits;
    }

    /// <exception cref="OperatorException">One of them is typed, and one host is meant (<see cref="ExitCode.Usage"/>).</exception>
    public void RefuseForOne(ParseResult parsed)
    {
        if (All.FirstOrDefault(option => IsTyped(parsed, option)) is { } typed)
            throw new OperatorException(ExitCode.Usage, $"{typed.Name} is for several hosts, and one is meant here", "leave it out, or name a group or more hosts with --host");
    }

    private static bool IsTyped(ParseResult parsed, Option option) => parsed.GetResult(option) is OptionResult { Implicit: false };

    private static Option<Share?> ShareOf(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "COUNT|PERCENT%",
        CustomParser = result =>
        {
            if (!Share.TryParse(result.Tokens[0].Value, out Share? share)) result.AddError($"{name} is a number of hosts (2), or a share of them (25%)");
            return share;
        },
    };

    private static Option<TimeSpan?> SpanOf(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result =>
        {
            if (Values.TryParseDuration(result.Tokens[0].Value, out TimeSpan span) && span >= TimeSpan.Zero && span <= TimeSpan.FromDays(7)) return span;
            result.AddError($"{name} is a time, such as 30s or 10m, 7 days at most");
            return null;
        },
    };
}

using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Protos;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Daemon.Api;

/// <summary>Rollouts between agent.v1 and the engine. What callers send is checked here; nothing of it is believed or done, only kept and shown.</summary>
internal static partial class RolloutMessages
{
    private const int MostHosts = 1_000, MostBytes = 512 << 10, LongestName = 200, LongestDriver = 200;
    private static readonly TimeSpan LongestPause = TimeSpan.FromDays(7);

    /// <summary>The request's id; null: none.</summary>
    /// <param name="turn">Null: it belongs to no rollout.</param>
    /// <param name="suffix">What a rollout's request may have behind the rollout's id.</param>
    /// <exception cref="OperatorException">It is no id, or not the rollout's (<see cref="ExitCode.Usage"/>).</exception>
    public static string? RequestOf(string request, V1.RolloutTurn? turn, string suffix)
    {
        if (request.Length == 0 && turn is null) return null;
        if (!RequestPattern().IsMatch(request)) throw Wrong("a request's id is of letters, digits and dashes, 64 at most");
        if (turn is not null && request != turn.Id && request != turn.Id + suffix) throw Wrong("a turn's request is the rollout's id");
        return request;
    }

    public static RolloutTurn? Of(V1.RolloutTurn? turn) => turn is null ? null : new RolloutTurn(turn.Id, turn.Revision);

    /// <summary>What a driver sent, as it is kept: within bounds, without what could play tricks on a terminal.</summary>
    /// <exception cref="OperatorException">It is not within bounds (<see cref="ExitCode.Usage"/>).</exception>
    public static Rollout Checked(V1.Rollout sent)
    {
        if (!IdPattern().IsMatch(sent.Id)) throw Wrong("a rollout's id is of letters, digits and dashes, 59 at most");
        if (sent.Revision < 1) throw Wrong("a rollout's revision counts from 1");
        if (sent.Started is null || !IsTime(sent.Started)) throw Wrong("a rollout says when it began");
        return new Rollout(
            sent.Id, sent.Revision, Of(sent.State), PlainText.Of(sent.Driver, LongestDriver), PlainText.Of(sent.Reason, PlainText.LongestReason),
            sent.Started.ToDateTimeOffset(), default, Checked(sent.Plan ?? new V1.RolloutPlan()).ToByteArray());
    }

    public static V1.Rollout Of(AppName app, Rollout kept) => new()
    {
        Id = kept.Id,
        App = app.Value,
        Plan = V1.RolloutPlan.Parser.ParseFrom(kept.Plan),
        Revision = kept.Revision,
        State = kept.State switch
        {
            RolloutState.Running => V1.Rollout.Types.State.Running,
            RolloutState.Paused => V1.Rollout.Types.State.Paused,
            RolloutState.Aborted => V1.Rollout.Types.State.Aborted,
            RolloutState.RollingBack => V1.Rollout.Types.State.RollingBack,
            _ => V1.Rollout.Types.State.Finished,
        },
        Driver = kept.Driver,
        Reason = kept.Reason,
        Started = Messages.Of(kept.Started),
        Changed = Messages.Of(kept.Changed),
    };

    public static V1.HostRollout Of(AppState app, Rollout kept)
    {
        var message = new V1.HostRollout { Rollout = Of(app.Name, kept) };
        if (app.Deployments.FindLast(deployment => deployment.Request == kept.Id) is { } turn) message.Deployment = Messages.Of(turn);
        if (app.Deployments.FindLast(deployment => deployment.Request == kept.Id + RolloutWords.Back) is { } back) message.Back = Messages.Of(back);
        return message;
    }

    private static RolloutState Of(V1.Rollout.Types.State state) => state switch
    {
        V1.Rollout.Types.State.Running => RolloutState.Running,
        V1.Rollout.Types.State.Paused => RolloutState.Paused,
        V1.Rollout.Types.State.Aborted => RolloutState.Aborted,
        V1.Rollout.Types.State.Finished => RolloutState.Finished,
        V1.Rollout.Types.State.RollingBack => RolloutState.RollingBack,
        _ => throw Wrong("a rollout has a state"),
    };

    private static V1.RolloutPlan Checked(V1.RolloutPlan plan)
    {
        if (plan.Version.Length > 0) _ = new ReleaseVersion(plan.Version);
        else if (!plan.Rollback) throw Wrong("a rollout's plan names a version");
        if (plan.CalculateSize() > MostBytes) throw Wrong($"a rollout's plan takes {MostBytes >> 10} KiB at most");
        int hosts = plan.Batches.Sum(batch => batch.Hosts.Count);
        if (hosts is 0 or > MostHosts || plan.Batches.Any(batch => batch.Hosts.Count == 0)) throw Wrong($"a rollout has 1 to {MostHosts} hosts, and no empty batch");
        foreach (V1.RolloutHost host in plan.Batches.SelectMany(batch => batch.Hosts))
        {
            if (!IsPlain(host.Name) || !IsPlain(host.Address)) throw Wrong($"a host of a rollout has a name and an address of plain text, {LongestName} characters at most");
        }
        if (plan.Batches.SelectMany(batch => batch.Hosts).DistinctBy(host => host.Name).Count() != hosts) throw Wrong("each host is in a rollout once");
        if (plan.Skipped.Count > MostHosts || plan.Skipped.Any(text => PlainText.Of(text, PlainText.LongestReason) != text)) throw Wrong("what a rollout leaves out is plain text");
        if (!IsPause(plan.Soak) || !IsPause(plan.Pause)) throw Wrong($"a rollout soaks and pauses for {LongestPause.Days} days at most");
        if (plan.MaxFailures < 0 || plan.MaxUnavailable < 0) throw Wrong("a rollout's limits are not below 0");
        return plan;
    }

    private static bool IsPlain(string text) => text.Length > 0 && PlainText.Of(text, LongestName) == text;

    private static bool IsPause(Duration? span) =>
        span is null || (span.Seconds >= 0 && span.Seconds <= LongestPause.TotalSeconds && span.Nanos is >= 0 and < 1_000_000_000);

    // What Timestamp itself accepts: years 1 to 9999.
    private static bool IsTime(Timestamp at) => at.Seconds is >= -62_135_596_800 and <= 253_402_300_799 && at.Nanos is >= 0 and < 1_000_000_000;

    private static OperatorException Wrong(string what) => new(ExitCode.Usage, what, "use an agentctl of the agent's version: agentctl version");

    [GeneratedRegex(@"\A[A-Za-z0-9-]{1,59}\z")]
    private static partial Regex IdPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9-]{1,64}\z")]
    private static partial Regex RequestPattern();
}

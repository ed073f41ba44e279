using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;
using State = Agent.V1.Rollout.Types.State;

namespace Agent.Cli.Rendering;

/// <summary>A rollout as lines, one for each thing that happens: <c>web1  flip</c>.</summary>
internal sealed class RolloutText(Terminal terminal)
{
    private readonly Dictionary<string, DateTimeOffset> begun = [];
    private int width;
    private int batches;

    public void Show(RolloutReport happened)
    {
        switch (happened)
        {
            case RolloutReport.Changed(var rollout, var progress):
                if (batches == 0) Begin(rollout, progress);
                else terminal.Line(new Piece($"rollout {rollout.Id}", Tone.Strong), $"  {RolloutWords.Of(rollout.State)}{(rollout.Reason.Length > 0 ? $": {rollout.Reason}" : "")}");
                break;
            case RolloutReport.Began(var batch, var hosts):
                terminal.Line(batch > 0 ? $"batch {batch} of {batches}: {string.Join(", ", hosts)}" : $"going back: {string.Join(", ", hosts)}");
                break;
            case RolloutReport.Went(var host, { KindCase: DeploymentEvent.KindOneofCase.Started } went):
                begun[host] = went.At.ToDateTimeOffset();
                Line(host, Deploying(went.Started));
                break;
            case RolloutReport.Went(var host, { KindCase: DeploymentEvent.KindOneofCase.Step } went) when StepWord(went.Step) is { } word:
                Line(host, word);
                break;
            case RolloutReport.Lost(var host, var why):
                Line(host, new Piece($"connection lost, asking again: {why}", Tone.Bad));
                break;
            case RolloutReport.Ended ended:
                Line(ended.Host, Outcome(ended.Stand), Took(ended), ended.Why.Length > 0 ? $": {ended.Why}" : "");
                break;
            case RolloutReport.Settling(var batch, var span):
                terminal.Line($"batch {batch} of {batches} must stay healthy for {Human.Span(span)}");
                break;
            case RolloutReport.Ailing(var host, var stand, var why):
                Line(host, Outcome(stand), $": {why}");
                break;
        }
    }

    /// <summary>The first words of a rollout: what goes where, and which hosts do not take part.</summary>
    public static IEnumerable<Piece[]> Heading(Rollout rollout)
    {
        RolloutPlan plan = rollout.Plan;
        int hosts = plan.Batches.Sum(batch => batch.Hosts.Count);
        string what = plan.Rollback ? $"back to {(plan.Version.Length > 0 ? plan.Version : "the release before")}" : plan.Version;
        yield return
        [
            new Piece($"rollout {rollout.Id}", Tone.Strong),
            $"  {rollout.App} {what} on {hosts} {(hosts == 1 ? "host" : "hosts")} in {plan.Batches.Count} {(plan.Batches.Count == 1 ? "batch" : "batches")}, driven by {rollout.Driver}",
        ];
        foreach (string skipped in plan.Skipped) yield return [new Piece($"left out  {skipped}", Tone.Weak)];
    }

    /// <summary><c>6 live, 1 rolled back, 3 waiting</c>.</summary>
    public static string Summary(RolloutProgress progress) => string.Join(", ", progress.Stands.Values.CountBy(stand => stand).OrderBy(count => count.Key).Reverse()
        .OrderBy(count => count.Key == Stand.Waiting).Select(count => $"{count.Value} {RolloutProgress.Word(count.Key)}"));

    public static Piece Outcome(Stand stand) => new(RolloutProgress.Word(stand), stand switch
    {
        Stand.Live or Stand.Already or Stand.WentBack => Tone.Good,
        _ when RolloutProgress.IsFailure(stand) => Tone.Bad,
        Stand.Waiting => Tone.Weak,
        _ => Tone.Plain,
    });

    /// <summary>What a step's event says of where a host is; null: nothing new.</summary>
    public static string? StepWord(StepEvent step) => step.Phase switch
    {
        StepEvent.Types.Phase.Started => step.Step,
        StepEvent.Types.Phase.Failed => $"{step.Step} failed: {step.Detail}",
        StepEvent.Types.Phase.UndoStarted => $"back: {step.Step}",
        StepEvent.Types.Phase.UndoFailed => $"back: {step.Step} failed: {step.Detail}",
        _ => null,
    };

    public static string Deploying(Deployment deployment) =>
        deployment.FromVersion.Length > 0 ? $"{deployment.FromVersion} -> {deployment.ToVersion}" : $"{deployment.ToVersion}, the first";

    private void Begin(Rollout rollout, RolloutProgress progress)
    {
        batches = rollout.Plan.Batches.Count;
        width = rollout.Plan.Batches.SelectMany(batch => batch.Hosts).Max(host => host.Name.Length);
        foreach (Piece[] line in Heading(rollout)) terminal.Line(line);
        if (progress.Stands.Values.Any(stand => stand != Stand.Waiting)) terminal.Line($"so far  {Summary(progress)}");
    }

    private void Line(string host, params ReadOnlySpan<Piece> pieces) => terminal.Line([host.PadRight(width), "  ", .. pieces]);

    private string Took(RolloutReport.Ended ended) =>
        ended.Deployment?.Finished is { } finished && begun.Remove(ended.Host, out DateTimeOffset at) && finished.ToDateTimeOffset() >= at ? $" after {Human.Span(finished.ToDateTimeOffset() - at)}" : "";
}

using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class WhyCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string?>("ID") { Description = "a deployment; left out: the newest that did not end live", Arity = ArgumentArity.ZeroOrOne };
        var bundle = new Option<string?>("--bundle") { Description = "write all that the agent knows into a .tar.gz for a colleague instead", HelpName = "FILE" };
        return verbs.Asking(
            new Verb("why", "Shows why a deployment failed: the cause, and what was seen before anything was cleaned up.",
                "agentctl why", "agentctl why shop-12", "agentctl why --app shop --bundle why.tar.gz"),
            [id, verbs.App, bundle],
            AnswerAsync,
            (call, cancellationToken) => call.Parsed.GetValue(id) is not null ? FanOut.OneOnly(AnswerAsync, "a deployment is of one host")(call, cancellationToken)
                : call.Parsed.GetValue(bundle) is not null ? FanOut.OneOnly(AnswerAsync, "a bundle is of one host")(call, cancellationToken)
                : FanOut.EachAsync(call, AnswerAsync, cancellationToken));

        Task<int> AnswerAsync(AgentCall call, CancellationToken cancellationToken)
        {
            var request = new GetDeploymentRequest { App = call.App, Deployment = call.Parsed.GetValue(id) ?? "" };
            return call.Parsed.GetValue(bundle) is { Length: > 0 } file ? WhyBundle.WriteAsync(call, request, file, cancellationToken) : RunAsync(call, request, cancellationToken);
        }
    }

    private static async Task<int> RunAsync(AgentCall call, GetDeploymentRequest request, CancellationToken cancellationToken)
    {
        GetDeploymentResponse why = await call.Agent.AskAsync((client, options) => client.GetDeploymentAsync(request, options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(why, JsonMessages.Why));
        else Write(call, why);
        return 0;
    }

    private static void Write(AgentCall call, GetDeploymentResponse why)
    {
        Terminal terminal = call.Terminal;
        Deployment deployment = why.Deployment;
        terminal.Line(deployment.Outcome switch
        {
            Outcome.Live => $"{deployment.App} {deployment.ToVersion} is live",
            Outcome.Unspecified => $"{deployment.App} {deployment.ToVersion} is under way, at {Human.OrDash(deployment.Step)}",
            _ => why.Verdict.Length > 0 ? why.Verdict : DeploymentText.Failure(deployment),
        });
        terminal.Line($"deployment {deployment.Id}, {deployment.Trigger} asked by {DeploymentText.By(deployment)}, {Human.Time(deployment.Started)}, took {Human.Took(deployment.Started, deployment.Finished)}");
        Heading(terminal, "steps", why.Steps.Count);
        foreach (StepEvent step in why.Steps)
        {
            bool failed = step.Phase is StepEvent.Types.Phase.Failed or StepEvent.Types.Phase.UndoFailed;
            terminal.Line($"  {step.Step,-8}  ", new Piece(JsonMessages.Word(step.Phase), failed ? Tone.Bad : Tone.Plain),
                step.Took is null ? "" : $"  {Human.Span(step.Took.ToTimeSpan())}", step.Detail.Length > 0 ? $"  {step.Detail}" : "");
        }
        if (why.Evidence is { } evidence) Write(terminal, evidence);
        if (why.Quarantined) terminal.Line($"{deployment.ToVersion} is quarantined here: it is not deployed again by itself");
        if (deployment.Outcome is Outcome.Live or Outcome.Unspecified) return;
        terminal.Line(new Piece("fix:   ", Tone.Strong), call.Hint(Fix(deployment, why.Quarantined)));
    }

    private static string Fix(Deployment deployment, bool quarantined) => (deployment, quarantined) switch
    {
        ({ Remedy.Length: > 0 }, _) => deployment.Remedy,
        ({ Outcome: Outcome.NeedsOperator }, _) => $"mend what the evidence shows, then let the agent go on: agentctl resume --app {deployment.App}",
        (_, true) => $"publish a new version, or allow this one again: agentctl unquarantine {deployment.ToVersion} --app {deployment.App} --reason WHY",
        _ => $"deploy it again when the cause is mended: agentctl deploy {deployment.ToVersion} --app {deployment.App}",
    };

    private static void Write(Terminal terminal, Evidence evidence)
    {
        Heading(terminal, "checks", evidence.Checks.Count);
        foreach (CheckResult check in evidence.Checks) Write(terminal, check);
        Heading(terminal, "units", evidence.Units.Count);
        foreach (UnitEvidence unit in evidence.Units) Write(terminal, unit);
        Heading(terminal, "hooks", evidence.Hooks.Count);
        foreach (HookEvidence hook in evidence.Hooks)
        {
            terminal.Line($"  {hook.Name}  ", hook.Cause.Length > 0 ? new Piece(hook.Cause, Tone.Bad) : new Piece("succeeded", Tone.Good));
            foreach (string line in hook.Output) terminal.Line($"    {line}");
        }
        Heading(terminal, "changed since what ran before", evidence.Changed.Count);
        foreach (string line in evidence.Changed) terminal.Line($"  {line}");
        Heading(terminal, "the release before, on the way back", evidence.OldChecks.Count + evidence.OldUnits.Count);
        foreach (CheckResult check in evidence.OldChecks) Write(terminal, check);
        foreach (UnitEvidence unit in evidence.OldUnits) Write(terminal, unit);
        Heading(terminal, "log", evidence.Log.Count);
        foreach (LogLine line in evidence.Log) terminal.Line($"  {LogsCommand.Text(line)}");
        terminal.Line($"host  {Known(evidence.DiskFreeBytes)} disk free, {Known(evidence.MemoryAvailableBytes)} memory available");
    }

    private static void Write(Terminal terminal, CheckResult check) =>
        terminal.Line("  ", check.Passed ? new Piece("pass", Tone.Good) : new Piece("FAIL", Tone.Bad), $"  {check.Name}  {check.Detail}".TrimEnd());

    private static void Write(Terminal terminal, UnitEvidence unit) => terminal.Line(
        $"  {unit.Name}  {unit.ActiveState} ({unit.SubState}), result {unit.Result}", unit.Exit.Length > 0 ? $", {unit.Exit}" : "", unit.Restarts > 0 ? $", restarted {unit.Restarts} times" : "");

    private static string Known(long bytes) => bytes < 0 ? "unknown" : Human.Size(bytes);

    private static void Heading(Terminal terminal, string text, int count)
    {
        if (count > 0) terminal.Line(new Piece(text, Tone.Strong));
    }
}

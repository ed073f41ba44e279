using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class WhyCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string?>("ID") { Description = "a deployment; left out: the newest that did not end live", Arity = ArgumentArity.ZeroOrOne };
        return verbs.Asking(
            new Verb("why", "Shows why a deployment failed: the cause, and what was seen before anything was cleaned up.", "agentctl why", "agentctl why 7f3a91", "agentctl why --app shop"),
            [id, verbs.App],
            (call, cancellationToken) => RunAsync(call, new GetDeploymentRequest { App = call.App, Deployment = call.Parsed.GetValue(id) ?? "" }, cancellationToken));
    }

    private static async Task<int> RunAsync(AgentCall call, GetDeploymentRequest request, CancellationToken cancellationToken)
    {
        GetDeploymentResponse why = await call.Agent.AskAsync((client, options) => client.GetDeploymentAsync(request, options), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(why, JsonMessages.Why));
        else Write(call.Terminal, why);
        return 0;
    }

    private static void Write(Terminal terminal, GetDeploymentResponse why)
    {
        Deployment deployment = why.Deployment;
        terminal.Line(deployment.Outcome switch
        {
            Outcome.Live => $"{deployment.App} {deployment.ToVersion} is live",
            Outcome.Unspecified => $"{deployment.App} {deployment.ToVersion} is under way, at {Human.OrDash(deployment.Step)}",
            _ => DeploymentText.Failure(deployment),
        });
        terminal.Line($"deployment {deployment.Id}, {deployment.Trigger} asked by {deployment.By}, {Human.Time(deployment.Started)}, took {Human.Took(deployment.Started, deployment.Finished)}");
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
        terminal.Line(new Piece("fix:   ", Tone.Strong), deployment.Remedy.Length > 0 ? deployment.Remedy : $"publish a new version, or try this one again: agentctl deploy {deployment.ToVersion} --force --app {deployment.App}");
    }

    private static void Write(Terminal terminal, Evidence evidence)
    {
        Heading(terminal, "checks", evidence.Checks.Count);
        foreach (CheckResult check in evidence.Checks)
            terminal.Line("  ", check.Passed ? new Piece("pass", Tone.Good) : new Piece("FAIL", Tone.Bad), $"  {check.Name}  {check.Detail}".TrimEnd());
        Heading(terminal, "units", evidence.Units.Count);
        foreach (UnitEvidence unit in evidence.Units)
        {
            terminal.Line($"  {unit.Name}  {unit.ActiveState} ({unit.SubState}), result {unit.Result}", unit.Exit.Length > 0 ? $", {unit.Exit}" : "",
                unit.Restarts > 0 ? $", restarted {unit.Restarts} times" : "");
        }
        Heading(terminal, "log", evidence.Log.Count);
        foreach (LogLine line in evidence.Log) terminal.Line($"  {LogsCommand.Text(line)}");
        terminal.Line($"host  {Human.Size(evidence.DiskFreeBytes)} disk free, {Human.Size(evidence.MemoryAvailableBytes)} memory available");
    }

    private static void Heading(Terminal terminal, string text, int count)
    {
        if (count > 0) terminal.Line(new Piece(text, Tone.Strong));
    }
}

using Agent.V1;

namespace Agent.Cli.Rendering;

/// <summary>
/// A deployment as it happens, on one line that grows: <c>shop  v2.3.1 -> v2.4.0  fetched, staged, prepared, flipped, restarted, checking</c>;
/// then its outcome.
/// </summary>
internal sealed class DeploymentText(Terminal terminal)
{
    private bool open;        // a line has begun
    private bool anyWord;     // and holds a word already
    private bool goingBack;

    public void Show(DeploymentEvent happened)
    {
        switch (happened.KindCase)
        {
            case DeploymentEvent.KindOneofCase.Started:
                Begin(happened.Started);
                break;
            case DeploymentEvent.KindOneofCase.Step:
                Show(happened.Step);
                break;
            case DeploymentEvent.KindOneofCase.Progress when happened.Progress.Total > 0:
                terminal.Progress($"  {Human.Size(happened.Progress.Done)} of {Human.Size(happened.Progress.Total)}");
                break;
            case DeploymentEvent.KindOneofCase.Progress:
                terminal.Progress($"  {happened.Progress.Message}");
                break;
            case DeploymentEvent.KindOneofCase.Finished:
                Finish(happened.Finished);
                break;
        }
    }

    /// <summary>Ends a line that is still open.</summary>
    public void Break()
    {
        if (open) terminal.Line();
        open = false;
    }

    /// <summary>What failed and what became of it, as one sentence.</summary>
    public static string Failure(Deployment deployment)
    {
        string what = deployment.Step switch
        {
            _ when deployment.Cause.StartsWith("cancelled by ", StringComparison.Ordinal) => "was not deployed",
            "fetch" => "could not be fetched",
            "stage" => "could not be laid out",
            "prepare" => "could not be prepared",
            "backup" => "was not deployed",
            "migrate" => "could not migrate the database",
            "flip" => "could not be made current",
            "restart" => "did not start",
            "gate" => "did not stay healthy",
            _ => "was not deployed",
        };
        string after = deployment.Outcome switch
        {
            Outcome.RolledBack when deployment.FromVersion.Length > 0 => $"rolled back, {deployment.FromVersion} is healthy",
            Outcome.RolledBack => "taken away again, there was no release before",
            Outcome.NeedsOperator when deployment.StuckAtSchema => "it was left in place: a person must choose, agentd does nothing more by itself",
            Outcome.NeedsOperator when deployment.FromVersion.Length > 0 => $"{deployment.FromVersion} does not come back either: a person is needed, agentd does nothing more by itself",
            Outcome.NeedsOperator => "it could not be taken away again: a person is needed, agentd does nothing more by itself",
            _ => "nothing that runs was touched",
        };
        return $"{deployment.App} {deployment.ToVersion} {what}{(deployment.Cause.Length > 0 ? $": {deployment.Cause}" : "")}; {after}";
    }

    /// <summary>Evidence first where something was touched; else what the agent advises.</summary>
    public static string Remedy(Deployment deployment) => deployment.Remedy.Length > 0 && deployment.Outcome != Outcome.RolledBack
        ? deployment.Remedy
        : $"agentctl why --app {deployment.App}";

    /// <summary>Who asked for it, and in which rollout.</summary>
    public static string By(Deployment deployment) => deployment.Rollout.Length > 0 ? $"{deployment.By}, rollout {deployment.Rollout}" : deployment.By;

    private void Begin(Deployment deployment)
    {
        terminal.Write(new Piece(deployment.App, Tone.Strong), deployment.FromVersion.Length > 0
            ? $"  {deployment.FromVersion} -> {deployment.ToVersion}  "
            : $"  {deployment.ToVersion}, the first  ");
        open = true;
    }

    private void Show(StepEvent step)
    {
        switch (step.Phase)
        {
            case StepEvent.Types.Phase.Started when step.Step == "gate":
                Word("checking");
                break;
            case StepEvent.Types.Phase.Done when Done(step) is { } word:
                Word(word);
                break;
            case StepEvent.Types.Phase.UndoStarted when !goingBack:
                goingBack = true;
                Word("going back");
                break;
        }
    }

    private void Finish(Deployment deployment)
    {
        if (deployment.Outcome != Outcome.Live)
        {
            Break();
            return;
        }
        if (!open)   // it is so already: there was no step
        {
            terminal.Line(new Piece(deployment.App, Tone.Strong), $"  {deployment.ToVersion}  ", new Piece("live", Tone.Good), $" since {Human.Time(deployment.Finished)}");
            return;
        }
        Word("live", Tone.Good);
        terminal.Line($" after {Human.Took(deployment.Started, deployment.Finished)}");
        open = false;
    }

    private void Word(string word, Tone tone = Tone.Plain)
    {
        terminal.Write(anyWord ? ", " : "", new Piece(word, tone));
        anyWord = true;
        open = true;
    }

    private static string? Done(StepEvent step) => step.Step switch
    {
        "fetch" => "fetched",
        "stage" => "staged",
        "prepare" => "prepared",
        "backup" => step.Detail.Length > 0 ? "backed up" : null,
        "migrate" => "migrated",
        "contract" => "contracted",
        "flip" => "flipped",
        "restart" => "restarted",
        _ => null,   // gate says "checking" when it begins; sweep is of no interest
    };
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>What this host keeps of rollouts, and what it refuses by it. It decides nothing else: whoever drives does.</summary>
internal sealed partial class DeploymentEngine
{
    /// <summary>Keeps a rollout as it is now, unless a revision as high is kept already, or it is over.</summary>
    /// <returns>What is kept now; the same revision of the same driver once more is as good as kept.</returns>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: under this id another plan is kept.</exception>
    public (bool Kept, Rollout Known) KeepRollout(AppName app, Rollout rollout)
    {
        bool kept = false;
        log.Record(state =>
        {
            Rollout? known = Find(state.App(app), rollout.Id);
            kept = known is null || (rollout.Revision > known.Revision && !known.IsOver)
                || (rollout.Revision == known.Revision && (rollout.State, rollout.Driver, rollout.Reason) == (known.State, known.Driver, known.Reason));
            if (known is not null && !known.Plan.AsSpan().SequenceEqual(rollout.Plan))
                throw new OperatorException(ExitCode.Refused, $"this host knows rollout {rollout.Id} with another plan", "a plan never changes: begin a new rollout");
            if (!kept || rollout.Revision == known?.Revision) return null;
            return new JournalRecord.RolloutKept(
                time.GetUtcNow(), app.Value, rollout.Id, rollout.Revision, rollout.State, rollout.Driver, rollout.Reason, rollout.Started, known is null ? rollout.Plan : null);
        });
        return (kept, Find(State(app), rollout.Id)!);
    }

    private static Rollout? Find(AppState state, string rollout) => state.Rollouts.Find(kept => kept.Id == rollout);

    /// <summary>The deployment that this request began before; null: none, as far as this host remembers.</summary>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: it began something else.</exception>
    private static Deployment? BegunBy(DeploymentRequest request, AgentState state)
    {
        if (request.Request is not { } id || state.App(request.App).Deployments.FindLast(d => d.Request == id) is not { } begun) return null;
        if (begun.Trigger != request.Trigger || (request.Wanted is Track.Exactly exactly && exactly.Version.Text != begun.To.Version))
            throw new OperatorException(ExitCode.Refused, $"request {id} began {begun.Id}, which is something else: {begun.To.Version}", "give each request an id of its own");
        return begun;
    }

    /// <summary>A driver that was cut off and comes back must start nothing that its successor does not know of.</summary>
    private static void RefuseTurn(DeploymentRequest request, AgentState state)
    {
        if (request.Turn is not { } turn) return;
        Rollout known = Find(state.App(request.App), turn.Id) ?? throw new OperatorException(
            ExitCode.Refused, $"this host does not know rollout {turn.Id}", $"put it on its hosts: agentctl rollout resume {turn.Id}");
        if (known.IsOver)
            throw new OperatorException(ExitCode.Refused, $"rollout {known.Id} is over: {Word(known)}", "begin a new one: agentctl deploy");
        if (known.Revision != turn.Revision)
            throw new OperatorException(
                ExitCode.Refused, $"rollout {turn.Id} is at revision {known.Revision} here, not {turn.Revision}: {Word(known)}", $"look at it: agentctl rollout show {turn.Id}");
        if (known.State != RolloutState.Running && !(known.State == RolloutState.RollingBack && request.Trigger == Trigger.Rollback))
            throw new OperatorException(ExitCode.Refused, $"rollout {turn.Id} does not run: {Word(known)}", $"go on with it: agentctl rollout resume {turn.Id}");
    }

    private static string Word(Rollout rollout)
    {
        string state = rollout.State switch
        {
            RolloutState.Running => "driven",
            RolloutState.RollingBack => "rolled back",
            _ => rollout.State.ToString().ToLowerInvariant(),
        };
        return $"{state} by {rollout.Driver}{(rollout.Reason.Length > 0 ? $" ({rollout.Reason})" : "")}";
    }
}

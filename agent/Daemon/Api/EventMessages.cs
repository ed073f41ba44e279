using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Daemon.Api;

/// <summary>The events of one deployment, in order, as those of agent.v1: a step's end gets the time that it took.</summary>
/// <param name="find">The deployment as it is now, by id.</param>
internal sealed class EventMessages(Func<string, Deployment> find)
{
    private readonly Dictionary<Step, DateTimeOffset> started = [];

    /// <returns>Null for what is of no interest outside.</returns>
    public V1.DeploymentEvent? Of(DeploymentEvent happened) => happened switch
    {
        DeploymentEvent.Progress progress => new V1.DeploymentEvent
        {
            At = Messages.Of(progress.At),
            Deployment = progress.Deployment,
            Progress = new V1.ProgressEvent { Step = progress.Step.Word(), Message = progress.Message, Done = progress.Done, Total = progress.Total },
        },
        DeploymentEvent.Recorded { Record: JournalRecord.OfDeployment record } => Of(record),
        _ => null,
    };

    /// <summary>The steps among the records, as <c>why</c> lists them: ends only, and what has no end yet.</summary>
    public static IEnumerable<V1.StepEvent> Steps(Deployment deployment)
    {
        var events = new EventMessages(_ => deployment);
        V1.StepEvent? open = null;
        foreach (JournalRecord.OfDeployment record in deployment.Records)
        {
            if (events.Step(record) is not { } step) continue;
            bool begins = step.Phase is V1.StepEvent.Types.Phase.Started or V1.StepEvent.Types.Phase.UndoStarted;
            if (begins && open is not null) yield return open;   // cut short by a crash
            open = begins ? step : null;
            if (!begins) yield return step;
        }
        if (open is not null) yield return open;
    }

    private V1.DeploymentEvent? Of(JournalRecord.OfDeployment record)
    {
        var message = new V1.DeploymentEvent { At = Messages.Of(record.At), Deployment = record.Deployment };
        switch (record)
        {
            case JournalRecord.DeploymentStarted begun:
                message.Started = new V1.Deployment
                {
                    Id = begun.Deployment,
                    App = begun.App,
                    FromVersion = begun.From?.Version ?? "",
                    ToVersion = begun.To.Version,
                    ToDigest = begun.To.Digest,
                    Trigger = Messages.Word(begun.Trigger),
                    By = begun.By,
                    Started = Messages.Of(begun.At),
                    Request = begun.Request ?? "",
                    Rollout = begun.Rollout ?? "",
                };
                return message;
            case JournalRecord.DeploymentFinished:
                message.Finished = Messages.Of(find(record.Deployment));
                return message;
            case JournalRecord.Interrupted:
                message.Progress = new V1.ProgressEvent { Message = "agentd was started again during this deployment" };
                return message;
            default:
                if (Step(record) is not { } step) return null;
                message.Step = step;
                return message;
        }
    }

    private V1.StepEvent? Step(JournalRecord.OfDeployment record) => record switch
    {
        JournalRecord.StepStarted r => Begin(r.Step, r.At, V1.StepEvent.Types.Phase.Started),
        JournalRecord.StepDone r => End(r.Step, r.At, V1.StepEvent.Types.Phase.Done, r.Detail),
        JournalRecord.StepFailed r => End(r.Step, r.At, V1.StepEvent.Types.Phase.Failed, r.Cause),
        JournalRecord.UndoStarted r => Begin(r.Step, r.At, V1.StepEvent.Types.Phase.UndoStarted),
        JournalRecord.UndoDone r => End(r.Step, r.At, V1.StepEvent.Types.Phase.UndoDone, null),
        JournalRecord.UndoFailed r => End(r.Step, r.At, V1.StepEvent.Types.Phase.UndoFailed, r.Cause),
        _ => null,
    };

    private V1.StepEvent Begin(Step step, DateTimeOffset at, V1.StepEvent.Types.Phase phase)
    {
        started[step] = at;
        return new V1.StepEvent { Step = step.Word(), Phase = phase };
    }

    private V1.StepEvent End(Step step, DateTimeOffset at, V1.StepEvent.Types.Phase phase, string? detail)
    {
        var end = new V1.StepEvent { Step = step.Word(), Phase = phase, Detail = detail ?? "" };
        // Wall-clock times from the journal: a clock step may have turned them round.
        if (started.TryGetValue(step, out DateTimeOffset begun) && at >= begun) end.Took = Duration.FromTimeSpan(at - begun);
        return end;
    }
}

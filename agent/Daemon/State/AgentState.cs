using System.Collections.Immutable;
using Agent.Artifacts;
using static Agent.Daemon.State.JournalRecord;

namespace Agent.Daemon.State;

/// <summary>All that the journal tells, folded record by record. Immutable: a reader's copy never changes under it.</summary>
/// <param name="AppOf">App of each deployment, by the deployment's id.</param>
internal sealed record AgentState(ImmutableDictionary<string, AppState> Apps, ImmutableDictionary<string, string> AppOf)
{
    /// <summary>Releases that an app's state remembers as good, and as bad: far more than any host holds, so that the journal stays bounded.</summary>
    private const int Remembered = 500;

    /// <summary>Rollouts that an app's state remembers. A plan for a thousand hosts takes some 100 KB.</summary>
    public const int RememberedRollouts = 20;

    public static readonly AgentState Empty = new(ImmutableDictionary<string, AppState>.Empty, ImmutableDictionary<string, string>.Empty);

    public AppState App(AppName name) => Apps.GetValueOrDefault(name.Value) ?? AppState.Empty(name);

    public Deployment? Find(string id) => AppOf.TryGetValue(id, out string? app) ? Apps[app].Deployments.FindLast(d => d.Id == id) : null;

    public AgentState Apply(JournalRecord record)
    {
        switch (record)
        {
            case DeploymentStarted s:
                AppState before = App(new AppName(s.App));
                var started = new Deployment(s.Deployment, before.Name, s.From, s.FromGeneration, s.To, s.Trigger, s.By, s.At, null, null, null, null, null, [s]);
                return new AgentState(
                    Apps.SetItem(s.App, before with { Deployments = before.Deployments.Add(started) }), AppOf.SetItem(s.Deployment, s.App));
            case OfApp r:
                return this with { Apps = Apps.SetItem(r.App, Apply(App(new AppName(r.App)), r)) };
            case OfDeployment r when AppOf.TryGetValue(r.Deployment, out string? name):
                AppState app = Apps[name];
                int index = app.Deployments.FindLastIndex(d => d.Id == r.Deployment);
                Deployment deployment = Apply(app.Deployments[index], r);
                app = app with { Deployments = app.Deployments.SetItem(index, deployment) };
                return this with
                {
                    Apps = Apps.SetItem(name, r switch
                    {
                        Committed => Commit(app, deployment, record.At),
                        DeploymentFinished finished => Finish(app, deployment, finished),
                        _ => app,
                    }),
                };
            default:
                return this;   // of a deployment that compaction dropped
        }
    }

    private static AppState Apply(AppState app, OfApp record) => record switch
    {
        Held r => app with { Hold = new Hold(r.By, r.Reason, r.At) },
        Resumed => app with { Hold = null, HeldAt = null, PassedOver = null, Attention = null },
        Pinned r => app with { Pin = new Pin(r.Version, r.By, r.Reason, r.At) },
        Unpinned => app with { Pin = null },
        UnsignedPushed r => app.Unsigned is null ? app with { Unsigned = new UnsignedPush(r.Version, r.By, r.At) } : app,
        Unquarantined r => app with { Quarantined = app.Quarantined.Remove(r.Digest) },
        RolloutKept r => app with { Rollouts = Keep(app.Rollouts, r) },
        Compacted r => app with
        {
            Dropped = r.Deployments,
            Proved = [.. r.Proved],
            Quarantined = r.Quarantined.ToImmutableDictionary(q => q.Release.Digest),
            HeldAt = r.HeldAt,
            PassedOver = r.PassedOver,
            Attention = r.Attention,
            Hold = r.Hold,
            Pin = r.Pin,
            Unsigned = r.Unsigned,
        },
        _ => app,
    };

    private static ImmutableList<Rollout> Keep(ImmutableList<Rollout> rollouts, RolloutKept record)
    {
        int index = rollouts.FindIndex(rollout => rollout.Id == record.Id);
        var kept = new Rollout(
            record.Id, record.Revision, record.State, record.Driver, record.Reason, record.Started, record.At, record.Plan ?? (index < 0 ? [] : rollouts[index].Plan));
        if (index >= 0) return rollouts.SetItem(index, kept);
        return (rollouts.Count < RememberedRollouts ? rollouts : rollouts.RemoveAt(0)).Add(kept);
    }

    private static Deployment Apply(Deployment deployment, OfDeployment record)
    {
        deployment = deployment with { Records = deployment.Records.Add(record) };
        return record switch
        {
            StepStarted r => deployment with { Step = r.Step },
            StepFailed { Step: not (Step.Contract or Step.Sweep) } r when deployment.Cause is null => deployment with { Step = r.Step, Cause = r.Cause, Remedy = r.Remedy },
            Interrupted when deployment.Cause is null && !IsCommitted(deployment) => deployment with
            {
                Cause = $"agentd stopped during {deployment.Step?.Word() ?? "start"} (power cut, crash or restart)",
                Remedy = "deploy again",
            },
            UndoFailed { Step: Step.Migrate } r => deployment with { Cause = $"{deployment.Cause}; {r.Cause}", Remedy = r.Remedy ?? deployment.Remedy },
            UndoFailed r when r.Step is Step.Flip or Step.Restart or Step.Gate => deployment with { Cause = $"{deployment.Cause}; going back failed: {r.Cause}" },
            DeploymentFinished r => deployment with { Finished = r.At, Outcome = r.Outcome },
            _ => deployment,
        };
    }

    private static ImmutableDictionary<string, Quarantine> WithRoom(ImmutableDictionary<string, Quarantine> all) =>
        all.Count < Remembered ? all : all.Remove(all.Values.MinBy(q => q.Since)!.Release.Digest);

    private static bool IsCommitted(Deployment deployment) => deployment.Records.Exists(r => r is Committed);

    private static AppState Commit(AppState app, Deployment deployment, DateTimeOffset at) => app with
    {
        Proved = [new ProvedRelease(deployment.To, deployment.Id, at) { Unsigned = deployment.Unsigned }, .. app.Proved.Where(p => p.Release.Digest != deployment.To.Digest).Take(Remembered - 1)],
        Quarantined = app.Quarantined.Remove(deployment.To.Digest),
        HeldAt = deployment.Trigger == Trigger.Rollback ? deployment.From?.Version : null,
        PassedOver = deployment.Trigger == Trigger.Deploy ? deployment.PassedOver : null,
        Attention = deployment.Trigger == Trigger.Track ? app.Attention : null,
    };

    private static AppState Finish(AppState app, Deployment deployment, DeploymentFinished finished) => app with
    {
        Attention = finished.Outcome == Outcome.NeedsOperator ? new Attention(deployment.Id, deployment.To.Version, deployment.Cause ?? "") : app.Attention,
        Quarantined = finished.Quarantine
            ? WithRoom(app.Quarantined).SetItem(deployment.To.Digest, new Quarantine(deployment.To, deployment.Cause ?? "", deployment.Id, finished.At))
            : app.Quarantined,
    };
}

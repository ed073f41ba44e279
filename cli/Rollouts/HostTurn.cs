using Agent.Artifacts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>How a host's turn ended.</summary>
/// <param name="Deployment">Null: none began, or it is not known.</param>
/// <param name="Why">For people; empty where it ended well.</param>
internal sealed record TurnEnd(Stand Stand, Deployment? Deployment, string Why);

/// <summary>One host's turn in a rollout, forward or back: begun once, asked for until its outcome is known or the host stays lost.</summary>
internal sealed class HostTurn(IRolloutHost host, RolloutTiming timing, TimeProvider time, Action<RolloutReport> report)
{
    /// <param name="told">The host keeps this revision already.</param>
    public async Task<TurnEnd> ForwardAsync(Rollout rollout, bool told, CancellationToken cancellationToken)
    {
        RolloutPlan plan = rollout.Plan;
        var turn = new RolloutTurn { Id = rollout.Id, Revision = rollout.Revision };
        if (plan.Rollback)
        {
            var back = new RollbackRequest { App = rollout.App, Version = plan.Version, Wait = true, Request = rollout.Id, Rollout = turn };
            return await RunAsync(rollout, told, token => host.RollBackAsync(back, token), EndOf, cancellationToken);
        }
        var request = new DeployRequest
        {
            App = rollout.App,
            Version = plan.Version,
            Force = plan.Force,
            Pushed = plan.Pushed,
            Wait = true,
            Request = rollout.Id,
            Rollout = turn,
        };
        return await RunAsync(rollout, told, token => host.DeployAsync(request, token), EndOf, cancellationToken);
    }

    /// <param name="told">The host keeps this revision already.</param>
    /// <param name="before">The version that the host goes back to; empty: the one before.</param>
    public Task<TurnEnd> BackAsync(Rollout rollout, bool told, string before, CancellationToken cancellationToken)
    {
        var request = new RollbackRequest
        {
            App = rollout.App,
            Version = before,
            Expect = rollout.Plan.Version,   // somebody may have put another one there since
            Wait = true,
            Request = rollout.Id + RolloutWords.Back,
            Rollout = new RolloutTurn { Id = rollout.Id, Revision = rollout.Revision },
        };
        return RunAsync(rollout, told, token => host.RollBackAsync(request, token), BackEndOf, cancellationToken);
    }

    /// <summary>Where a host stands by what became of its turn; null: it had none.</summary>
    public static Stand StandOf(HostRollout? known) => known switch
    {
        { Back: { } back } => BackEndOf(back).Stand,
        { Deployment: { } turn } => EndOf(turn).Stand,
        _ => Stand.Waiting,
    };

    private static TurnEnd EndOf(Deployment deployment) => new(
        deployment.Outcome switch
        {
            Outcome.Unspecified => Stand.UnderWay,
            Outcome.Live => Stand.Live,
            Outcome.RolledBack => Stand.RolledBack,
            Outcome.Refused => Stand.Refused,
            _ => Stand.NeedsOperator,
        },
        deployment, deployment.Cause);

    private static TurnEnd BackEndOf(Deployment deployment) => new(
        deployment.Outcome switch
        {
            Outcome.Unspecified => Stand.GoingBack,
            Outcome.Live => Stand.WentBack,
            _ => Stand.NotBack,
        },
        deployment, deployment.Cause);

    private async Task<TurnEnd> RunAsync(
        Rollout rollout, bool told, Func<CancellationToken, IAsyncEnumerable<DeploymentEvent>> ask, Func<Deployment, TurnEnd> endOf, CancellationToken cancellationToken)
    {
        Deployment? last = null;
        try
        {
            await foreach (DeploymentEvent happened in new LastingStream(timing, time).FollowAsync(AskAsync, why => report(new RolloutReport.Lost(host.Name, why)), cancellationToken))
            {
                report(new RolloutReport.Went(host.Name, happened));
                last = happened.Finished ?? happened.Started ?? last;
            }
            TurnEnd end = endOf(last!);
            return end.Stand == Stand.Live && last!.Request != rollout.Id ? end with { Stand = Stand.Already } : end;
        }
        catch (HostLostException e)
        {
            return new TurnEnd(Stand.Unreachable, last, $"what became of it is not known: {e.Message}");
        }
        catch (OperatorException e)
        {
            return new TurnEnd(endOf(new Deployment { Outcome = Outcome.Refused }).Stand, null, e.Message);
        }

        async IAsyncEnumerable<DeploymentEvent> AskAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken token)
        {
            if (!told)
            {
                KeepRolloutResponse answer = await host.KeepAsync(rollout, token);
                if (!answer.Kept) throw new OperatorException(ExitCode.Refused, $"{answer.Known.Driver} has the rollout now", $"agentctl rollout show {rollout.Id}");
                told = true;
            }
            await foreach (DeploymentEvent happened in ask(token).WithCancellation(token)) yield return happened;
        }
    }
}

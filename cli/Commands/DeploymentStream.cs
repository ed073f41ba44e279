using System.Security.Cryptography;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>Follows a deployment to its outcome: what deploy, rollback and watch have in common.</summary>
internal static class DeploymentStream
{
    /// <summary>
    /// As <see cref="FollowAsync"/>, and asks a host elsewhere again where the connection was lost: under a request's id, which begins one deployment
    /// however often it is asked. An agent that does not know such ids is asked once.
    /// </summary>
    /// <param name="name">Takes the request's id.</param>
    public static async Task<int> LastingAsync(
        AgentCall call, Action<string> name, Func<CancellationToken, IAsyncEnumerable<DeploymentEvent>> ask, CancellationToken cancellationToken)
    {
        // Before it begins: an agent that is upgraded meanwhile would take the second request for a first.
        bool knowsRequests = call.Agent.Host.Address is not HostAddress.Local
            && (await call.Agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), cancellationToken)).Api >= 1;
        if (!knowsRequests) return await FollowAsync(call, ask(cancellationToken), cancellationToken);
        name(RandomNumberGenerator.GetHexString(32, lowercase: true));
        var lasting = new LastingStream(RolloutTiming.Usual, call.Time);
        return await FollowAsync(
            call, lasting.FollowAsync(token => AgentRolloutHost.Sorted(ask(token), token), why => call.Terminal.Progress($"  connection lost, asking again: {why}"), cancellationToken), cancellationToken);
    }

    /// <returns>The exit status: by outcome, or 130 where the caller stopped watching.</returns>
    /// <exception cref="OperatorException">It was refused, or the connection broke; the deployment goes on.</exception>
    public static async Task<int> FollowAsync(AgentCall call, IAsyncEnumerable<DeploymentEvent> events, CancellationToken cancellationToken)
    {
        var text = new DeploymentText(call.Terminal);
        string id = "";
        Deployment? finished = null;
        try
        {
            await foreach (DeploymentEvent happened in events.WithCancellation(cancellationToken))
            {
                if (happened.Deployment.Length > 0) id = happened.Deployment;
                if (happened.KindCase == DeploymentEvent.KindOneofCase.Finished) finished = happened.Finished;
                if (call.Json) call.Terminal.JsonLine(writer => writer.Object(happened, JsonMessages.Event));
                else text.Show(happened);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested && finished is null)
        {
            text.Break();
            if (id.Length > 0) ErrorText.Write(call.Terminal, $"stopped watching; deployment {id} goes on", call.Hint($"agentctl watch {id}"), AgentCtl.Interrupted, call.Json);
            else ErrorText.Write(call.Terminal, "stopped before agentd had said whether a deployment began", call.Hint("agentctl status"), AgentCtl.Interrupted, call.Json);
            return AgentCtl.Interrupted;
        }
        catch (HostLostException e)
        {
            text.Break();
            throw id.Length > 0 ? Lost(id, e) : e.Why;
        }
        catch (OperatorException e) when (e.Code == ExitCode.Unreachable && id.Length > 0 && finished is null)
        {
            text.Break();
            throw Lost(id, e);
        }
        if (finished is null)
        {
            text.Break();
            throw Lost(id, null);
        }
        int exit = finished.Outcome switch
        {
            Outcome.Live => (int)ExitCode.Live,
            Outcome.RolledBack => (int)ExitCode.RolledBack,
            Outcome.Refused => (int)ExitCode.Refused,
            _ => (int)ExitCode.NeedsOperator,
        };
        if (exit != 0 && !call.Json) ErrorText.Write(call.Terminal, DeploymentText.Failure(finished), call.Hint(DeploymentText.Remedy(finished)), exit, json: false);
        return exit;
    }

    private static OperatorException Lost(string id, Exception? cause) => id.Length > 0
        ? new OperatorException(ExitCode.Unreachable, $"lost the connection to agentd; deployment {id} goes on, or is finished when agentd is back", $"agentctl watch {id}", cause)
        : new OperatorException(ExitCode.Unreachable, "lost the connection to agentd before it had said whether a deployment began", "agentctl status", cause);
}

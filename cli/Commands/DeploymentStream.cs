using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>Follows a deployment to its outcome: what deploy, rollback and watch have in common.</summary>
internal static class DeploymentStream
{
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

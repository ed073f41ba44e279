using Agent.Artifacts;
using Agent.Protos;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>From what went wrong here to what goes over the wire. Only an <see cref="OperatorException"/> tells its text; a bug tells an id that the log has.</summary>
internal static class ApiErrors
{
    public static RpcException From(OperatorException e) => From(CodeOf(e.Code), e);

    public static RpcException From(CallerRefusedException e) => From(StatusCode.PermissionDenied, e.Told);

    /// <param name="call">Name of the method, for the log.</param>
    /// <param name="callerWent">The caller is no longer there to be told.</param>
    /// <param name="stopping">The agent is being stopped.</param>
    public static RpcException From(Exception e, string call, bool callerWent, bool stopping, ILogger logger)
    {
        switch (e)
        {
            case RpcException told:
                return told;
            case OperatorException told:
                return From(told);
            case CallerRefusedException refused:
                return From(refused);
            case OperationCanceledException or IOException when callerWent:
                return new RpcException(new Status(StatusCode.Cancelled, "the caller went away"));
            case OperationCanceledException when stopping:
                return new RpcException(new Status(StatusCode.Unavailable, "agentd is being stopped"));
            case IOException or UnauthorizedAccessException:
                // Full, read-only or sick: of all failures the one that people can mend with what the system says.
                logger.DiskFailed(call, e.Message);
                return From(new OperatorException(ExitCode.Refused, $"the disk does not take what agentd has to write: {e.Message}", "look at 'df -h', 'df -i' and 'mount' on the host", e));
            default:
                string id = Guid.NewGuid().ToString("N")[..12];
                logger.CallFailed(e, call, id);
                return From(StatusCode.Internal, new OperatorException(
                    ExitCode.NeedsOperator, $"agentd failed at this; its log has the reason under {id}", $"journalctl -u agentd --grep {id}", e));
        }
    }

    public static V1.OperatorError Told(OperatorException e) => new() { What = e.Message, Remedy = e.Remedy, ExitCode = (int)e.Code };

    private static RpcException From(StatusCode code, OperatorException e) => Errors.ToException(code, Told(e));

    private static StatusCode CodeOf(ExitCode code) => code switch
    {
        ExitCode.Usage => StatusCode.InvalidArgument,
        ExitCode.Unreachable => StatusCode.Unavailable,
        ExitCode.RolledBack => StatusCode.Aborted,
        _ => StatusCode.FailedPrecondition,
    };
}

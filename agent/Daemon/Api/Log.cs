using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>1100 to 1199.</summary>
internal static partial class Log
{
    [LoggerMessage(1100, LogLevel.Information, "{App}: {Wish} asked by {By}")]
    public static partial void ChangeAsked(this ILogger logger, string app, string wish, string by);

    [LoggerMessage(1101, LogLevel.Warning, "{Caller} (from {From}, role {Role}) was refused: {Wish}")]
    public static partial void CallerRefused(this ILogger logger, string caller, string from, string role, string wish);

    [LoggerMessage(1102, LogLevel.Error, "{Call} failed (error {ErrorId})")]
    public static partial void CallFailed(this ILogger logger, Exception exception, string call, string errorId);

    [LoggerMessage(1103, LogLevel.Warning, "There is no group {Group}, so nobody is {Role} through it")]
    public static partial void GroupMissing(this ILogger logger, string group, string role);

    [LoggerMessage(1104, LogLevel.Information, "Removed {Socket}, left by an agent that ended without cleaning up")]
    public static partial void StaleSocketRemoved(this ILogger logger, string socket);

    [LoggerMessage(1105, LogLevel.Information, "{App}: {Wish} asked by {By} was refused: {Cause}")]
    public static partial void ChangeRefused(this ILogger logger, string app, string wish, string by, string cause);

    [LoggerMessage(1109, LogLevel.Error, "{Call}: the disk failed: {Cause}")]
    public static partial void DiskFailed(this ILogger logger, string call, string cause);

    [LoggerMessage(1106, LogLevel.Error, "The audit records cannot be written to {Path}: {Cause}; they are in this log alone until it works again")]
    public static partial void AuditNotWritten(this ILogger logger, string path, string cause);

    [LoggerMessage(1107, LogLevel.Warning, "The file system of {Socket} knows no access lists: of all groups with a role only the first ({Group}) may connect")]
    public static partial void NoAccessLists(this ILogger logger, string socket, uint group);

    [LoggerMessage(1108, LogLevel.Information, "{App}: {Wish} asked by {By}: {Result}")]
    public static partial void ChangeDone(this ILogger logger, string app, string wish, string by, string result);
}

using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Api;

/// <summary>1100 to 1199.</summary>
internal static partial class Log
{
    [LoggerMessage(1100, LogLevel.Information, "{App}: {Wish} asked by {By}")]
    public static partial void ChangeAsked(this ILogger logger, string app, string wish, string by);

    [LoggerMessage(1101, LogLevel.Warning, "{Caller} was refused: {Wish}")]
    public static partial void CallerRefused(this ILogger logger, string caller, string wish);

    [LoggerMessage(1102, LogLevel.Error, "{Call} failed (error {ErrorId})")]
    public static partial void CallFailed(this ILogger logger, Exception exception, string call, string errorId);

    [LoggerMessage(1103, LogLevel.Warning, "There is no group {Group}: only root may use the API")]
    public static partial void GroupMissing(this ILogger logger, string group);

    [LoggerMessage(1104, LogLevel.Information, "Removed {Socket}, left by an agent that ended without cleaning up")]
    public static partial void StaleSocketRemoved(this ILogger logger, string socket);
}

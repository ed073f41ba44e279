using Agent.Artifacts;

namespace Agent.Daemon.Health;

internal static partial class Log     // 1800-1899
{
    [LoggerMessage(1800, LogLevel.Warning, "{App} is unhealthy: {Cause}")]
    public static partial void Unhealthy(this ILogger logger, AppName app, string cause);

    [LoggerMessage(1801, LogLevel.Information, "{App} is healthy again after {Duration}")]
    public static partial void HealthyAgain(this ILogger logger, AppName app, string duration);

    [LoggerMessage(1802, LogLevel.Error, "{App}: its checks could not be run")]
    public static partial void RoundBroke(this ILogger logger, AppName app, Exception error);
}

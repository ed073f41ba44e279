using Agent.Artifacts;

namespace Agent.Daemon.Tracking;

internal static partial class Log     // 1400-1499
{
    [LoggerMessage(1400, LogLevel.Information, "{App}: the store has {Release}, deploying it")]
    public static partial void Found(this ILogger logger, AppName app, ReleaseVersion release);

    [LoggerMessage(1401, LogLevel.Debug, "{App}: {Reason}")]
    public static partial void NothingToDo(this ILogger logger, AppName app, string reason);

    [LoggerMessage(1402, LogLevel.Warning, "{App}: the store could not be followed: {Cause}; {Remedy}")]
    public static partial void PollFailed(this ILogger logger, AppName app, string cause, string remedy);

    [LoggerMessage(1403, LogLevel.Information, "{App}: the store can be followed again")]
    public static partial void PollWorksAgain(this ILogger logger, AppName app);

    [LoggerMessage(1404, LogLevel.Warning, "{App}: {Release} was not deployed: {Cause}; {Remedy}")]
    public static partial void StartFailed(this ILogger logger, AppName app, ReleaseVersion release, string cause, string remedy);

    [LoggerMessage(1405, LogLevel.Error, "A poll broke off; the next one is made as planned")]
    public static partial void PollBroke(this ILogger logger, Exception error);
}

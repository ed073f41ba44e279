using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

internal static partial class Log   // 1200-1299
{
    private static readonly Func<ILogger, string, string, string, string, IDisposable?> Scope =
        LoggerMessage.DefineScope<string, string, string, string>("{App} {Deployment} {Release} {Step}");

    public static IDisposable? DeploymentScope(this ILogger logger, AppName app, string deployment, string release, Step step) =>
        Scope(logger, app.Value, deployment, release, step.Word());

    [LoggerMessage(1200, LogLevel.Information, "{App} {Release}: {Step} starts ({Deployment})")]
    public static partial void StepStarts(this ILogger logger, AppName app, string release, string step, string deployment);

    [LoggerMessage(1201, LogLevel.Warning, "{App} {Release}: {Step} failed ({Deployment}): {Cause}")]
    public static partial void StepFailed(this ILogger logger, AppName app, string release, string step, string deployment, string cause, Exception exception);

    [LoggerMessage(1202, LogLevel.Information, "{App} {Release}: going back over {Step} ({Deployment})")]
    public static partial void UndoStarts(this ILogger logger, AppName app, string release, string step, string deployment);

    [LoggerMessage(1203, LogLevel.Error, "{App} {Release}: going back over {Step} failed ({Deployment}): {Cause}")]
    public static partial void UndoFailed(this ILogger logger, AppName app, string release, string step, string deployment, string cause, Exception exception);

    [LoggerMessage(1204, LogLevel.Information, "{App} {Release} is live ({Deployment})")]
    public static partial void Live(this ILogger logger, AppName app, string release, string deployment);

    [LoggerMessage(1205, LogLevel.Error, "{App} {Release}: {Outcome} ({Deployment}): {Cause}")]
    public static partial void NotLive(this ILogger logger, AppName app, string release, string deployment, Outcome outcome, string cause);

    [LoggerMessage(1206, LogLevel.Warning, "{App}: {Deployment} was interrupted; recovering")]
    public static partial void Recovering(this ILogger logger, AppName app, string deployment);

    [LoggerMessage(1207, LogLevel.Warning, "{App} {Release} is quarantined ({Deployment})")]
    public static partial void Quarantined(this ILogger logger, AppName app, string release, string deployment);

    [LoggerMessage(1208, LogLevel.Error, "{Deployment}: {Record} could not be journaled; it will be with the next record")]
    public static partial void JournalNotWritten(this ILogger logger, string deployment, string record, Exception exception);

    [LoggerMessage(1211, LogLevel.Warning, "{App} {Release}: {What}; goes on ({Deployment})")]
    public static partial void HookFailed(this ILogger logger, AppName app, string release, string deployment, string what);

    [LoggerMessage(1212, LogLevel.Warning, "{App}: hooks of {Deployment} may still run")]
    public static partial void HooksNotStopped(this ILogger logger, AppName app, string deployment, Exception exception);

    [LoggerMessage(1213, LogLevel.Warning, "{App}: downloads of a quarantined release were not removed")]
    public static partial void DownloadsNotDropped(this ILogger logger, AppName app, Exception exception);

    [LoggerMessage(1214, LogLevel.Warning, "what an earlier run left could not be removed")]
    public static partial void NotTidied(this ILogger logger, Exception exception);

    [LoggerMessage(1215, LogLevel.Error, "{App}: what was to be seen of {Deployment} could not be gathered")]
    public static partial void NoEvidence(this ILogger logger, AppName app, string deployment, Exception exception);

    [LoggerMessage(1210, LogLevel.Warning, "the journal could not be compacted")]
    public static partial void JournalNotCompacted(this ILogger logger, Exception exception);

    [LoggerMessage(1209, LogLevel.Critical, "{Deployment} ended in an error of the agent's own")]
    public static partial void Broken(this ILogger logger, string deployment, Exception exception);
}

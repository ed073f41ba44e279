namespace Agent.Daemon.Hosting;

/// <summary>Ids 1000 to 1099.</summary>
internal static partial class Log
{
    [LoggerMessage(1000, LogLevel.Information, "agentd {Version} is ready after {Milliseconds} ms: {Status}")]
    public static partial void Ready(this ILogger logger, string version, long milliseconds, string status);

    [LoggerMessage(1001, LogLevel.Information, "Stopping; applications go on, a deployment under way is taken up at the next start")]
    public static partial void Stopping(this ILogger logger);

    [LoggerMessage(1002, LogLevel.Warning, "Not everything stopped within {Seconds} s; ending all the same")]
    public static partial void StopTookTooLong(this ILogger logger, double seconds);

    [LoggerMessage(1003, LogLevel.Critical, "{What}; {Remedy}")]
    public static partial void CannotRun(this ILogger logger, string what, string remedy);

    [LoggerMessage(1004, LogLevel.Information, "Stopped while recovering; recovery goes on at the next start")]
    public static partial void StoppedWhileRecovering(this ILogger logger);

    [LoggerMessage(1005, LogLevel.Information, "The configuration was read again")]
    public static partial void Reloaded(this ILogger logger);

    [LoggerMessage(1006, LogLevel.Error, "The configuration was not read again, the one before stays in force: {What}; {Remedy}")]
    public static partial void NotReloaded(this ILogger logger, string what, string remedy);

    [LoggerMessage(1008, LogLevel.Warning, "agentd.yaml has changed: that takes effect when agentd is restarted")]
    public static partial void RestartNeeded(this ILogger logger);

    [LoggerMessage(1007, LogLevel.Warning, "{Path} ended in the middle of a record, as after a power cut: {Bytes} bytes were cut off")]
    public static partial void JournalTailCut(this ILogger logger, string path, long bytes);

    [LoggerMessage(1009, LogLevel.Error, "Of what listen: says of certificates, not all was taken; that stays as it was: {What}; {Remedy}")]
    public static partial void CertificatesNotRead(this ILogger logger, string what, string remedy);
}

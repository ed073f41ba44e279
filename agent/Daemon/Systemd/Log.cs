using Agent.Daemon.Configuration;

namespace Agent.Daemon.Systemd;

/// <summary>Ids 1600 to 1699.</summary>
internal static partial class Log
{
    [LoggerMessage(1600, LogLevel.Debug, "{Unit}: {Verb} wanted")]
    public static partial void JobWanted(this ILogger logger, UnitName unit, string verb);

    [LoggerMessage(1601, LogLevel.Information, "{Unit}: {Verb} {Result}")]
    public static partial void JobEnded(this ILogger logger, UnitName unit, string verb, string result);

    [LoggerMessage(1602, LogLevel.Warning, "{Member}: the connection to systemd was lost ({Cause}); trying again")]
    public static partial void BusLost(this ILogger logger, string member, string cause);

    [LoggerMessage(1603, LogLevel.Warning, "{Unit}: the end of {Verb} was not seen ({Cause}); looking it up")]
    public static partial void JobLost(this ILogger logger, UnitName unit, string verb, string cause);

    [LoggerMessage(1604, LogLevel.Debug, "{Unit}: runs {Program}")]
    public static partial void CommandStarted(this ILogger logger, UnitName unit, string program);

    [LoggerMessage(1605, LogLevel.Warning, "{Unit}: whoever takes its output failed; it is kept and no longer passed on")]
    public static partial void OutputNotTaken(this ILogger logger, UnitName unit, Exception cause);

    [LoggerMessage(1606, LogLevel.Warning, "{Unit}: it may still run, and is ended when a command takes its name again: {Cause}")]
    public static partial void CommandNotEnded(this ILogger logger, UnitName unit, string cause);

    [LoggerMessage(1607, LogLevel.Information, "the user {User} was made, uid {Uid}")]
    public static partial void UserMade(this ILogger logger, string user, uint uid);
}

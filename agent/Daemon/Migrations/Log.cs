using Agent.Artifacts;

namespace Agent.Daemon.Migrations;

/// <summary>Ids 1700 to 1799.</summary>
internal static partial class Log
{
    [LoggerMessage(1700, LogLevel.Information, "{App}: {Migration} was applied to {Database} ({Deployment})")]
    public static partial void Applied(this ILogger logger, AppName app, string migration, string database, string deployment);

    [LoggerMessage(1701, LogLevel.Warning, "{App}: {Migration} was taken back from {Database} ({Deployment})")]
    public static partial void TakenBack(this ILogger logger, AppName app, string migration, string database, string deployment);

    [LoggerMessage(1702, LogLevel.Information, "{App}: {Deployment} waits for {Holder}, which migrates {Database}")]
    public static partial void WaitsForLock(this ILogger logger, AppName app, string deployment, string holder, string database);

    [LoggerMessage(1703, LogLevel.Warning, "{App}: what was left beside the database could not be dropped; the next deployment tries again: {Cause}")]
    public static partial void NotSwept(this ILogger logger, AppName app, string cause);

    [LoggerMessage(1704, LogLevel.Warning, "{App}: the connection was lost in the commit of {Migration}; the ledger of {Database} says that it {Outcome} ({Deployment})")]
    public static partial void CommitLookedUp(this ILogger logger, AppName app, string migration, string database, string outcome, string deployment);

    [LoggerMessage(1705, LogLevel.Warning, "{App}: on the way to {Database}: {Warning} ({Deployment})")]
    public static partial void AddressWarning(this ILogger logger, AppName app, string database, string warning, string deployment);
}

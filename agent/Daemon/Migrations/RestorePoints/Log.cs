namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>Ids 1750 to 1769.</summary>
internal static partial class Log
{
    [LoggerMessage(1750, LogLevel.Information, "{App}: restore point {Id} of {Size} bytes taken for {By}")]
    public static partial void RestorePointTaken(this ILogger logger, string app, string id, long size, string by);

    [LoggerMessage(1751, LogLevel.Information, "{App}: restore point {Id} is not kept any longer")]
    public static partial void RestorePointRetired(this ILogger logger, string app, string id);

    [LoggerMessage(1752, LogLevel.Warning, "{App}: the database was put back to restore point {Id} for {By}; what it was is {Former}")]
    public static partial void DatabaseRestored(this ILogger logger, string app, string id, string by, string former);

    [LoggerMessage(1753, LogLevel.Warning, "{App}: the restore of {Deployment} was taken back; the database is again what it was before")]
    public static partial void RestoreSwappedBack(this ILogger logger, string app, string deployment);

    [LoggerMessage(1754, LogLevel.Warning, "{App}: {Database} was not dropped: {What}")]
    public static partial void NotDropped(this ILogger logger, string app, string database, string what);

    [LoggerMessage(1755, LogLevel.Warning, "{App}: {Directory} was not tidied: {What}")]
    public static partial void NotTidied(this ILogger logger, string app, string directory, string what);
}

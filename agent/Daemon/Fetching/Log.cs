using Agent.Artifacts;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

internal static partial class Log     // 1500-1599
{
    [LoggerMessage(1500, LogLevel.Information, "{App} {Release}: {Missing} of {Files} files to fetch, {Bytes} bytes from {Store}; {Taken} taken from installed releases")]
    public static partial void FetchPlanned(this ILogger logger, AppName app, ReleaseVersion release, int missing, int files, long bytes, string store, int taken);

    [LoggerMessage(1501, LogLevel.Information, "{App} {Release}: fetched and verified")]
    public static partial void Fetched(this ILogger logger, AppName app, ReleaseVersion release);

    [LoggerMessage(1502, LogLevel.Warning, "{Store} cut a transfer, going on where it stopped: {Cause}")]
    public static partial void TransferCut(this ILogger logger, string store, string cause);

    [LoggerMessage(1503, LogLevel.Warning, "{Part} of an earlier download is damaged, fetching it again")]
    public static partial void PartDamaged(this ILogger logger, string part);

    [LoggerMessage(1504, LogLevel.Warning, "{Directory} has no manifest that can be read, and saves no download: {Cause}")]
    public static partial void InstalledUnreadable(this ILogger logger, string directory, string cause);

    [LoggerMessage(1505, LogLevel.Information, "{App} {Release} was pushed by {By} and verified ({Digest}{Unsigned})")]
    public static partial void Pushed(this ILogger logger, AppName app, ReleaseVersion release, string by, string digest, string unsigned);

    [LoggerMessage(1506, LogLevel.Warning, "What is not needed any more cannot be removed from {Directory}: {Cause}")]
    public static partial void PushedNotSwept(this ILogger logger, string directory, string cause);
}

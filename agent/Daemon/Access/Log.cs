namespace Agent.Daemon.Access;

/// <summary>2300 to 2399.</summary>
internal static partial class Log
{
    [LoggerMessage(2300, LogLevel.Error, "{Path} cannot be read, so that no paired caller is let in: {Cause}")]
    public static partial void ClientsUnreadable(this ILogger logger, string path, string cause);

    [LoggerMessage(2301, LogLevel.Error, "{Path} cannot be written: {Cause}; when callers called last is not kept until it works again")]
    public static partial void ClientsNotWritten(this ILogger logger, string path, string cause);

    [LoggerMessage(2302, LogLevel.Information, "{Client} calls with its next key from now on: {Fingerprint}")]
    public static partial void KeyChanged(this ILogger logger, string client, string fingerprint);

    [LoggerMessage(2303, LogLevel.Warning, "Turned away {Count} within a minute: {Kind}; the last one from {From}")]
    public static partial void TurnedAway(this ILogger logger, long count, string kind, string from);

    [LoggerMessage(2304, LogLevel.Information, "Callers over the network are taken at {Address}, and shown {Fingerprint}")]
    public static partial void Listening(this ILogger logger, string address, string fingerprint);

    [LoggerMessage(2305, LogLevel.Warning, "Wrong proofs have voided {Count} pairing codes")]
    public static partial void CodesVoided(this ILogger logger, int count);

    [LoggerMessage(2306, LogLevel.Information, "{Client} was removed; {Connections} of its connections were ended")]
    public static partial void ClientRemoved(this ILogger logger, string client, int connections);

    [LoggerMessage(2307, LogLevel.Information, "Certificates and revoked keys were read again; open connections that this ended: {Connections}")]
    public static partial void RulesRead(this ILogger logger, int connections);
}

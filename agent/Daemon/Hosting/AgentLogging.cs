using System.Globalization;
using Agent.Artifacts;
using Serilog;
using Serilog.Events;

namespace Agent.Daemon.Hosting;

internal static class AgentLogging
{
    /// <summary>Logs to journald with fields where standard error goes there anyway, else to the console.</summary>
    public static ILoggingBuilder AddAgentLogging(this ILoggingBuilder logging)
    {
        LoggerConfiguration configuration = new LoggerConfiguration()
            .MinimumLevel.Information()
            .MinimumLevel.Override("Microsoft", LogEventLevel.Warning)
            .Filter.ByExcluding(IsToldElsewhere)
            .Enrich.FromLogContext();
        if (IsUnderJournald(Environment.GetEnvironmentVariable("JOURNAL_STREAM"), new FileInfo("/proc/self/fd/2").LinkTarget))
            configuration.WriteTo.Sink(new JournaldSink(JournaldSink.SocketPath));
        else
            configuration.WriteTo.Console(outputTemplate: "{Timestamp:HH:mm:ss} {Level:u3} {Message:l}{NewLine}{Exception}",
                formatProvider: CultureInfo.InvariantCulture);
        return logging.ClearProviders().AddSerilog(configuration.CreateLogger(), dispose: true);
    }

    // What keeps the agent from starting is told by AgentHost, in words for who runs it.
    private static bool IsToldElsewhere(LogEvent told) => told is { Exception: OperatorException, MessageTemplate.Text: "Hosting failed to start" };

    /// <summary>Whether standard error is journald's. Its variable alone says little: a shell hands it on to what it starts.</summary>
    /// <param name="stream">JOURNAL_STREAM: device and inode, <c>8:4711</c> (systemd.exec(5)).</param>
    /// <param name="standardError">What /proc/self/fd/2 links to: <c>socket:[4711]</c>.</param>
    public static bool IsUnderJournald(string? stream, string? standardError) =>
        stream?.Split(':') is [_, var inode] && standardError == $"socket:[{inode}]";
}

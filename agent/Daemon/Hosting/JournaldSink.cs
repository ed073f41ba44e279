using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;

namespace Agent.Daemon.Hosting;

/// <summary>Log events to journald with their fields. It never throws and never waits: what journald does not take at once is lost.</summary>
/// <remarks>Source: systemd's "Native Journal Protocol": one datagram an event; a value with a line end is told with its length.</remarks>
internal sealed class JournaldSink(string socketPath) : ILogEventSink, IDisposable
{
    public const string SocketPath = "/run/systemd/journal/socket";

    // All together far below the 200 KiB that a datagram may have.
    private const int MessageLimit = 8000, ExceptionLimit = 16_000, ValueLimit = 200;

    // Property of the message template (or of a scope) and its field.
    private static readonly (string Property, string Field)[] Fields =
    [
        ("App", "APP"), ("Deployment", "DEPLOYMENT"), ("Release", "RELEASE"), ("Step", "STEP"), ("SourceContext", "CATEGORY"),
    ];

    // Texts and words as they are, without the quotes that Serilog (l) and JSON (j) put around them.
    private static readonly MessageTemplateTextFormatter Message = new("{Message:l}", CultureInfo.InvariantCulture);

    private readonly Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false };
    private readonly UnixDomainSocketEndPoint journald = new(socketPath);

    public void Emit(LogEvent logEvent)
    {
        try
        {
            // Not connected, so that a journald that was restarted is found again.
            socket.SendTo(Format(logEvent), journald);
        }
        catch (Exception)
        {
            // Whatever it is: a log line is not worth the outcome of a deployment.
        }
    }

    public void Dispose() => socket.Dispose();

    /// <summary>The datagram for an event.</summary>
    public static byte[] Format(LogEvent logEvent)
    {
        var datagram = new ArrayBufferWriter<byte>(512);
        using (var message = new StringWriter(CultureInfo.InvariantCulture))
        {
            Message.Format(logEvent, message);
            Write(datagram, "MESSAGE", message.ToString(), MessageLimit);
        }
        Write(datagram, "PRIORITY", Priority(logEvent.Level), ValueLimit);
        Write(datagram, "SYSLOG_IDENTIFIER", "agentd", ValueLimit);
        foreach ((string property, string field) in Fields)
            if (logEvent.Properties.TryGetValue(property, out LogEventPropertyValue? value)) Write(datagram, field, Text(value), ValueLimit);
        if (EventId(logEvent) is { } id) Write(datagram, "EVENT_ID", id, ValueLimit);
        if (logEvent.Exception is { } exception) Write(datagram, "EXCEPTION", exception.ToString(), ExceptionLimit);
        return datagram.WrittenSpan.ToArray();
    }

    // syslog(3): 2 critical, 3 error, 4 warning, 6 informational, 7 debug.
    private static string Priority(LogEventLevel level) => level switch
    {
        LogEventLevel.Fatal => "2",
        LogEventLevel.Error => "3",
        LogEventLevel.Warning => "4",
        LogEventLevel.Information => "6",
        _ => "7",
    };

    private static string Text(LogEventPropertyValue value) => value switch
    {
        ScalarValue scalar => Convert.ToString(scalar.Value, CultureInfo.InvariantCulture) ?? "",
        _ => value.ToString(),
    };

    // Serilog.Extensions.Logging writes it as a structure of Id and Name.
    private static string? EventId(LogEvent logEvent) =>
        logEvent.Properties.TryGetValue("EventId", out LogEventPropertyValue? value) && value is StructureValue structure
        && structure.Properties.FirstOrDefault(p => p.Name == "Id") is { } id ? Text(id.Value) : null;

    private static void Write(ArrayBufferWriter<byte> datagram, string field, string value, int limit)
    {
        if (value.Length > limit) value = value[..limit];
        Encoding.ASCII.GetBytes(field, datagram);
        if (value.Contains('\n'))
        {
            datagram.Write("\n"u8);
            BinaryPrimitives.WriteUInt64LittleEndian(datagram.GetSpan(sizeof(ulong)), (ulong)Encoding.UTF8.GetByteCount(value));
            datagram.Advance(sizeof(ulong));
        }
        else
        {
            datagram.Write("="u8);
        }
        Encoding.UTF8.GetBytes(value, datagram);
        datagram.Write("\n"u8);
    }
}

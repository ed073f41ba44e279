using System.Buffers.Binary;
using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.Hosting;
using Agent.Daemon.State;
using Microsoft.Extensions.Logging;
using Serilog;
using Serilog.Core;
using Serilog.Extensions.Logging;
using ILogger = Microsoft.Extensions.Logging.ILogger;

namespace Agent.Tests.Hosting;

public sealed partial class JournaldSinkTests : IDisposable
{
    private readonly DatagramSocket journald = new();
    private readonly JournaldSink sink;
    private readonly Logger serilog;
    private readonly SerilogLoggerFactory factory;
    private readonly ILogger logger;

    public JournaldSinkTests()
    {
        sink = new JournaldSink(journald.Path);
        serilog = new LoggerConfiguration().MinimumLevel.Verbose().Enrich.FromLogContext().WriteTo.Sink(sink).CreateLogger();
        factory = new SerilogLoggerFactory(serilog);
        logger = factory.CreateLogger("Agent.Daemon.Deployments");
    }

    public void Dispose()
    {
        factory.Dispose();
        serilog.Dispose();
        journald.Dispose();
    }

    [LoggerMessage(1207, LogLevel.Warning, "{App}: {Release} failed at {Step} of {Deployment}")]
    private static partial void Failed(ILogger logger, AppName app, string release, string step, string deployment);

    [Fact]
    public void Sends_the_fields_of_a_message_and_its_event_id()
    {
        Failed(logger, new AppName("shop"), "v1.2.0", "gate", "d-7");
        Dictionary<string, string> fields = Parse(journald.Receive());
        Assert.Equal("shop: v1.2.0 failed at gate of d-7", fields["MESSAGE"].Replace("\"", ""));
        Assert.Equal(("4", "agentd", "1207"), (fields["PRIORITY"], fields["SYSLOG_IDENTIFIER"], fields["EVENT_ID"]));
        Assert.Equal(("shop", "v1.2.0", "gate", "d-7"), (fields["APP"], fields["RELEASE"], fields["STEP"], fields["DEPLOYMENT"]));
        Assert.Equal("Agent.Daemon.Deployments", fields["CATEGORY"]);
    }

    [Fact]
    public void Names_a_step_as_people_do()
    {
        logger.StepStarts(new AppName("shop"), "v1.2.0", Step.Gate, "d-7");
        Dictionary<string, string> fields = Parse(journald.Receive());
        Assert.Equal(("gate", "shop v1.2.0: Gate starts (d-7)"), (fields["STEP"], fields["MESSAGE"]));
    }

    [Fact]
    public void Writes_values_without_quotes()
    {
        Failed(logger, new AppName("shop"), "v1.2.0", "gate", "d-7");
        Assert.Equal("shop: v1.2.0 failed at gate of d-7", Parse(journald.Receive())["MESSAGE"]);
    }

    [Fact]
    public void Takes_fields_from_the_scope()
    {
        using (logger.BeginScope(new Dictionary<string, object> { ["App"] = "shop", ["Deployment"] = "d-8" })) logger.LogInformation("done");
        Dictionary<string, string> fields = Parse(journald.Receive());
        Assert.Equal(("done", "6", "shop", "d-8"), (fields["MESSAGE"], fields["PRIORITY"], fields["APP"], fields["DEPLOYMENT"]));
        Assert.False(fields.ContainsKey("EVENT_ID"));
    }

    [Fact]
    public void A_line_end_in_a_value_starts_no_field()
    {
        logger.LogError(new InvalidOperationException("first\nPRIORITY=0"), "one\nAPP=forged");
        byte[] datagram = journald.Receive();
        Dictionary<string, string> fields = Parse(datagram);
        Assert.Equal("one\nAPP=forged", fields["MESSAGE"]);
        Assert.Equal("3", fields["PRIORITY"]);
        Assert.False(fields.ContainsKey("APP"));
        Assert.Contains("first\nPRIORITY=0", fields["EXCEPTION"], StringComparison.Ordinal);
        Assert.Equal("MESSAGE\n"u8.ToArray().Concat(Length(14)).Concat("one\nAPP=forged\n"u8.ToArray()), datagram.Take(8 + 8 + 15));
    }

    [Theory]
    [InlineData(LogLevel.Critical, "2")]
    [InlineData(LogLevel.Error, "3")]
    [InlineData(LogLevel.Warning, "4")]
    [InlineData(LogLevel.Information, "6")]
    [InlineData(LogLevel.Debug, "7")]
    public void Maps_levels_to_priorities(LogLevel level, string priority)
    {
        logger.Log(level, "text");
        Assert.Equal(priority, Parse(journald.Receive())["PRIORITY"]);
    }

    [Fact]
    public void Bounds_every_value()
    {
        Failed(logger, new AppName("shop"), new string('é', 100_000), "gate", "d-7");
        Dictionary<string, string> fields = Parse(journald.Receive());
        Assert.Equal(200, fields["RELEASE"].Length);
        Assert.Equal(8000, fields["MESSAGE"].Length);
    }

    [Fact]
    public void Never_throws_and_never_waits()
    {
        // Nobody reads: the socket's queue fills up, and what does not fit is lost.
        for (int i = 0; i < 5000; i++) logger.LogInformation("message {Number}", i);
        Assert.Equal("message 0", Parse(journald.Receive())["MESSAGE"]);

        using var nowhere = new JournaldSink("/nowhere/socket");
        using Logger lost = new LoggerConfiguration().WriteTo.Sink(nowhere).CreateLogger();
        lost.Information("lost");
        sink.Dispose();
        logger.LogInformation("after the end");
    }

    [Theory]
    [InlineData("8:4711", "socket:[4711]", true)]
    [InlineData("8:4711", "socket:[4712]", false)]
    [InlineData("8:4711", "/dev/pts/0", false)]
    [InlineData("8:4711", null, false)]
    [InlineData(null, "socket:[4711]", false)]
    [InlineData("", "socket:[]", false)]
    public void Uses_the_journal_only_where_standard_error_goes_there(string? stream, string? standardError, bool journal) =>
        Assert.Equal(journal, AgentLogging.IsUnderJournald(stream, standardError));

    private static byte[] Length(ulong length)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        return bytes;
    }

    // As journald does it; a field that comes twice is an error.
    private static Dictionary<string, string> Parse(ReadOnlySpan<byte> datagram)
    {
        var fields = new Dictionary<string, string>();
        while (!datagram.IsEmpty)
        {
            int end = datagram.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = datagram[..end];
            int equals = line.IndexOf((byte)'=');
            datagram = datagram[(end + 1)..];
            if (equals >= 0)
            {
                fields.Add(Encoding.UTF8.GetString(line[..equals]), Encoding.UTF8.GetString(line[(equals + 1)..]));
                continue;
            }
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(datagram);
            fields.Add(Encoding.UTF8.GetString(line), Encoding.UTF8.GetString(datagram.Slice(8, length)));
            Assert.Equal((byte)'\n', datagram[8 + length]);
            datagram = datagram[(8 + length + 1)..];
        }
        return fields;
    }
}

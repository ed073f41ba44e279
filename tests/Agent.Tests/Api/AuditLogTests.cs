using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.Tests.Api;

public sealed class AuditLogTests : IDisposable
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);

    private readonly TemporaryDirectory directory = new();

    private string File => Path.Combine(directory.Path, "audit");

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Records_come_back_as_they_were_newest_first_also_after_a_restart()
    {
        Log().Write(Entry("deploy v1.0.0"));
        Log().Write(Entry("deploy v1.1.0") with { Refused = true, Outcome = "is quarantined" });
        Assert.Equal([Entry("deploy v1.1.0") with { Refused = true, Outcome = "is quarantined" }, Entry("deploy v1.0.0")], Log().Read(10));
        Assert.Equal(["deploy v1.1.0"], Log().Read(1).Select(entry => entry.Wish));
    }

    [Fact]
    public void Only_root_reads_them()
    {
        Log().Write(Entry("hold"));
        Assert.Equal(DurableOperations.Mode600, System.IO.File.GetUnixFileMode(File));
    }

    [Fact]
    public void What_a_caller_typed_is_one_line_of_bounded_length()
    {
        string hostile = "v1\n{\"by\":\"uid 0 (root)\"}\e[2J\u2028\u202e" + new string('x', 100_000);
        Log().Write(Entry(hostile) with { App = hostile, Outcome = hostile });
        Assert.Single(System.IO.File.ReadAllLines(File));
        AuditEntry read = Assert.Single(Log().Read(10));
        Assert.All((string[])[read.Wish, read.App, read.Outcome], text => Assert.True(text.Length <= 400 && !text.Any(c => char.IsControl(c) || c is '\u2028' or '\u202e'), text));
    }

    [Fact]
    public void A_pair_of_surrogates_is_cut_whole()
    {
        string cut = PlainText.Of(string.Concat(Enumerable.Repeat("\U0001F600", 10)), 8);
        Assert.Equal("\U0001F600\U0001F600\U0001F600…", cut);
        Assert.Equal("a\uFFFDb", PlainText.Of("a\ud83db", 8));
    }

    [Fact]
    public void The_files_never_grow_beyond_their_bounds_and_the_newest_records_stay()
    {
        AuditLog log = Log();
        string wish = new('w', 400);
        int written = 0;
        while (!System.IO.File.Exists(File + ".1")) log.Write(Entry($"{written++} {wish}"));
        log.Write(Entry($"{written++} {wish}"));
        Assert.True(new FileInfo(File + ".1").Length < AuditLog.MostBytes);
        Assert.True(new FileInfo(File).Length < 4096);
        Assert.Equal([written - 1, written - 2, written - 3], log.Read(3).Select(entry => int.Parse(entry.Wish.Split(' ')[0])));
        Assert.Equal(written, log.Read(int.MaxValue).Count);
    }

    [Fact]
    public void A_record_that_was_torn_is_left_out_and_harms_no_other()
    {
        Log().Write(Entry("hold"));
        System.IO.File.AppendAllText(File, "{\"at\":\"2026-11-20T12:0");
        Log().Write(Entry("resume"));
        Assert.Equal(["resume", "hold"], Log().Read(10).Select(entry => entry.Wish));
    }

    [Fact]
    public void A_record_of_an_earlier_agent_which_did_not_tell_where_a_call_came_from_is_read()
    {
        System.IO.File.WriteAllText(File, """{"at":"2026-11-20T12:00:00+00:00","by":"uid 1000 (ann)","pid":4711,"role":"deployer","wish":"hold","app":"shop","refused":false,"outcome":"shop-1"}""" + "\n");
        Assert.Equal([Entry("hold") with { From = "" }], Log().Read(10));
    }

    [Fact]
    public void A_disk_that_fails_is_told_once_and_stops_nothing()
    {
        var told = new CountingLogger();
        var log = new AuditLog(new Disk(), Path.Combine(directory.Path, "later", "audit"), told);
        log.Write(Entry("hold"));
        log.Write(Entry("resume"));
        Assert.Equal(1, told.Count);
        Directory.CreateDirectory(Path.Combine(directory.Path, "later"));
        log.Write(Entry("pin"));
        Assert.Equal((1, 1), (told.Count, log.Read(10).Count));
    }

    private static AuditEntry Entry(string wish) => new(Noon, "uid 1000 (ann)", "deployer", wish, "shop", Refused: false, "shop-1", "pid 4711 on the agent's socket");

    private AuditLog Log() => new(new Disk(), File, NullLogger<AuditLog>.Instance);

    private sealed class CountingLogger : ILogger<AuditLog>
    {
        public int Count { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Count++;
    }
}

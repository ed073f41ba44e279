using Agent.Daemon.Access;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging;

namespace Agent.Tests.Access;

/// <summary>Whoever is turned away is counted, and tells no long story.</summary>
public sealed class RefusalsTests
{
    private readonly ManualTime time = new();

    [Fact]
    public void A_kind_has_a_line_a_minute_however_many_come()
    {
        var log = new Lines();
        var refusals = new Refusals(time, log);
        for (int i = 0; i < 1000; i++) refusals.Count(Refusals.Handshake, $"192.0.2.7 port {i}");
        refusals.Count(Refusals.Revoked, "192.0.2.8 port 1");
        Assert.Equal(
            ["Turned away 1 within a minute: no TLS 1.3 handshake; the last one from 192.0.2.7 port 0", "Turned away 1 within a minute: revoked key; the last one from 192.0.2.8 port 1"],
            log.Told);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal("Turned away 999 within a minute: no TLS 1.3 handshake; the last one from 192.0.2.7 port 999", log.Told[^1]);
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(3, log.Told.Count);
        refusals.Count(Refusals.Handshake, "192.0.2.7 port 5");
        Assert.Equal((4, 1001, 0), (log.Told.Count, refusals.Total(Refusals.Handshake), refusals.Total(Refusals.Idle)));
    }

    [Fact]
    public void So_many_refusals_of_one_caller_are_recorded_a_minute_and_then_how_many_were_not()
    {
        var budget = new RefusalBudget(time);
        for (int i = 0; i < RefusalBudget.MostInAMinute; i++) Assert.True(budget.Take("eve", out _));
        for (int i = 0; i < 70; i++) Assert.False(budget.Take("eve", out _));
        Assert.True(budget.Take("ann", out int missed));
        Assert.Equal(0, missed);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.True(budget.Take("eve", out missed));
        Assert.Equal(70, missed);
        Assert.True(budget.Take("eve", out missed));
        Assert.Equal(0, missed);
    }

    private sealed class Lines : ILogger<Refusals>
    {
        public List<string> Told { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Told.Add(formatter(state, exception));
    }
}

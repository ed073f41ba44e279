using Microsoft.Extensions.Logging;

namespace Agent.Tests.Fakes;

/// <summary>What was logged: <c>1204 shop v1.1.0 is live (shop-1)</c>.</summary>
internal sealed class Lines<T>(List<string> told) : ILogger<T>
{
    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (told) told.Add($"{eventId.Id} {formatter(state, exception)}");
    }
}

using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Agent.Daemon.Access;

/// <summary>
/// Counts the connections over the network that Kestrel itself ends: what came too slowly, was too much, or is no HTTP/2. Why is told by its meter alone: see
/// <see href="https://learn.microsoft.com/dotnet/core/diagnostics/built-in-metrics-aspnetcore">built-in metrics</see>, <c>kestrel.connection.duration</c>.
/// </summary>
internal sealed class BrokenConnections : IDisposable
{
    private const string From = "agentd.from", Why = "error.type";

    /// <summary>Ends that say nothing of the caller, and those that are counted where they are decided.</summary>
    private static readonly HashSet<string> others = ["aborted_by_app", "app_shutdown_timeout", "connection_reset", "io_error", "keep_alive_timeout", "server_timeout", "tls_handshake_failed"];

    private readonly Refusals refusals;
    private readonly MeterListener listener = new();

    /// <param name="meters">Of this agent: a process may hold several.</param>
    public BrokenConnections(IMeterFactory meters, Refusals refusals)
    {
        this.refusals = refusals;
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Name == "kestrel.connection.duration" && ReferenceEquals(instrument.Meter.Scope, meters)) listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<double>((_, _, tags, _) => Ended(tags));
        listener.Start();
    }

    /// <summary>Has the end of a connection counted, if it is one of these.</summary>
    public static void Watch(IFeatureCollection connection, string from) => connection.Get<IConnectionMetricsTagsFeature>()?.Tags.Add(new(From, from));

    public void Dispose() => listener.Dispose();

    private void Ended(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        string? from = null, why = null;
        foreach ((string key, object? value) in tags)
        {
            if (key == From) from = value as string;
            else if (key == Why) why = value as string;
        }
        if (from is not null && why is not null && !others.Contains(why)) refusals.Count(why.Replace('_', ' '), from);
    }
}

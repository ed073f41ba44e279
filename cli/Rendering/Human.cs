using Google.Protobuf.WellKnownTypes;

namespace Agent.Cli.Rendering;

/// <summary>Sizes and times as a person reads them.</summary>
internal static class Human
{
    /// <summary>Decimal units, three digits or so: <c>58.1 MB</c>.</summary>
    public static string Size(long bytes) => bytes switch
    {
        < 1_000 => $"{bytes} B",
        < 1_000_000 => $"{bytes / 1e3:0.0} kB",
        < 1_000_000_000 => $"{bytes / 1e6:0.0} MB",
        _ => $"{bytes / 1e9:0.0} GB",
    };

    public static string Span(TimeSpan span) => span switch
    {
        { TotalSeconds: < 60 } => $"{span.TotalSeconds:0.0} s",
        { TotalHours: < 1 } => $"{span.Minutes} min {span.Seconds} s",
        { TotalDays: < 1 } => $"{span.Hours} h {span.Minutes} min",
        _ => $"{span.Days} d {span.Hours} h",
    };

    /// <summary>UTC to the second, as hosts may lie in different zones; <c>-</c> for null.</summary>
    public static string Time(Timestamp? at) => at is null ? "-" : $"{at.ToDateTimeOffset():yyyy-MM-dd HH:mm:ss}Z";

    /// <summary><c>-</c> while it is not over.</summary>
    public static string Took(Timestamp? started, Timestamp? finished) =>
        started is null || finished is null ? "-" : Span(finished.ToDateTimeOffset() - started.ToDateTimeOffset());

    public static string OrDash(string text) => text.Length == 0 ? "-" : text;
}

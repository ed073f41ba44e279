using System.Globalization;
using System.Text.RegularExpressions;

namespace Agent.Artifacts.Configuration;

/// <summary>Durations and sizes as people type them.</summary>
internal static partial class Values
{
    private static readonly (string Unit, long Bytes)[] Sizes =
    [
        ("TiB", 1L << 40), ("TB", 1_000_000_000_000), ("GiB", 1L << 30), ("GB", 1_000_000_000),
        ("MiB", 1L << 20), ("MB", 1_000_000), ("KiB", 1L << 10), ("KB", 1_000),
    ];

    /// <summary>Reads <c>500ms</c>, <c>10s</c>, <c>2m</c>, <c>1h</c>.</summary>
    public static bool TryParseDuration(string text, out TimeSpan value)
    {
        Match match = DurationPattern().Match(text);
        if (!match.Success)
        {
            value = default;
            return false;
        }
        long count = long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        value = match.Groups[2].Value switch
        {
            "ms" => TimeSpan.FromMilliseconds(count),
            "s" => TimeSpan.FromSeconds(count),
            "m" => TimeSpan.FromMinutes(count),
            _ => TimeSpan.FromHours(count),
        };
        return true;
    }

    /// <summary>A duration the way it is typed.</summary>
    public static string Show(TimeSpan value) => value switch
    {
        { Ticks: 0 } => "0s",
        _ when value.Ticks % TimeSpan.TicksPerHour == 0 => $"{value.Ticks / TimeSpan.TicksPerHour}h",
        _ when value.Ticks % TimeSpan.TicksPerMinute == 0 => $"{value.Ticks / TimeSpan.TicksPerMinute}m",
        _ when value.Ticks % TimeSpan.TicksPerSecond == 0 => $"{value.Ticks / TimeSpan.TicksPerSecond}s",
        _ => $"{value.Ticks / TimeSpan.TicksPerMillisecond}ms",
    };

    /// <summary>Reads <c>100</c> (bytes), <c>500MB</c> (by 1000), <c>512MiB</c> (by 1024).</summary>
    public static bool TryParseSize(string text, out long bytes)
    {
        bytes = 0;
        Match match = SizePattern().Match(text);
        if (!match.Success) return false;
        long unit = Sizes.FirstOrDefault(size => size.Unit == match.Groups[2].Value, ("", 1)).Bytes;
        Int128 value = Int128.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * unit;
        if (value > long.MaxValue) return false;
        bytes = (long)value;
        return true;
    }

    /// <summary>A size the way it is typed, exactly.</summary>
    public static string ShowSize(long bytes)
    {
        (string unit, long size) = Sizes.FirstOrDefault(size => bytes != 0 && bytes % size.Bytes == 0, ("", 1));
        return (bytes / size).ToString(CultureInfo.InvariantCulture) + unit;
    }

    [GeneratedRegex(@"\A([0-9]{1,7})(ms|s|m|h)\z")]
    private static partial Regex DurationPattern();

    [GeneratedRegex(@"\A([0-9]{1,18})((?:[KMGT]i?B)?)\z")]
    private static partial Regex SizePattern();
}

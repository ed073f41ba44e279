using System.Globalization;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>A map of a file, read key by key. What is wrong goes to the problems with its line, and reads as absent.</summary>
internal sealed partial class Section
{
    private readonly Problems problems;
    private readonly YamlNode.Map map;
    private readonly string prefix;

    /// <param name="prefix">Where this map lies, before its keys: <c>checks[1].</c>; empty at the top.</param>
    /// <param name="known">The keys that may be here; any other is a problem.</param>
    public Section(Problems problems, string file, string prefix, YamlNode.Map map, string[] known)
    {
        (this.problems, File, this.prefix, this.map) = (problems, file, prefix, map);
        foreach ((string key, int line, _) in map.Entries)
            if (!known.Contains(key)) problems.Add(file, line, $"{prefix}{key} is not a key here", Suggestion(key, known));
    }

    public string File { get; }

    public int Line => map.Line;

    public YamlNode? this[string key] => map.Entries.FirstOrDefault(entry => entry.Key == key).Value;

    public int LineOf(string key) => map.Entries.FirstOrDefault(entry => entry.Key == key) is { Value: not null } found ? found.Line : map.Line;

    public void Wrong(string key, string what, string instead) => problems.Add(File, LineOf(key), $"{prefix}{key} {what}", instead);

    /// <summary>The value of a key as typed; null where the key is absent or no text.</summary>
    public string? Text(string key)
    {
        switch (this[key])
        {
            case null:
                return null;
            case YamlNode.Text { IsNothing: true }:
                Wrong(key, "has no value", "give it one, or take the line out");
                return null;
            case YamlNode.Text text:
                return text.Value;
            default:
                Wrong(key, "is not a single value", $"write '{key}: VALUE'");
                return null;
        }
    }

    /// <summary>Parses by a constructor that throws <see cref="OperatorException"/>, whose words are then the problem.</summary>
    public T? Parse<T>(string key, Func<string, T> parse)
        where T : class
    {
        if (Text(key) is not { } text) return null;
        try
        {
            return parse(text);
        }
        catch (OperatorException e)
        {
            Wrong(key, $"is wrong: {e.Message}", e.Remedy);
            return null;
        }
    }

    public TimeSpan? Duration(string key, TimeSpan least, TimeSpan most)
    {
        if (Text(key) is not { } text) return null;
        if (!TryParseDuration(text, out TimeSpan value))
            Wrong(key, $"is '{text}', which is no duration", "write a whole number and a unit: 500ms, 10s, 2m or 1h");
        else if (value < least || value > most)
            Wrong(key, $"is {text}", $"write {Show(least)} to {Show(most)}");
        else return value;
        return null;
    }

    public int? Number(string key, int least, int most)
    {
        if (Text(key) is not { } text) return null;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most) return value;
        Wrong(key, $"is '{text}'", $"write a whole number from {least} to {most}");
        return null;
    }

    /// <summary>The map below a key; null where it is absent or none.</summary>
    public Section? Map(string key, string[] known)
    {
        switch (this[key])
        {
            case null:
                return null;
            case YamlNode.Map below:
                return new Section(problems, File, $"{prefix}{key}.", below, known);
            default:
                Wrong(key, "is not a map", $"write its keys indented below '{key}:'");
                return null;
        }
    }

    /// <summary>The map that is one item of a list.</summary>
    public Section Below(string key, int index, YamlNode.Map item, string[] known) => new(problems, File, $"{prefix}{key}[{index}].", item, known);

    /// <summary>A problem with one item of a list.</summary>
    public void WrongItem(string key, int index, int line, string what, string instead) => problems.Add(File, line, $"{prefix}{key}[{index}] {what}", instead);

    /// <summary>A problem with one of the pairs of <see cref="Pairs"/>.</summary>
    public void WrongPair(string key, string name, int line, string what, string instead) => problems.Add(File, line, $"{prefix}{key}.{name} {what}", instead);

    /// <summary>The items below a key; null where it is absent or no list.</summary>
    public IReadOnlyList<YamlNode>? List(string key)
    {
        switch (this[key])
        {
            case null:
                return null;
            case YamlNode.List list:
                return list.Items;
            default:
                Wrong(key, "is not a list", "write each item in a line of its own after '- '");
                return null;
        }
    }

    /// <summary>Names and values below a key, for people to choose; empty where it is absent.</summary>
    public IReadOnlyList<(string Name, int Line, YamlNode Value)> Pairs(string key)
    {
        if (this[key] is not { } value) return [];
        if (value is YamlNode.Map pairs) return pairs.Entries;
        Wrong(key, "is not a map", $"write NAME: VALUE lines indented below '{key}:'");
        return [];
    }

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

    private static string Suggestion(string key, string[] known)
    {
        string nearest = known.MinBy(candidate => Distance(key, candidate))!;
        return Distance(key, nearest) <= Math.Max(1, nearest.Length / 3) ? $"write {nearest}" : $"the keys here are {string.Join(", ", known)}";
    }

    /// <summary>Levenshtein's distance, without regard to case and <c>_ -</c>.</summary>
    private static int Distance(string typed, string key)
    {
        string word = typed.Length > 40 ? typed[..40] : typed;
        word = word.ToLowerInvariant().Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal);
        int[] row = [.. Enumerable.Range(0, key.Length + 1)];
        for (int i = 1; i <= word.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= key.Length; j++)
            {
                int above = row[j];
                row[j] = Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (word[i - 1] == key[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return row[^1];
    }

    [GeneratedRegex(@"\A([0-9]{1,7})(ms|s|m|h)\z")]
    private static partial Regex DurationPattern();
}

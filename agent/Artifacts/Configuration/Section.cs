using System.Globalization;

namespace Agent.Artifacts.Configuration;

/// <summary>A map of a file, read key by key. What is wrong goes to the problems with its line, and reads as absent.</summary>
internal sealed class Section
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
        if (!Values.TryParseDuration(text, out TimeSpan value))
            Wrong(key, $"is '{text}', which is no duration", "write a whole number and a unit: 500ms, 10s, 2m or 1h");
        else if (value < least || value > most)
            Wrong(key, $"is {text}", $"write {Values.Show(least)} to {Values.Show(most)}");
        else return value;
        return null;
    }

    /// <summary>Bytes.</summary>
    public long? Size(string key, long least)
    {
        if (Text(key) is not { } text) return null;
        if (!Values.TryParseSize(text, out long value))
            Wrong(key, $"is '{text}', which is no size", "write a whole number and a unit: 500MB, 2GB (by 1000), 512MiB or 2GiB (by 1024)");
        else if (value < least)
            Wrong(key, $"is {text}", $"write {Values.ShowSize(least)} or more");
        else return value;
        return null;
    }

    /// <summary>Percent of one processor core.</summary>
    public int? Percent(string key, int most)
    {
        if (Text(key) is not { } text) return null;
        if (text.EndsWith('%') && int.TryParse(text.AsSpan(..^1), NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= 1 && value <= most) return value;
        Wrong(key, $"is '{text}'", $"write 1% to {most}%; 100% is one core");
        return null;
    }

    public bool? Flag(string key)
    {
        switch (Text(key))
        {
            case null:
                return null;
            case "true" or "yes":
                return true;
            case "false" or "no":
                return false;
            case var text:
                Wrong(key, $"is '{text}'", "write true or false");
                return null;
        }
    }

    /// <summary>One of a few words.</summary>
    public string? Choice(string key, params string[] words)
    {
        if (Text(key) is not { } text) return null;
        if (words.Contains(text)) return text;
        Wrong(key, $"is '{text}'", $"write {string.Join(", ", words[..^1])} or {words[^1]}");
        return null;
    }

    /// <summary>A list of texts, each once; null where the key is absent or no list.</summary>
    /// <param name="wrong">What is wrong with an item, and what to write instead; null: nothing.</param>
    public IReadOnlyList<string>? Texts(string key, Func<string, (string What, string Instead)?> wrong)
    {
        if (List(key) is not { } items) return null;
        var texts = new List<string>();
        foreach ((int index, YamlNode item) in items.Index())
        {
            if (item is not YamlNode.Text { IsNothing: false } text) WrongItem(key, index, item.Line, "is not a single value", "write one in a line");
            else if (wrong(text.Value) is { } problem) WrongItem(key, index, item.Line, problem.What, problem.Instead);
            else if (texts.Contains(text.Value)) WrongItem(key, index, item.Line, $"is {text.Value} once more", "keep one");
            else texts.Add(text.Value);
        }
        return texts;
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
    public Section Below(string key, int index, YamlNode.Map item, string[] known) => At($"{key}[{index}]", item, known);

    /// <summary>A map somewhere below, by its path from here: <c>hooks.before-flip[1]</c>.</summary>
    public Section At(string path, YamlNode.Map map, string[] known) => new(problems, File, $"{prefix}{path}.", map, known);

    /// <summary>A problem somewhere below, by its path from here.</summary>
    public void WrongAt(string path, int line, string what, string instead) => problems.Add(File, line, $"{prefix}{path} {what}", instead);

    /// <summary>A problem with one item of a list.</summary>
    public void WrongItem(string key, int index, int line, string what, string instead) => WrongAt($"{key}[{index}]", line, what, instead);

    /// <summary>A problem with one of the pairs of <see cref="Pairs"/>.</summary>
    public void WrongPair(string key, string name, int line, string what, string instead) => WrongAt($"{key}.{name}", line, what, instead);

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
}

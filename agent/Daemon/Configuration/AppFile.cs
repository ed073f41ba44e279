using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>What the operator's or the developer's file says of an app; null and empty where it is silent.</summary>
/// <param name="Units">What to run: a command's rendered unit first, then the units that are listed.</param>
internal sealed partial record AppFile(
    AppName Name, Track? Track, int Keep, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<UnitSource>? Units, string? User,
    IReadOnlyList<CheckOptions>? Checks, TimeSpan? GateStart, TimeSpan? GateStable)
{
    private const int DefaultKeep = 3;
    private const string OwnUnit = "agentd.service";

    public static readonly GateOptions DefaultGate = new(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(10));

    public AppOptions Options => new(
        Name, Track, Environment, Units, Checks,
        GateStart is null && GateStable is null ? null : new GateOptions(GateStart ?? DefaultGate.Start, GateStable ?? DefaultGate.Stable), Keep);

    /// <summary>Reads apps.d/APP.yaml.</summary>
    /// <param name="unitDirectory">Where a unit lies that is given by its name alone.</param>
    public static AppFile ReadOperators(AppName name, string file, YamlNode.Map root, string unitDirectory, Problems problems)
    {
        var section = new Section(problems, file, "", root, ConfigurationKeys.App);
        return Read(name, section, (index, item) => OperatorsUnit(section, index, item, unitDirectory)) with
        {
            Track = ReadTrack(section),
            Keep = section.Number("keep", 1, 100) ?? DefaultKeep,
        };
    }

    /// <summary>Reads a release's agent.yaml.</summary>
    public static AppFile ReadReleases(AppName name, string file, YamlNode.Map root, Problems problems)
    {
        var section = new Section(problems, file, "", root, ConfigurationKeys.Release);
        return Read(name, section, (index, item) => ReleasesUnit(section, index, item));
    }

    private static AppFile Read(AppName name, Section section, Func<int, YamlNode, UnitSource?> unit)
    {
        string? user = section.Text("user");
        if (user is not null && !UserPattern().IsMatch(user))
        {
            section.Wrong("user", $"is '{user}', which is no user name", "use a-z, 0-9, '_' and '-', 31 at most");
            user = null;
        }
        Section? gate = section.Map("gate", ConfigurationKeys.Gate);
        return new AppFile(
            name, Track: null, DefaultKeep, ReadEnvironment(section), ReadUnits(name, section, user, unit), user, CheckFile.Read(section),
            gate?.Duration("start", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)), gate?.Duration("stable", TimeSpan.Zero, TimeSpan.FromHours(1)));
    }

    private static Track? ReadTrack(Section section)
    {
        VersionRange? versions = section.Parse("versions", text => new VersionRange(text));
        string? channel = section.Text("channel");
        if (channel is not null && !ChannelPattern().IsMatch(channel))
        {
            section.Wrong("channel", $"is '{channel}', which is no channel name", "use letters, digits and . _ -, beginning and ending with a letter or digit, 40 at most");
            return null;
        }
        if (channel is not null && section["versions"] is not null)
            section.Wrong("versions", "is here besides channel", "keep one of the two: a host follows a channel or a range");
        return channel is not null ? new Track.Channel(channel) : versions is not null ? new Track.Range(versions) : null;
    }

    private static Dictionary<string, string> ReadEnvironment(Section section)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, int line, YamlNode value) in section.Pairs("environment"))
        {
            void Wrong(string what, string instead) => section.WrongPair("environment", name, line, what, instead);
            if (!VariablePattern().IsMatch(name)) Wrong("is not a variable's name", "use letters, digits and '_', not beginning with a digit");
            else if (value is not YamlNode.Text text) Wrong("is not a single value", $"write '{name}: VALUE'");
            else if (text.IsNothing) Wrong("has no value", $"write '{name}: \"\"' for an empty one, or quote the word");
            else if (text.Value.Any(c => char.IsControl(c) && c != '\t')) Wrong("holds a line break or control character", "put the text into a file and name that file");
            else environment[name] = text.Value;
        }
        return environment;
    }

    private static List<UnitSource>? ReadUnits(AppName name, Section section, string? user, Func<int, YamlNode, UnitSource?> read)
    {
        string? command = section.Parse("command", CommandLine.Check);
        IReadOnlyList<YamlNode>? items = section.List("units");
        if (section["command"] is null && items is null) return null;
        var units = new List<UnitSource>();
        if (command is not null) units.Add(new UnitSource.Rendered(new UnitName($"{name}.service"), command, user));
        foreach ((int index, YamlNode item) in (items ?? []).Index())
        {
            if (read(index, item) is not { } unit) continue;
            if (unit.Name.Value == OwnUnit) section.WrongItem("units", index, item.Line, $"is {OwnUnit}, the agent's own", "give the unit another name");
            else if (unit.Name.Value.Contains("@.", StringComparison.Ordinal)) section.WrongItem("units", index, item.Line, "is a template, which cannot run", "name an instance: shop@1.service");
            else if (!units.Exists(other => other.Name == unit.Name)) units.Add(unit);
            else section.WrongItem("units", index, item.Line, $"is {unit.Name} once more", command is null ? "keep one" : $"keep one; 'command' makes {name}.service");
        }
        return units;
    }

    private static UnitSource? OperatorsUnit(Section section, int index, YamlNode item, string unitDirectory)
    {
        if (item is YamlNode.Text text)
            return NameOf(section, index, item, text.Value) is { } name ? new UnitSource.Operators(name, Path.Combine(unitDirectory, name.Value)) : null;
        if (item is not YamlNode.Map map)
        {
            section.WrongItem("units", index, item.Line, "is no unit", "write '- NAME.service', or a map of name and path");
            return null;
        }
        Section unit = section.Below("units", index, map, ConfigurationKeys.Unit);
        UnitName? named = unit.Parse("name", typed => new UnitName(typed));
        string? path = unit.Text("path");
        if (unit["name"] is null) unit.Wrong("name", "is missing", "write 'name: NAME.service'");
        if (unit["path"] is null) unit.Wrong("path", "is missing", "write where the unit file lies: on this host, or inside the release");
        if (named is null || path is null) return null;
        if (AgentFile.IsPlainPath(path)) return new UnitSource.Operators(named, path);
        if (IsInside(path)) return new UnitSource.Shipped(named, path);
        unit.Wrong("path", $"is '{path}'", "write an absolute path on this host, or a path inside the release, without '.' and '..'");
        return null;
    }

    private static UnitSource.Shipped? ReleasesUnit(Section section, int index, YamlNode item)
    {
        if (item is YamlNode.Text { Value: string path } && IsInside(path))
            return NameOf(section, index, item, path[(path.LastIndexOf('/') + 1)..]) is { } name ? new UnitSource.Shipped(name, path) : null;
        section.WrongItem("units", index, item.Line, "is not a path inside the release", "write it from the top of the release: systemd/shop.service");
        return null;
    }

    private static UnitName? NameOf(Section section, int index, YamlNode item, string text)
    {
        try
        {
            return new UnitName(text);
        }
        catch (OperatorException e)
        {
            section.WrongItem("units", index, item.Line, $"is wrong: {e.Message}", e.Remedy);
            return null;
        }
    }

    private static bool IsInside(string path) =>
        path.Length is > 0 and <= 4096 && !path.Any(c => char.IsControl(c) || c == '\\') && path.Split('/').All(part => part is not ("" or "." or ".."));

    [GeneratedRegex(@"\A[a-z_][a-z0-9_-]{0,30}\z")]
    private static partial Regex UserPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9])?\z")]
    private static partial Regex ChannelPattern();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z0-9_]{0,254}\z")]
    private static partial Regex VariablePattern();
}

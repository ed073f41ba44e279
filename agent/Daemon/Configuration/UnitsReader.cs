using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Settings of a unit that is rendered; null where nothing is said.</summary>
internal sealed record ProcessSettings(string? Restart, bool? Notify, long? Memory, int? Cpu, int? Tasks, TimeSpan? Stop, IReadOnlyList<string>? Allow)
{
    public static ProcessSettings None { get; } = new(null, null, null, null, null, null, null);

    public static ProcessSettings Read(Section section) => new(
        section.Choice("restart", "always", "on-failure", "no"),
        section.Flag("notify"),
        section.Size("memory", 1 << 20),
        section.Percent("cpu", 100_000),
        section.Number("tasks", 1, 4_194_304),
        section.Duration("stop", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
        section.Texts("allow", wall => ConfigurationKeys.Walls.Contains(wall) ? null : ($"is '{wall}', which is no wall", $"use some of {string.Join(", ", ConfigurationKeys.Walls)}")));

    /// <summary>A unit with what is said here; the rest of it stays.</summary>
    public UnitSource.Rendered Apply(UnitSource.Rendered unit) => unit with
    {
        Restart = Restart ?? unit.Restart,
        Notify = Notify ?? unit.Notify,
        Memory = Memory ?? unit.Memory,
        Cpu = Cpu ?? unit.Cpu,
        Tasks = Tasks ?? unit.Tasks,
        Stop = Stop ?? unit.Stop,
        Allow = Allow ?? unit.Allow,
    };
}

/// <summary>Reads <c>command</c>, <c>processes</c> and <c>units</c> of one file.</summary>
/// <param name="unitDirectory">Where a unit lies that the operator names; null: the file is a release's.</param>
internal sealed class UnitsReader(AppName app, Section section, string? unitDirectory)
{
    private readonly List<UnitSource> found = [];

    /// <summary>The unit that <c>command</c> makes.</summary>
    public static UnitName CommandUnit(AppName app) => new($"{app}.service");

    /// <summary>The unit itself, and the service that is rendered for a schedule.</summary>
    public static IEnumerable<UnitName> NamesOf(UnitSource unit)
    {
        yield return unit.Name;
        if (unit is UnitSource.Rendered { Schedule: not null }) yield return new UnitName($"{Path.GetFileNameWithoutExtension(unit.Name.Value)}.service");
    }

    /// <returns>Null where the file has none of the three.</returns>
    public IReadOnlyList<UnitSource>? Read(ProcessSettings settings)
    {
        string? command = section.Parse("command", CommandLine.Check);
        IReadOnlyList<YamlNode>? items = section.List("units");
        if (section["command"] is null && section["processes"] is null && items is null) return null;
        if (command is not null) found.Add(settings.Apply(new UnitSource.Rendered(CommandUnit(app), command, User: null)));
        foreach ((string name, int line, YamlNode value) in section.Pairs("processes"))
            if (ReadProcess(name, line, value) is { } process) found.Add(process);
        foreach ((int index, YamlNode item) in (items ?? []).Index())
        {
            if ((unitDirectory is null ? ReleasesUnit(index, item) : OperatorsUnit(index, item, unitDirectory)) is not { } unit) continue;
            if (Names.IsOwn(unit.Name)) section.WrongItem("units", index, item.Line, $"is {unit.Name}, one of the agent's own", "give the unit another name");
            else if (unit.Name.Value.Contains("@.", StringComparison.Ordinal)) section.WrongItem("units", index, item.Line, "is a template, which cannot run", "name an instance: shop@1.service");
            else if (!found.SelectMany(NamesOf).Contains(unit.Name)) found.Add(unit);
            else section.WrongItem("units", index, item.Line, $"is {unit.Name} once more", MakerOf(unit.Name) is { } maker ? $"keep one; '{maker}' makes {unit.Name}" : "keep one");
        }
        return found;
    }

    private string? MakerOf(UnitName unit) => found.OfType<UnitSource.Rendered>().FirstOrDefault(made => NamesOf(made).Contains(unit)) is not { } rendered ? null
        : rendered.Name == CommandUnit(app) ? "command" : $"processes.{Path.GetFileNameWithoutExtension(rendered.Name.Value)[(app.Value.Length + 1)..]}";

    private UnitSource.Rendered? ReadProcess(string name, int line, YamlNode value)
    {
        if (!Names.IsProcess(name))
        {
            section.WrongPair("processes", name, line, "is not a process's name", "use a-z, 0-9 and '-', beginning with a letter, 40 at most");
            return null;
        }
        if (value is YamlNode.Text { IsNothing: false } text) return Short(name, line, text.Value);
        if (value is not YamlNode.Map map)
        {
            section.WrongPair("processes", name, line, "is no process", $"write '{name}: PROGRAM ARGUMENTS', or a map with command");
            return null;
        }
        Section process = section.At($"processes.{name}", map, ConfigurationKeys.Process);
        string? command = process.Parse("command", CommandLine.Check);
        if (process["command"] is null) section.WrongPair("processes", name, line, "has no command", "write 'command: PROGRAM ARGUMENTS' below it");
        string? user = AppFile.ReadUser(process);
        string? schedule = process.Parse("schedule", Schedule.Check);
        ProcessSettings settings = ProcessSettings.Read(process);
        if (process["schedule"] is not null)
        {
            foreach (string key in (string[])["restart", "notify"])
                if (process[key] is not null) process.Wrong(key, "is here besides schedule", "take the line out: what a schedule starts runs to its end");
        }
        return command is null ? null
            : settings.Apply(new UnitSource.Rendered(new UnitName($"{app}-{name}.{(schedule is null ? "service" : "timer")}"), command, user) { Schedule = schedule });
    }

    private UnitSource.Rendered? Short(string name, int line, string text)
    {
        try
        {
            return new UnitSource.Rendered(new UnitName($"{app}-{name}.service"), CommandLine.Check(text), User: null);
        }
        catch (OperatorException e)
        {
            section.WrongPair("processes", name, line, $"is wrong: {e.Message}", e.Remedy);
            return null;
        }
    }

    private UnitSource? OperatorsUnit(int index, YamlNode item, string directory)
    {
        if (item is YamlNode.Text text)
            return NameOf(index, item, text.Value) is { } name ? new UnitSource.Operators(name, Path.Combine(directory, name.Value)) : null;
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
        if (Names.IsInside(path)) return new UnitSource.Shipped(named, path);
        unit.Wrong("path", $"is '{path}'", "write an absolute path on this host, or a path inside the release, without '.' and '..'");
        return null;
    }

    private UnitSource.Shipped? ReleasesUnit(int index, YamlNode item)
    {
        if (item is YamlNode.Text { Value: string path } && Names.IsInside(path))
            return NameOf(index, item, path[(path.LastIndexOf('/') + 1)..]) is { } name ? new UnitSource.Shipped(name, path) : null;
        section.WrongItem("units", index, item.Line, "is not a path inside the release", "write it from the top of the release: systemd/shop.service");
        return null;
    }

    private UnitName? NameOf(int index, YamlNode item, string text)
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
}

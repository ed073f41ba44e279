using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;
using Agent.Daemon.Systemd;

namespace Agent.Daemon.Releases;

/// <summary>What runs, or ran, at one time: a release with its units and environment as they were rendered for it.</summary>
/// <param name="Id">The deployment that made it.</param>
internal sealed record Generation(string Id, ReleaseRef Release, AppDefinition Definition)
{
    /// <summary>Whether it would run in the same way.</summary>
    public bool RunsAs(AppDefinition definition) =>
        JsonSerializer.Serialize(this, GenerationJson.Default.Generation) == JsonSerializer.Serialize(this with { Definition = definition }, GenerationJson.Default.Generation);

    public IEnumerable<UnitName> Units => Definition.Units.Select(unit => unit.Name);
}

/// <summary>
/// Generations, kept in <c>DATA/generations/APP/ID/</c>: <c>units/</c> as it is to lie in systemd's directory, <c>environment</c>,
/// and <c>generation.json</c>. An automatic rollback puts back all of it, not the old code under today's settings.
/// </summary>
/// <param name="dataDirectory">Usually <c>/var/lib/agentd</c>.</param>
/// <param name="unitDirectory">Usually <c>/etc/systemd/system</c>.</param>
internal sealed class Generations(IDisk disk, string dataDirectory, string unitDirectory, InstalledReleases releases)
{
    private const string DropIn = "10-agentd.conf";

    // Source: systemd.unit(5), "Unit File Load Path".
    private static readonly string[] PackagedUnits = ["/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/lib/systemd/system"];

    /// <summary>Renders and writes a generation, durably. Nothing that runs sees it yet.</summary>
    /// <exception cref="OperatorException">A unit file is missing in the release, or its name is taken by a unit that is not this app's (<see cref="ExitCode.Refused"/>).</exception>
    /// <param name="restored">A generation to put back, whose copy of an operator's unit is taken instead of today's; null: none.</param>
    public Generation Prepare(string id, ReleaseRef release, AppDefinition definition, string? restored)
    {
        AppName app = definition.Name;
        string directory = DirectoryOf(app, id);
        string environment = Path.Combine(directory, "environment");
        disk.MakeDirectories(dataDirectory, DurableOperations.Mode700);
        disk.MakeDirectories(Path.Combine(directory, "units"));
        disk.WriteAtomic(environment, UnitFile.Environment(definition.Environment), DurableOperations.Mode600);
        foreach (UnitSource unit in definition.Units)
        {
            string name = unit.Name.Value;
            foreach ((string file, string text) in UnitTexts(unit, release, definition, environment, restored))
            {
                RefuseForeignUnit(app, file);
                disk.WriteAtomic(Path.Combine(directory, "units", file), $"{Marker(app)}\n{text}");
            }
            if (unit is UnitSource.Rendered || !unit.Name.IsService) continue;
            disk.MakeDirectories(Path.Combine(directory, "units", $"{name}.d"));
            disk.WriteAtomic(Path.Combine(directory, "units", $"{name}.d", DropIn), $"{Marker(app)}\n{UnitFile.DropIn(definition, environment)}");
        }
        var generation = new Generation(id, release, definition);
        disk.WriteAtomic(Path.Combine(directory, "generation.json"), JsonSerializer.SerializeToUtf8Bytes(generation, GenerationJson.Default.Generation), DurableOperations.Mode600);
        return generation;
    }

    /// <summary>Null where it is gone.</summary>
    public Generation? Find(AppName app, string id)
    {
        try
        {
            return Load(app, id);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Texts of the unit files that a generation made, by their names.</summary>
    public IReadOnlyDictionary<string, string> Texts(AppName app, string id) =>
        FilesOf(app, id).ToDictionary(file => file, file => disk.ReadText(Path.Combine(DirectoryOf(app, id), "units", file)), StringComparer.Ordinal);

    public Generation Load(AppName app, string id) =>
        JsonSerializer.Deserialize(disk.ReadAll(Path.Combine(DirectoryOf(app, id), "generation.json")), GenerationJson.Default.Generation)
        ?? throw new InvalidDataException($"generation {id} of {app} is empty");

    /// <summary>Makes systemd's directory hold the units of <paramref name="to"/> and no more those of <paramref name="from"/>. systemd must reload afterwards.</summary>
    public void Install(AppName app, Generation? from, Generation? to)
    {
        IReadOnlyList<string> wanted = to is null ? [] : FilesOf(app, to.Id);
        foreach (string file in wanted)
        {
            byte[] content = disk.ReadAll(Path.Combine(DirectoryOf(app, to!.Id), "units", file));
            string target = Path.Combine(unitDirectory, file);
            disk.MakeDirectories(Path.GetDirectoryName(target)!);
            if (disk.Kind(target) != EntryKind.File || !disk.ReadAll(target).AsSpan().SequenceEqual(content)) disk.WriteAtomic(target, content);
        }
        foreach (string file in from is null ? [] : FilesOf(app, from.Id).Except(wanted))
        {
            disk.RemoveDurable(Path.Combine(unitDirectory, file));
            string directory = Path.GetDirectoryName(Path.Combine(unitDirectory, file))!;
            if (directory != unitDirectory && disk.List(directory).Count == 0) disk.RemoveDurable(directory);   // an operator's drop-ins stay
        }
    }

    /// <summary>Removes all generations of an app but those named.</summary>
    public void RemoveAllBut(AppName app, IReadOnlyCollection<string> kept)
    {
        string directory = Path.Combine(dataDirectory, "generations", app.Value);
        foreach (string id in disk.List(directory).Except(kept)) disk.RemoveDurable(Path.Combine(directory, id));
    }

    public void Remove(AppName app, string id) => disk.RemoveDurable(DirectoryOf(app, id));

    /// <summary>Makes durable what systemd itself wrote when units were enabled or disabled.</summary>
    public void SyncUnits() => disk.SyncTree(unitDirectory);

    /// <summary>Removes what interrupted operations left in systemd's directory.</summary>
    public void RemoveLeftovers(AppName app, Generation? current)
    {
        disk.RemoveLeftovers(unitDirectory);
        foreach (UnitName unit in current?.Units ?? []) disk.RemoveLeftovers(Path.Combine(unitDirectory, $"{unit}.d"));
    }

    private string DirectoryOf(AppName app, string id) => Path.Combine(dataDirectory, "generations", app.Value, id);

    /// <summary>Paths below <c>units/</c>: unit files, and drop-ins one level down.</summary>
    private List<string> FilesOf(AppName app, string id)
    {
        string units = Path.Combine(DirectoryOf(app, id), "units");
        var files = new List<string>();
        foreach (string name in disk.List(units).Order(StringComparer.Ordinal))
        {
            if (disk.Kind(Path.Combine(units, name)) == EntryKind.Directory)
                files.AddRange(disk.List(Path.Combine(units, name)).Select(child => Path.Combine(name, child)));
            else
                files.Add(name);
        }
        return files;
    }

    /// <returns>Files and their texts. None: the operator keeps the unit where systemd finds it; only a drop-in is added.</returns>
    private IReadOnlyList<(string File, string Text)> UnitTexts(UnitSource unit, ReleaseRef release, AppDefinition definition, string environment, string? restored) => unit switch
    {
        UnitSource.Rendered rendered => UnitFile.Render(rendered, definition, releases.AppDirectory(definition.Name), environment),
        UnitSource.Operators own when Path.GetDirectoryName(own.Path) == unitDirectory => [],
        _ => [(unit.Name.Value, UnitText(unit, release, definition, restored))],
    };

    private string UnitText(UnitSource unit, ReleaseRef release, AppDefinition definition, string? restored) => unit switch
    {
        UnitSource.Shipped shipped => releases.ReadText(definition.Name, release.Version, shipped.Path) ?? throw new OperatorException(
            ExitCode.Refused, $"{definition.Name} {release.Version} names the unit {shipped.Path} but holds no such file", "correct units: in the release's agent.yaml"),
        UnitSource.Operators when restored is not null && Stored(definition.Name, restored, unit.Name) is { } text => text,
        UnitSource.Operators own => disk.Exists(own.Path) ? disk.ReadText(own.Path) : throw new OperatorException(
            ExitCode.Refused, $"the unit {own.Path} of {definition.Name} is missing", $"make the file, or correct units: in apps.d/{definition.Name}.yaml"),
        _ => throw new NotSupportedException(unit.GetType().Name),
    };

    /// <summary>The text of a unit as a generation has it, without our marker; null where it has none.</summary>
    private string? Stored(AppName app, string id, UnitName unit)
    {
        string path = Path.Combine(DirectoryOf(app, id), "units", unit.Value);
        return disk.Exists(path) ? disk.ReadText(path)[(Marker(app).Length + 1)..] : null;
    }

    private void RefuseForeignUnit(AppName app, string name)
    {
        // A unit of a package would be shadowed by ours, and what depends on it would get our application.
        foreach (string directory in PackagedUnits)
        {
            if (directory != unitDirectory && disk.Exists(Path.Combine(directory, name)))
                throw new OperatorException(ExitCode.Refused, $"{Path.Combine(directory, name)} is a unit of this system", $"give {app}'s unit another name, or the app");
        }
        string path = Path.Combine(unitDirectory, name);
        if (disk.Kind(path) == EntryKind.Missing) return;
        if (disk.Kind(path) == EntryKind.File && disk.ReadText(path).StartsWith(Marker(app), StringComparison.Ordinal)) return;
        throw new OperatorException(
            ExitCode.Refused, $"{path} exists and is not {app}'s", $"remove it (or, if it is a mask, 'systemctl unmask {name}'), or give {app}'s unit another name");
    }

    private static string Marker(AppName app) => $"# Written by agentd for {app}; changes here are lost. Use a drop-in of your own.";
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, Converters = [typeof(AppNameConverter), typeof(UnitNameConverter), typeof(ReleaseVersionConverter), typeof(StepConverter)])]
[JsonSerializable(typeof(Generation))]
internal sealed partial class GenerationJson : JsonSerializerContext;

internal sealed class AppNameConverter : JsonConverter<AppName>
{
    public override AppName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, AppName value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
}

internal sealed class UnitNameConverter : JsonConverter<UnitName>
{
    public override UnitName Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, UnitName value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
}

internal sealed class ReleaseVersionConverter : JsonConverter<ReleaseVersion>
{
    public override ReleaseVersion Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => new(reader.GetString()!);

    public override void Write(Utf8JsonWriter writer, ReleaseVersion value, JsonSerializerOptions options) => writer.WriteStringValue(value.Text);
}

/// <summary>By its word; the version before backup, migrate and contract wrote numbers.</summary>
internal sealed class StepConverter : JsonConverter<Step>
{
    private static readonly Step[] Former = [Step.Fetch, Step.Stage, Step.Prepare, Step.Flip, Step.Restart, Step.Gate, Step.Sweep];

    public override Step Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        int at = reader.TokenType == JsonTokenType.Number ? reader.GetInt32() : Array.IndexOf(ConfigurationKeys.Steps, reader.GetString());
        if (reader.TokenType != JsonTokenType.Number && at >= 0) return (Step)at;
        return at >= 0 && at < Former.Length ? Former[at] : throw new JsonException("no step of a deployment");
    }

    public override void Write(Utf8JsonWriter writer, Step value, JsonSerializerOptions options) => writer.WriteStringValue(value.Word());
}

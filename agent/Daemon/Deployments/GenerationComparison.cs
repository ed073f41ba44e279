using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Releases;

namespace Agent.Daemon.Deployments;

/// <summary>What differs between two generations; a value is null where it may not be shown.</summary>
/// <param name="A">For people: <c>v1.1.0 (shop-3)</c>.</param>
internal sealed record GenerationDifference(
    string A, string B, ImmutableArray<Difference> Files, ImmutableArray<Difference> Units, ImmutableArray<Difference> Environment);

/// <param name="Before">Null: it was not there, or may not be shown.</param>
/// <param name="After">Null: it is not there any more, or may not be shown.</param>
internal sealed record Difference(DifferenceKind Kind, string Name, string? Before, string? After);

internal enum DifferenceKind
{
    Added,
    Removed,
    Changed,
}

/// <summary>Compares what ran at one time with what ran at another: files by path, units line by line, environment by name.</summary>
internal sealed partial class GenerationComparison(Generations generations, InstalledReleases releases)
{
    /// <param name="a">Id of a generation.</param>
    /// <exception cref="OperatorException">A generation or its release is not on this host any more (<see cref="ExitCode.Refused"/>).</exception>
    public GenerationDifference Compare(AppName app, string a, string b)
    {
        Generation before = Load(app, a), after = Load(app, b);
        return new GenerationDifference(
            Name(before), Name(after),
            Compare(Files(app, before), Files(app, after), _ => false),
            Compare(Texts(app, a), Texts(app, b), _ => false),
            Compare(Environment(before), Environment(after), MayBeSecret));
    }

    /// <summary>The same in lines for people, the first so many.</summary>
    public static IEnumerable<string> Lines(GenerationDifference difference, int most)
    {
        string[] lines =
        [
            .. difference.Units.Select(d => $"unit {Line(d)}"),
            .. difference.Environment.Select(d => $"environment {Line(d)}{(d.Before is null && d.After is null ? "" : $": {d.Before} -> {d.After}")}"),
            .. difference.Files.Select(d => $"file {Line(d)}"),
        ];
        return lines.Length <= most ? lines : [.. lines.Take(most), $"and {lines.Length - most} more"];
    }

    private Generation Load(AppName app, string id) => generations.Find(app, id) is { } found && releases.Holds(app, found.Release)
        ? found
        : throw new OperatorException(ExitCode.Refused, $"what {id} made is not on this host any more", $"see what is: agentctl releases --app {app}");

    private Dictionary<string, string> Files(AppName app, Generation generation) =>
        releases.Manifest(app, generation.Release.Version).Files.ToDictionary(entry => entry.Path, entry => entry switch
        {
            ManifestFile file => $"{file.Sha256.Hex[..12]}, {file.Size} bytes{(file.Executable ? ", executable" : "")}",
            ManifestLink link => $"-> {link.Target}",
            _ => "directory",
        }, StringComparer.Ordinal);

    // Each generation's units name its own directory: that is no difference.
    private Dictionary<string, string> Texts(AppName app, string id) =>
        generations.Texts(app, id).ToDictionary(unit => unit.Key, unit => unit.Value.Replace($"/generations/{app}/{id}/", $"/generations/{app}/ID/", StringComparison.Ordinal), StringComparer.Ordinal);

    private static Dictionary<string, string> Environment(Generation generation)
    {
        var all = new Dictionary<string, string>(generation.Definition.Environment, StringComparer.Ordinal);
        // References: the values are today's for every generation.
        if (generation.Definition.SecretsFile is { } file) all["(secrets file)"] = file;
        foreach ((string name, string path) in generation.Definition.Credentials ?? ImmutableDictionary<string, string>.Empty) all[$"(credential {name})"] = path;
        return all;
    }

    private static ImmutableArray<Difference> Compare(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b, Func<string, bool> hide) =>
    [
        .. a.Keys.Union(b.Keys).Order(StringComparer.Ordinal)
            .Select(name => (Name: name, Before: a.GetValueOrDefault(name), After: b.GetValueOrDefault(name)))
            .Where(pair => pair.Before != pair.After)
            .Select(pair => new Difference(
                pair.Before is null ? DifferenceKind.Added : pair.After is null ? DifferenceKind.Removed : DifferenceKind.Changed,
                pair.Name, hide(pair.Name) ? null : pair.Before, hide(pair.Name) ? null : pair.After)),
    ];

    private static string Name(Generation generation) => $"{generation.Release.Version} ({generation.Id})";

    private static string Line(Difference difference) => $"{difference.Kind.ToString().ToLowerInvariant()}: {difference.Name}";

    // People do put such things into environment: in spite of secrets: being there for them.
    private static bool MayBeSecret(string name) => SecretName().IsMatch(name);

    [GeneratedRegex("SECRET|PASSW|TOKEN|KEY|CREDENTIAL|AUTH|DSN|_URL$|^URL$", RegexOptions.IgnoreCase)]
    private static partial Regex SecretName();
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.Configuration;

/// <summary>The configuration of a directory: agentd.yaml and apps.d/APP.yaml. Safe to use from any thread.</summary>
internal sealed class ConfigurationFiles : IConfiguration
{
    public const string DefaultDirectory = "/etc/agentd";

    // An app's name is also its directory below /var/lib: the agent's own, and those of systemd (systemd.exec(5), StateDirectory=).
    private static readonly string[] Reserved = ["agentd", "private", "systemd"];

    private const string ReleaseFile = "agent.yaml of the release";

    private readonly string directory;
    private readonly IDisk disk;
    private volatile Whole whole;

    private ConfigurationFiles(string directory, IDisk disk, Whole whole) => (this.directory, this.disk, this.whole) = (directory, disk, whole);

    public AgentOptions Agent => whole.Agent;

    public IReadOnlyList<AppOptions> Apps => whole.Apps;

    /// <summary>Reads a directory; the defaults where it holds no agentd.yaml.</summary>
    /// <exception cref="OperatorException">With every problem of every file, a line each (<see cref="ExitCode.Usage"/>).</exception>
    public static ConfigurationFiles Load(string directory, IDisk disk) => new(directory, disk, Read(directory, disk));

    /// <summary>Reads the directory again. Where anything is wrong, what was in force stays.</summary>
    /// <exception cref="OperatorException">As <see cref="Load"/>.</exception>
    public void Reload() => whole = Read(directory, disk);

    public AppOptions App(AppName name) => File(whole, name).Options;

    public AppDefinition Define(AppName app, string? releaseYaml)
    {
        Whole now = whole;
        AppFile operators = File(now, app);
        AppFile? releases = null;
        if (releaseYaml is not null)
        {
            var problems = new Problems();
            if (Yaml.Read(ReleaseFile, releaseYaml, problems) is { } root)
            {
                releases = AppFile.ReadReleases(app, ReleaseFile, root, problems);
                Claim(releases, ReleaseFile, now.Files.Values, problems);
            }
            problems.ThrowIfAny(ExitCode.Refused, "correct agent.yaml and publish the release under a new version");
        }
        IReadOnlyList<UnitSource> units = operators.Units ?? releases?.Units ?? [];
        if (units.Count == 0)
        {
            throw new OperatorException(ExitCode.Refused, $"nothing says what to run for {app}: neither its agent.yaml nor apps.d/{app}.yaml has command or units",
                $"write 'command: bin/{app}' into agent.yaml of the release or into {Path.Combine(directory, "apps.d", app + ".yaml")}");
        }
        var environment = new Dictionary<string, string>(releases?.Environment ?? operators.Environment, StringComparer.Ordinal);
        foreach ((string name, string value) in operators.Environment) environment[name] = value;
        string? user = operators.User ?? releases?.User;
        return new AppDefinition(
            app, environment,
            [.. units.Select(unit => unit is UnitSource.Rendered rendered ? rendered with { User = user } : unit)],
            operators.Checks ?? releases?.Checks ?? [],
            new GateOptions(
                operators.GateStart ?? releases?.GateStart ?? AppFile.DefaultGate.Start,
                operators.GateStable ?? releases?.GateStable ?? AppFile.DefaultGate.Stable));
    }

    public IReadOnlyDictionary<string, string> Secrets(string secretsFile) => throw new NotImplementedException();

    public void Check() => Read(directory, disk);

    public string Effective(AppName? app, string? releaseYaml) => throw new NotImplementedException();

    private static AppFile File(Whole whole, AppName name)
    {
        if (whole.Files.TryGetValue(name.Value, out AppFile? file)) return file;
        string known = whole.Files.Count == 0 ? "there is none yet" : $"there is {string.Join(", ", whole.Files.Keys.Order(StringComparer.Ordinal))}";
        throw new OperatorException(ExitCode.Usage, $"no app {name} on this host; {known}", $"name one of these, or write apps.d/{name}.yaml");
    }

    private static Whole Read(string directory, IDisk disk)
    {
        var problems = new Problems();
        string agentFile = Path.Combine(directory, "agentd.yaml");
        YamlNode.Map? agentRoot = null;
        if (disk.Exists(agentFile) && Yaml.Load(disk, agentFile, problems) is { } agentText) agentRoot = Yaml.Read(agentFile, agentText, problems);
        AgentOptions agent = AgentFile.Read(agentFile, agentRoot, problems);

        string appsDirectory = Path.Combine(directory, "apps.d");
        var files = new Dictionary<string, AppFile>(StringComparer.Ordinal);
        foreach (string entry in disk.List(appsDirectory).Order(StringComparer.Ordinal))
        {
            string file = Path.Combine(appsDirectory, entry);
            if (entry.StartsWith('.')) continue;                                   // editors' and package managers' own
            if (entry.EndsWith(".yml", StringComparison.Ordinal)) problems.Add(file, 0, "would not be read", $"rename it to {entry[..^4]}.yaml");
            if (!entry.EndsWith(".yaml", StringComparison.Ordinal)) continue;
            if (NameOf(file, entry[..^5], problems) is not { } name || Yaml.Load(disk, file, problems) is not { } text) continue;
            if (Yaml.Read(file, text, problems) is not { } root) continue;
            files.Add(name.Value, AppFile.ReadOperators(name, file, root, agent.Units, problems));
        }
        foreach (AppFile app in files.Values) Claim(app, Path.Combine(appsDirectory, $"{app.Name}.yaml"), files.Values, problems);
        problems.ThrowIfAny(ExitCode.Usage, $"correct what is named; nothing of {directory} is used until then");
        return new Whole(agent, [.. files.Values.Select(file => file.Options)], files);
    }

    private static AppName? NameOf(string file, string text, Problems problems)
    {
        try
        {
            var name = new AppName(text);
            if (!Reserved.Contains(text)) return name;
            problems.Add(file, 0, $"gives an app the name {text}, which the system uses", "choose another name for the app");
        }
        catch (OperatorException e)
        {
            problems.Add(file, 0, $"is named after no app: {e.Message}", e.Remedy);
        }
        return null;
    }

    // A unit has one owner, or two apps would stop and replace each other's. Any app may have a unit that bears its name.
    private static void Claim(AppFile app, string file, IEnumerable<AppFile> others, Problems problems)
    {
        foreach (AppFile other in others.Where(other => other.Name != app.Name))
        {
            foreach (UnitSource unit in app.Units ?? [])
            {
                if (unit.Name.Value == $"{other.Name}.service" || (other.Units ?? []).Any(theirs => theirs.Name == unit.Name))
                    problems.Add(file, 0, $"{unit.Name} is a unit of {other.Name}", "give the unit another name");
            }
        }
    }

    private sealed record Whole(AgentOptions Agent, IReadOnlyList<AppOptions> Apps, IReadOnlyDictionary<string, AppFile> Files);
}

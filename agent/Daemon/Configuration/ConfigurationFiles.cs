using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.Configuration;

/// <summary>The configuration of a directory: agentd.yaml and apps.d/APP.yaml. Safe to use from any thread.</summary>
internal sealed class ConfigurationFiles : IConfiguration
{
    public const string DefaultDirectory = "/etc/agentd";

    private readonly string directory;
    private readonly IDisk disk;
    private volatile Whole whole;

    private ConfigurationFiles(string directory, IDisk disk, Whole whole) => (this.directory, this.disk, this.whole) = (directory, disk, whole);

    public AgentOptions Agent => whole.Agent;

    public IReadOnlyList<AppOptions> Apps => [.. whole.Files.Values.Select(Options)];

    /// <summary>Reads a directory; the defaults where it holds no agentd.yaml.</summary>
    /// <exception cref="OperatorException">With every problem of every file, a line each (<see cref="ExitCode.Usage"/>).</exception>
    public static ConfigurationFiles Load(string directory, IDisk disk) => new(directory, disk, Read(directory, disk));

    /// <summary>Reads the directory again. Where anything is wrong, what was in force stays.</summary>
    /// <exception cref="OperatorException">As <see cref="Load"/>.</exception>
    public void Reload() => whole = Read(directory, disk);

    public AppOptions App(AppName name) => Options(File(whole, name));

    public AppDefinition Define(AppName app, string? releaseYaml) => Join(app, releaseYaml).Define();

    public IReadOnlyDictionary<string, string> Secrets(string secretsFile)
    {
        var problems = new Problems();
        IReadOnlyDictionary<string, string> secrets = SecretsFile.Load(disk, secretsFile, problems);
        problems.ThrowIfAny(ExitCode.Refused, "correct what is named, then deploy again");
        return secrets;
    }

    public void Check() => Check(directory, disk);

    /// <summary>As <see cref="Check()"/>, of a directory that is not in force.</summary>
    public static void Check(string directory, IDisk disk)
    {
        var problems = new Problems();
        if (disk.Exists(directory)) CheckReferences(directory, disk, Read(directory, disk, problems), problems);
        else problems.Add(directory, 0, "is not there", "name the directory of agentd.yaml with --config");
        problems.ThrowIfAny(ExitCode.Usage, "correct what is named, then check again");
    }

    public string Effective(AppName? app, string? releaseYaml)
    {
        if (app is null)
        {
            Whole now = whole;
            return EffectiveText.Of(now.Agent, now.AgentKeys);
        }
        Joined joined = Join(app, releaseYaml);
        var problems = new Problems();
        IReadOnlyDictionary<string, string>? secrets = joined.SecretsFile is null ? null : SecretsFile.Load(disk, joined.SecretsFile, problems);
        return EffectiveText.Of(joined, problems.Count == 0 ? secrets?.Keys : null);
    }

    // Looked for anew: a secrets file may come at any time.
    private AppOptions Options(AppFile file) => file.Options with { SecretsFile = SecretsOf(directory, disk, file), SecretsPath = PathOfSecrets(directory, file) };

    private Joined Join(AppName app, string? releaseYaml)
    {
        Whole now = whole;
        AppFile operators = File(now, app);
        AppFile? releases = null;
        if (releaseYaml is not null)
        {
            var problems = new Problems();
            if (Yaml.Read(AppFile.OfRelease, releaseYaml, problems) is { } root)
            {
                releases = AppFile.ReadReleases(app, AppFile.OfRelease, root, problems);
                Claim(releases, AppFile.OfRelease, now.Files.Values, problems);
            }
            problems.ThrowIfAny(ExitCode.Refused, "correct agent.yaml and publish the release under a new version");
        }
        return new Joined(operators, releases, FileOf(directory, app), SecretsOf(directory, disk, operators));
    }

    private static AppFile File(Whole whole, AppName name)
    {
        if (whole.Files.TryGetValue(name.Value, out AppFile? file)) return file;
        string known = whole.Files.Count == 0 ? "there is none yet" : $"there is {string.Join(", ", whole.Files.Keys.Order(StringComparer.Ordinal))}";
        throw new OperatorException(ExitCode.Usage, $"no app {name} on this host; {known}", $"name one of these, or write apps.d/{name}.yaml");
    }

    private static string FileOf(string directory, AppName app) => Path.Combine(directory, "apps.d", $"{app}.yaml");

    private static string? SecretsOf(string directory, IDisk disk, AppFile operators)
    {
        string path = PathOfSecrets(directory, operators);
        return operators.Secrets is not null || disk.Exists(path) ? path : null;
    }

    private static string PathOfSecrets(string directory, AppFile operators) =>
        operators.Secrets?.Path ?? Path.Combine(directory, "secrets.d", $"{operators.Name}.env");

    // Apart from reading: what runs does not depend on a secret that is rotated at this moment.
    private static void CheckReferences(string directory, IDisk disk, Whole whole, Problems problems)
    {
        if (whole.Agent.Listener is { } listener) ListenerFile.Check(disk, listener, Path.Combine(directory, "agentd.yaml"), problems);
        foreach (AppFile app in whole.Files.Values)
        {
            if (app.Secrets is { } named && !disk.Exists(named.Path))
                problems.Add(FileOf(directory, app.Name), named.Line, $"secrets names {named.Path}, which is not there", "make the file with mode 600, or take the line out");
            else if (SecretsOf(directory, disk, app) is { } secrets) SecretsFile.Load(disk, secrets, problems);
            foreach ((string name, FileReference credential) in app.Credentials)
                if (!disk.Exists(credential.Path)) problems.Add(FileOf(directory, app.Name), credential.Line, $"credentials.{name} names {credential.Path}, which is not there", "make the file, or take the line out");
        }
    }

    private static Whole Read(string directory, IDisk disk)
    {
        var problems = new Problems();
        Whole whole = Read(directory, disk, problems);
        problems.ThrowIfAny(ExitCode.Usage, $"correct what is named; nothing of {directory} is used until then");
        return whole;
    }

    /// <returns>What can be read, to look for more problems.</returns>
    private static Whole Read(string directory, IDisk disk, Problems problems)
    {
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
        foreach (AppFile app in files.Values) Claim(app, FileOf(directory, app.Name), files.Values, problems);
        return new Whole(agent, AgentFile.KeysOf(agentRoot), files);
    }

    private static AppName? NameOf(string file, string text, Problems problems)
    {
        try
        {
            var name = new AppName(text);
            if (!Names.IsReserved(name)) return name;
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
            foreach (UnitName unit in (app.Units ?? []).SelectMany(UnitsReader.NamesOf))
            {
                if (unit == UnitsReader.CommandUnit(other.Name) || (other.Units ?? []).SelectMany(UnitsReader.NamesOf).Contains(unit))
                    problems.Add(file, 0, $"{unit} is a unit of {other.Name}", "give the unit another name");
            }
        }
    }

    private sealed record Whole(AgentOptions Agent, IReadOnlySet<string> AgentKeys, IReadOnlyDictionary<string, AppFile> Files);
}

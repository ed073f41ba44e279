using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Configuration;

/// <summary>What the operator's or the developer's file says of an app; null and empty where it is silent.</summary>
internal sealed record AppFile(AppName Name)
{
    public const int DefaultKeep = 3;

    /// <summary>The name of a release's file in messages.</summary>
    public const string OfRelease = "agent.yaml of the release";

    private const string TemplateSuffix = ".template";

    public static readonly GateOptions DefaultGate = new(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(10));

    public Track? Track { get; init; }

    public ReleaseVersion? MaxVersion { get; init; }

    public int? Keep { get; init; }

    public long? KeepFree { get; init; }

    public IReadOnlyDictionary<Step, TimeSpan> Deadlines { get; init; } = new Dictionary<Step, TimeSpan>();

    public FileReference? Secrets { get; init; }

    public IReadOnlyDictionary<string, FileReference> Credentials { get; init; } = new Dictionary<string, FileReference>();

    public TimeSpan? Watch { get; init; }

    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    public string? User { get; init; }

    /// <summary>What to run: a command's unit first, then the processes, then the units that are listed.</summary>
    public IReadOnlyList<UnitSource>? Units { get; init; }

    /// <summary>Settings of the command's unit. An operator's without a command of his own are for the release's.</summary>
    public ProcessSettings Settings { get; init; } = ProcessSettings.None;

    public IReadOnlyList<string> SharedDirectories { get; init; } = [];

    public IReadOnlyList<string> SharedFiles { get; init; } = [];

    public IReadOnlyList<string> Templates { get; init; } = [];

    public DatabaseOptions? Database { get; init; }

    /// <summary><see cref="DatabaseFile.NoMigrations"/> where the operator wants none.</summary>
    public MigrationOptions? Migrations { get; init; }

    public IReadOnlyList<HookOptions> Hooks { get; init; } = [];

    public IReadOnlyList<CheckOptions>? Checks { get; init; }

    public TimeSpan? GateStart { get; init; }

    public TimeSpan? GateStable { get; init; }

    public AppOptions Options => new(
        Name, Track, Environment, Units, Checks,
        GateStart is null && GateStable is null ? null : new GateOptions(GateStart ?? DefaultGate.Start, GateStable ?? DefaultGate.Stable), Keep ?? DefaultKeep)
    {
        MaxVersion = MaxVersion,
        KeepFree = KeepFree ?? 0,
        Deadlines = Deadlines,
        Hooks = Hooks,
        Database = Database,
    };

    /// <summary>Reads apps.d/APP.yaml.</summary>
    /// <param name="unitDirectory">Where a unit lies that is given by its name alone.</param>
    public static AppFile ReadOperators(AppName name, string file, YamlNode.Map root, string unitDirectory, Problems problems)
    {
        var section = new Section(problems, file, "", root, ConfigurationKeys.App);
        AppFile app = Read(name, section, new UnitsReader(name, section, unitDirectory), operators: true) with
        {
            Track = ReadTrack(section),
            MaxVersion = section.Parse("max_version", text => new ReleaseVersion(text)),
            Keep = section.Number("keep", 1, 100),
            KeepFree = section.Size("keep_free", 0),
            Deadlines = ReadDeadlines(section),
            Secrets = ReadSecrets(section),
            Credentials = ReadCredentials(section),
            Database = DatabaseFile.Read(section),
            Watch = section.Duration("watch", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
        };
        if (app.Units is not null && section["command"] is null) RefuseSettings(section, "is for 'command', which is not here", "write it below its process");
        if (app.Migrations is not null && app.Migrations != DatabaseFile.NoMigrations && section["database"] is null)
            section.Wrong("migrations", "is here without database", $"write 'database: {DatabaseFile.DefaultUrl}', the name of the secret that holds the address");
        return app;
    }

    /// <summary>Reads a release's agent.yaml.</summary>
    public static AppFile ReadReleases(AppName name, string file, YamlNode.Map root, Problems problems)
    {
        var section = new Section(problems, file, "", root, ConfigurationKeys.Release);
        if (section["command"] is null) RefuseSettings(section, "is for 'command', which is not here", "write it below its process, or give a command");
        return Read(name, section, new UnitsReader(name, section, unitDirectory: null), operators: false) with
        {
            Templates = section.Texts("templates", path => !Names.IsInside(path) ? ("is not a path inside the release", "write it from the top of the release")
                : !path.EndsWith(TemplateSuffix, StringComparison.Ordinal) || path.Length - path.LastIndexOf('/') - 1 <= TemplateSuffix.Length
                    ? ($"is {path}, which does not end in {TemplateSuffix}", $"name the file app.conf{TemplateSuffix}; it is filled as app.conf") : null) ?? [],
        };
    }

    private static AppFile Read(AppName name, Section section, UnitsReader units, bool operators)
    {
        Section? gate = section.Map("gate", ConfigurationKeys.Gate);
        Section? shared = section.Map("shared", ConfigurationKeys.Shared);
        ProcessSettings settings = ProcessSettings.Read(section);
        return new AppFile(name)
        {
            Environment = ReadEnvironment(section),
            User = ReadUser(section),
            Settings = settings,
            Units = units.Read(settings),
            SharedDirectories = shared?.Texts("directories", WrongShared) ?? [],
            SharedFiles = shared?.Texts("files", WrongShared) ?? [],
            Migrations = DatabaseFile.ReadMigrations(section, operators),
            Hooks = HookFile.Read(section, operators),
            Checks = CheckFile.Read(section, operators),
            GateStart = gate?.Duration("start", TimeSpan.FromSeconds(1), TimeSpan.FromHours(1)),
            GateStable = gate?.Duration("stable", TimeSpan.Zero, TimeSpan.FromHours(1)),
        };
    }

    /// <summary>A name of <c>user</c>; null where it is absent or wrong.</summary>
    public static string? ReadUser(Section section)
    {
        string? user = section.Text("user");
        if (user is null || Names.IsUser(user)) return user;
        section.Wrong("user", $"is '{user}', which is no user name", Names.UserRule);
        return null;
    }

    private static void RefuseSettings(Section section, string what, string instead)
    {
        foreach (string key in ConfigurationKeys.Settings)
            if (section[key] is not null) section.Wrong(key, what, instead);
    }

    private static Track? ReadTrack(Section section)
    {
        VersionRange? versions = section.Parse("versions", text => new VersionRange(text));
        string? channel = section.Text("channel");
        if (channel is not null && !Names.IsChannel(channel))
        {
            section.Wrong("channel", $"is '{channel}', which is no channel name", "use letters, digits and . _ -, beginning and ending with a letter or digit, 40 at most");
            return null;
        }
        if (channel is not null && section["versions"] is not null)
            section.Wrong("versions", "is here besides channel", "keep one of the two: a host follows a channel or a range");
        return channel is not null ? new Track.Channel(channel) : versions is not null ? new Track.Range(versions) : null;
    }

    private static Dictionary<Step, TimeSpan> ReadDeadlines(Section section)
    {
        var deadlines = new Dictionary<Step, TimeSpan>();
        if (section.Map("deadlines", ConfigurationKeys.Steps) is not { } steps) return deadlines;
        foreach ((int index, string step) in ConfigurationKeys.Steps.Index())
            if (steps.Duration(step, TimeSpan.FromSeconds(1), TimeSpan.FromHours(24)) is { } limit) deadlines[(Step)index] = limit;
        return deadlines;
    }

    /// <summary>Variables of <c>environment</c>; empty where it is absent.</summary>
    public static Dictionary<string, string> ReadEnvironment(Section section)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, int line, YamlNode value) in section.Pairs("environment"))
        {
            void Wrong(string what, string instead) => section.WrongPair("environment", name, line, what, instead);
            if (!Names.IsVariable(name)) Wrong("is not a variable's name", "use letters, digits and '_', not beginning with a digit");
            else if (value is not YamlNode.Text text) Wrong("is not a single value", $"write '{name}: VALUE'");
            else if (text.IsNothing) Wrong("has no value", $"write '{name}: \"\"' for an empty one, or quote the word");
            else if (text.Value.Any(c => char.IsControl(c) && c != '\t')) Wrong("holds a line break or control character", "put the text into a file and name that file");
            else environment[name] = text.Value;
        }
        return environment;
    }

    private static FileReference? ReadSecrets(Section section)
    {
        if (section.Text("secrets") is not { } path) return null;
        if (AgentFile.IsPlainPath(path)) return new FileReference(path, section.LineOf("secrets"));
        section.Wrong("secrets", $"is '{path}'", "write the absolute path of a file with NAME=VALUE lines, without '.' and '..'");
        return null;
    }

    private static Dictionary<string, FileReference> ReadCredentials(Section section)
    {
        var credentials = new Dictionary<string, FileReference>(StringComparer.Ordinal);
        foreach ((string name, int line, YamlNode value) in section.Pairs("credentials"))
        {
            if (!Names.IsCredential(name)) section.WrongPair("credentials", name, line, "is not a credential's name", "use letters, digits and . _ -, 64 at most");
            else if (value is YamlNode.Text { Value: string path } && AgentFile.IsPlainPath(path)) credentials[name] = new FileReference(path, line);
            else section.WrongPair("credentials", name, line, "is not a path", $"write '{name}: /absolute/path', without '.' and '..'");
        }
        return credentials;
    }

    // What the agent itself reads of a release is the release's alone.
    private static (string What, string Instead)? WrongShared(string path) => !Names.IsInside(path)
        ? ("is not a path inside the release", "write it from the top of the release: log")
        : path is "agent.yaml" or "VERSION" ? ($"is {path}, which belongs to each release", "share what the app writes") : null;
}

/// <summary>A file of the host that a configuration names, and the line where it does.</summary>
internal readonly record struct FileReference(string Path, int Line);

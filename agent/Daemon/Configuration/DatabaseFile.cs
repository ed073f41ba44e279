using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;

namespace Agent.Daemon.Configuration;

/// <summary>Reads <c>database:</c> of the operator's file and <c>migrations:</c> of both.</summary>
internal static class DatabaseFile
{
    public const string DefaultUrl = "DATABASE_URL";

    /// <summary>What <c>migrations: none</c> reads as: the operator leaves those of the release alone.</summary>
    public static MigrationOptions NoMigrations { get; } = new();

    private const string None = "none";

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1), Day = TimeSpan.FromHours(24);

    /// <returns>Null where the key is absent or wrong as a whole.</returns>
    public static DatabaseOptions? Read(Section file)
    {
        if (file["database"] is null) return null;
        if (file["database"] is YamlNode.Text) return Variable(file, "database") is { } name ? new DatabaseOptions(name) : null;
        if (file.Map("database", ConfigurationKeys.Database) is not { } section) return null;
        var defaults = new DatabaseOptions(Variable(section, "url") ?? DefaultUrl);
        return defaults with
        {
            Admin = Variable(section, "admin"),
            Environment = AppFile.ReadEnvironment(section),
            LockTimeout = section.Duration("lock_timeout", TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)) ?? defaults.LockTimeout,
            LockRetries = section.Number("lock_retries", 0, 1000) ?? defaults.LockRetries,
            StatementTimeout = section.Duration("statement_timeout", Second, Day),
            Wait = section.Duration("wait", Second, Day) ?? defaults.Wait,
            RestorePoints = section["restore_points"] is YamlNode.Text { Value: None } ? null : ReadRestorePoints(section),
        };
    }

    /// <param name="operators">Who may also want none.</param>
    /// <returns>Null where the key is absent or wrong as a whole; <see cref="NoMigrations"/> where the operator wants none.</returns>
    public static MigrationOptions? ReadMigrations(Section file, bool operators)
    {
        switch (file["migrations"])
        {
            case null:
                return null;
            case YamlNode.Text { Value: None } when operators:
                return NoMigrations;
            case YamlNode.Text text when text.Value.Contains(' ', StringComparison.Ordinal):
                file.Wrong("migrations", "is not the path of a directory", "write 'command: PROGRAM ARGUMENTS' below it, or 'directory: PATH'");
                return null;
            case YamlNode.Text:
                return Directory(file, "migrations") is { } only ? new MigrationOptions { Directory = only } : null;
        }
        if (file.Map("migrations", ConfigurationKeys.Migrations) is not { } section) return null;
        if (section["directory"] is null == section["command"] is null)
        {
            if (section["command"] is null) file.Wrong("migrations", "has neither directory nor command", "write 'directory: PATH' of SQL files in the release, or 'command: PROGRAM ARGUMENTS'");
            else section.Wrong("command", "is here besides directory", "keep one of the two");
            return null;
        }
        if (section["command"] is null)
        {
            foreach (string key in ConfigurationKeys.Migrations.Except(["directory", "command"]))
                if (section[key] is not null) section.Wrong(key, "is only for command", "take the line out; an SQL file says such things in its first lines");
            return Directory(section, "directory") is { } path ? new MigrationOptions { Directory = path } : null;
        }
        var defaults = new MigrationOptions();
        return defaults with
        {
            Command = section.Parse("command", text => CommandLine.Check(text)),
            Files = section.Texts("files", WrongPattern) ?? [],
            AfterCommit = section.Choice("phase", "before", "after-commit") == "after-commit",
            Timeout = section.Duration("timeout", Second, Day) ?? defaults.Timeout,
            Memory = section.Size("memory", 1 << 20),
            CompatibleWith = section.Parse("compatible_with", text => new ReleaseVersion(text)),
        };
    }

    private static RestorePointOptions ReadRestorePoints(Section database)
    {
        var defaults = new RestorePointOptions();
        if (database["restore_points"] is YamlNode.Text text) database.Wrong("restore_points", $"is '{text.Value}'", "write none, or a map with directory and keep");
        else if (database.Map("restore_points", ConfigurationKeys.RestorePoints) is { } points) return Read(points, defaults);
        return defaults;
    }

    private static RestorePointOptions Read(Section points, RestorePointOptions defaults)
    {
        string? directory = points.Text("directory");
        if (directory is not null && !AgentFile.IsPlainPath(directory))
            points.Wrong("directory", $"is '{directory}'", "write an absolute path without '.', '..' and a slash at its end");
        string? store = points.Parse("store", Writable);
        if (store is not null && directory is not null) points.Wrong("store", "is here besides directory", "keep one of the two");
        if (store is not null && points["command"] is not null) points.Wrong("store", "is for dumps of pg_dump, which command takes the place of", "take the line out");
        string? command = Command(points, "command"), restore = Command(points, "restore_command");
        if (points["command"] is not null && points["jobs"] is not null) points.Wrong("jobs", "is only for pg_dump, which command takes the place of", "take the line out");
        if (points["command"] is null && restore is not null) points.Wrong("restore_command", "is here without command", "write the command that makes what this one puts back");
        return defaults with
        {
            Directory = directory,
            Store = store,
            Keep = points.Number("keep", 1, 1000) ?? defaults.Keep,
            MaxAge = points.Duration("max_age", TimeSpan.FromHours(1), TimeSpan.FromHours(1_000_000)),
            MaxSize = points.Size("max_size", 1 << 20),
            Jobs = points.Number("jobs", 1, 64) ?? defaults.Jobs,
            Command = command,
            RestoreCommand = restore,
        };
    }

    // What stands there instead of a name is an address, most likely, with its password: it is not told.
    private static string? Variable(Section section, string key)
    {
        string? name = section.Text(key);
        if (name is null || Names.IsVariable(name)) return name;
        section.Wrong(key, "is not the name of a variable", $"write the address into the app's secrets ({DefaultUrl}=postgres://USER:PASSWORD@HOST/NAME), and here that name: {DefaultUrl}");
        return null;
    }

    private static string? Directory(Section section, string key)
    {
        if (section.Text(key) is not { } path) return null;
        if (Names.IsInside(path)) return path;
        section.Wrong(key, "is not a path inside the release", "write it from the top of the release: migrations");
        return null;
    }

    private static string? Command(Section section, string key) => section.Parse(key, text =>
        CommandLine.Check(text, mayBeAbsolute: true) is var command && command.StartsWith('/') ? command
            : throw new OperatorException(ExitCode.Usage, "it is no program of the host", "write its absolute path"));

    // Nothing is contacted.
    private static string Writable(string location)
    {
        if (!location.Contains("://", StringComparison.Ordinal) && !AgentFile.IsPlainPath(location))
            throw new OperatorException(ExitCode.Usage, $"'{location}' is no place for it", "write an absolute path without '.', '..' and a slash at its end");
        Stores.OpenPrivate(location, new Disk(), TimeProvider.System);
        return location;
    }

    private static (string What, string Instead)? WrongPattern(string pattern) =>
        Names.IsInside(pattern) ? null : ("is not a path inside the release", "write it from the top of the release: priv/repo/migrations/*");
}

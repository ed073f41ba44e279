using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>An app's PostgreSQL database: the operator's <c>database:</c>. Addresses are named, not held: they are secrets, read when they are needed.</summary>
/// <param name="Url">Name of the secret or environment variable that holds the URL (<c>postgres://USER:PASSWORD@HOST/NAME</c>) or a libpq connection string.
/// Where there is no such variable: the PG* variables of secrets and environment, and libpq's files. Default DATABASE_URL.</param>
internal sealed record DatabaseOptions(string Url)
{
    public static readonly IReadOnlyDictionary<string, string> NoEnvironment = new Dictionary<string, string>();

    /// <summary>Name of the variable that holds the URL of a role that may create databases and roles; null: the system user postgres on this host.</summary>
    public string? Admin { get; init; }

    /// <summary>Environment of a migration's command only, over the app's.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = NoEnvironment;

    /// <summary>How long a statement may wait for a lock that others hold. Default 2 s.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often a file is tried again after it did not get its lock. Default 10.</summary>
    public int LockRetries { get; init; } = 10;

    /// <summary>Of each statement; null: none, the step's deadline alone.</summary>
    public TimeSpan? StatementTimeout { get; init; }

    /// <summary>How long to wait for another host that migrates. Default 1 h.</summary>
    public TimeSpan Wait { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Null: none are taken by themselves (<c>restore_points: none</c>).</summary>
    public RestorePointOptions? RestorePoints { get; init; } = new();
}

/// <summary>Where restore points of an app's database are kept, and for how long. The newest always stays.</summary>
internal sealed record RestorePointOptions
{
    /// <summary>An absolute directory; null: below the agent's data. Each app has a directory of its own in it.</summary>
    public string? Directory { get; init; }

    /// <summary>Instead of <see cref="Directory"/>: a store that can be written to, as one that holds releases; each app and host has a place of its own in it. Null: none.</summary>
    public string? Store { get; init; }

    /// <summary>Default 5.</summary>
    public int Keep { get; init; } = 5;

    /// <summary>Null: no limit.</summary>
    public TimeSpan? MaxAge { get; init; }

    /// <summary>Bytes of all together; null: no limit.</summary>
    public long? MaxSize { get; init; }

    /// <summary>Parallel jobs of dump and restore. Default 1.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>The operator's own command instead of pg_dump (<c>pgbackrest ... backup</c>, a volume's snapshot); its last line of output names what it made. Null: pg_dump.</summary>
    public string? Command { get; init; }

    /// <summary>Puts back what <see cref="Command"/> made; its name is the last argument. Null: a person does that.</summary>
    public string? RestoreCommand { get; init; }
}

/// <summary>How a release migrates the database: <c>migrations:</c> of its agent.yaml. Either <see cref="Directory"/> or <see cref="Command"/>.</summary>
internal sealed record MigrationOptions
{
    /// <summary>Directory of SQL files in the release; null: <see cref="Command"/>.</summary>
    public string? Directory { get; init; }

    /// <summary>Program of the release and arguments, run from the new release as the app's user; null: <see cref="Directory"/>.</summary>
    public string? Command { get; init; }

    /// <summary>Patterns (<c>*</c>, <c>**</c>) of files of the release that <see cref="Command"/> runs: when none of them has changed since it last ran, nothing is pending. Empty: it runs at every deployment.</summary>
    public IReadOnlyList<string> Files { get; init; } = [];

    /// <summary><see cref="Command"/> runs after the new release was kept, for changes that the one before could not live with.</summary>
    public bool AfterCommit { get; init; }

    /// <summary>Of <see cref="Command"/>. Default 1 h.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Of <see cref="Command"/>, in bytes; null: no limit.</summary>
    public long? Memory { get; init; }

    /// <summary>The oldest version that can read the schema that <see cref="Command"/> leaves; null: not known, so no release before this one may come back by itself.</summary>
    public ReleaseVersion? CompatibleWith { get; init; }
}

using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Daemon.State;

namespace Agent.Daemon.Configuration;

/// <summary>What a host follows, or what a person asked for.</summary>
internal abstract record Track
{
    private Track() { }

    /// <summary>A signed name that points at a version.</summary>
    public sealed record Channel(string Name) : Track
    {
        public override string ToString() => $"channel {Name}";
    }

    /// <summary>The highest published version in a range.</summary>
    public sealed record Range(VersionRange Versions) : Track
    {
        public override string ToString() => $"range {Versions}";
    }

    /// <summary>One version, by name.</summary>
    public sealed record Exactly(ReleaseVersion Version) : Track
    {
        public override string ToString() => Version.Text;
    }
}

/// <summary>One health check.</summary>
/// <param name="Name">For people, unique in its app: <c>http /up</c>.</param>
/// <param name="Interval">Between two runs. Default 1 s.</param>
/// <param name="Timeout">Of one run. Default 2 s.</param>
/// <param name="Healthy">Passes in a row until it counts as passing. Default 1.</param>
/// <param name="Unhealthy">Failures in a row until a check that has passed counts as failing. Default 3.</param>
[JsonDerivedType(typeof(Http), "http")]
[JsonDerivedType(typeof(Tcp), "tcp")]
[JsonDerivedType(typeof(UnixSocket), "socket")]
[JsonDerivedType(typeof(Command), "command")]
[JsonDerivedType(typeof(UnitActive), "unit")]
internal abstract record CheckOptions(string Name, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
{
    /// <summary>GET; passes with the status in <paramref name="Status"/> (default 200 to 299 as null). Redirects are not followed.</summary>
    public sealed record Http(string Name, Uri Url, int? Status, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy)
    {
        /// <summary>Absolute path of the Unix socket to ask; null: TCP, as the URL says.</summary>
        public string? Socket { get; init; }

        /// <summary>What the first 64 KiB of the body must contain; null: anything.</summary>
        public string? Body { get; init; }

        /// <summary>What the answer's headers must be; null: anything.</summary>
        public IReadOnlyDictionary<string, string>? Headers { get; init; }

        /// <summary>Headers to send; null: none.</summary>
        public IReadOnlyDictionary<string, string>? RequestHeaders { get; init; }
    }

    /// <summary>Passes when a connection is accepted.</summary>
    public sealed record Tcp(string Name, string Host, int Port, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy);

    /// <summary>Passes when a connection to the Unix socket at an absolute path is accepted.</summary>
    public sealed record UnixSocket(string Name, string Path, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy);

    /// <summary>Passes when a command ends with status 0. It runs in <c>current</c> as the app's user, with its environment.</summary>
    /// <param name="Line">Program of the release, or absolute, and arguments.</param>
    public sealed record Command(string Name, string Line, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy);

    /// <summary>Passes while a unit that is not the app's own is active.</summary>
    public sealed record UnitActive(string Name, UnitName Unit, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy);
}

/// <summary>The gate: how a new release proves itself. Unit state and restart count are always watched.</summary>
/// <param name="Start">Time from the restart within which every check must pass for the first time. Default 60 s.</param>
/// <param name="Stable">Time for which they must then stay passing, without a restart of a unit. Default 10 s.</param>
internal sealed record GateOptions(TimeSpan Start, TimeSpan Stable);

/// <summary>A unit of an app: shipped in the release, brought by the operator, or rendered from a command line.</summary>
[JsonDerivedType(typeof(Shipped), "shipped")]
[JsonDerivedType(typeof(Operators), "operators")]
[JsonDerivedType(typeof(Rendered), "rendered")]
internal abstract record UnitSource(UnitName Name)
{
    /// <param name="Path">Inside the release.</param>
    public sealed record Shipped(UnitName Name, string Path) : UnitSource(Name);

    /// <param name="Path">Absolute, on the host.</param>
    public sealed record Operators(UnitName Name, string Path) : UnitSource(Name);

    /// <param name="Command">Program relative to the release, and arguments, as written after ExecStart=.</param>
    /// <param name="User">Runs as; null: as the app's user.</param>
    public sealed record Rendered(UnitName Name, string Command, string? User) : UnitSource(Name)
    {
        /// <summary>As systemd's OnCalendar; then <see cref="UnitSource.Name"/> is a timer's, and a service of the same name is rendered beside it. Null: it runs always.</summary>
        public string? Schedule { get; init; }

        /// <summary>systemd's Restart: <c>always</c> (default, as null), <c>on-failure</c>, <c>no</c>.</summary>
        public string? Restart { get; init; }

        /// <summary>It tells systemd itself when it is ready (Type=notify).</summary>
        public bool Notify { get; init; }

        /// <summary>Bytes; null: no limit.</summary>
        public long? Memory { get; init; }

        /// <summary>Percent of one core; null: no limit.</summary>
        public int? Cpu { get; init; }

        /// <summary>Processes and threads; null: systemd's default.</summary>
        public int? Tasks { get; init; }

        /// <summary>Time to stop before it is killed; null: 30 s.</summary>
        public TimeSpan? Stop { get; init; }

        /// <summary>Walls to leave out, by name (see docs/reference/configuration.md); null: none.</summary>
        public IReadOnlyList<string>? Allow { get; init; }
    }
}

/// <summary>A command of the operator or developer before or after a step of a deployment, as a transient unit.</summary>
/// <param name="Name">Unique in its app: <c>before-flip</c>, <c>after-gate-2</c>.</param>
/// <param name="Line">Program of the release, or absolute, and arguments. It runs in the new release's directory.</param>
/// <param name="User">Null: the app's user.</param>
/// <param name="Timeout">Default 60 s.</param>
/// <param name="Memory">Bytes; null: no limit.</param>
/// <param name="MayFail">Its failure is told and changes nothing. Default false; a failing hook after the commit point never undoes anything.</param>
internal sealed record HookOptions(string Name, Step Step, bool Before, string Line, string? User, TimeSpan Timeout, long? Memory, bool MayFail);

/// <summary>What the operator's file (apps.d/APP.yaml) says; null and empty where it is silent.</summary>
/// <param name="Keep">Releases that proved healthy to keep besides the current one. Default 3, at least 1.</param>
internal sealed record AppOptions(
    AppName Name, Track? Track, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<UnitSource>? Units,
    IReadOnlyList<CheckOptions>? Checks, GateOptions? Gate, int Keep)
{
    /// <summary>The highest version that may run here; null: any.</summary>
    public ReleaseVersion? MaxVersion { get; init; }

    /// <summary>Bytes to be free below the releases; older good releases go early for it, never the last good one. Default 0.</summary>
    public long KeepFree { get; init; }

    /// <summary>Limits of steps that the operator set; the others have the engine's.</summary>
    public IReadOnlyDictionary<Step, TimeSpan> Deadlines { get; init; } = new Dictionary<Step, TimeSpan>();

    /// <summary>The operator's own hooks: all that can run before the release lies on this host.</summary>
    public IReadOnlyList<HookOptions> Hooks { get; init; } = [];

    /// <summary>Null: the app has none.</summary>
    public DatabaseOptions? Database { get; init; }

    /// <summary>As <see cref="AppDefinition.SecretsFile"/>, for what needs no release.</summary>
    public string? SecretsFile { get; init; }

    /// <summary>Where that file is, or would be.</summary>
    public string SecretsPath { get; init; } = "";
}

/// <summary>What one release of an app runs as here: the release's agent.yaml under the operator's file.</summary>
internal sealed record AppDefinition(
    AppName Name, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<UnitSource> Units,
    IReadOnlyList<CheckOptions> Checks, GateOptions Gate)
{
    /// <summary>Runs rendered units, hooks and command checks; made when missing. Null: the app's name.</summary>
    public string? User { get; init; }

    /// <summary>Absolute path of a file with NAME=VALUE lines, 0600: a reference, so that a rotated secret is the same for every generation. Null: none.</summary>
    public string? SecretsFile { get; init; }

    /// <summary>systemd credentials: name and absolute path of the file. Null: none.</summary>
    public IReadOnlyDictionary<string, string>? Credentials { get; init; }

    /// <summary>Directories of the release, by their paths in it, that outlive it in <c>shared/</c>. Null: none.</summary>
    public IReadOnlyList<string>? SharedDirectories { get; init; }

    /// <summary>Files of <c>shared/</c> that appear in the release. Null: none.</summary>
    public IReadOnlyList<string>? SharedFiles { get; init; }

    /// <summary>Paths in the release, ending in <c>.template</c>; each is filled at prepare under its name without that. Null: none.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>In the order in which they run. Null: none.</summary>
    public IReadOnlyList<HookOptions>? Hooks { get; init; }

    /// <summary>Time between looks at the checks while nothing is deployed. Null: 10 s.</summary>
    public TimeSpan? Watch { get; init; }

    /// <summary>Null: the app has none.</summary>
    public DatabaseOptions? Database { get; init; }

    /// <summary>Null: the release brings none.</summary>
    public MigrationOptions? Migrations { get; init; }

    /// <summary>Units that are started, enabled and watched: all but services that a timer, socket or path of the same name triggers.</summary>
    [JsonIgnore]
    public IEnumerable<UnitName> Started => Units.Select(unit => unit.Name).Where(name => !Units.Any(other => other.Name.Triggers(name)));
}

/// <summary>The configuration in force. Reading again never fails half-way: it is replaced whole or not at all.</summary>
internal interface IConfiguration
{
    AgentOptions Agent { get; }

    /// <summary>Every app with a file in apps.d.</summary>
    IReadOnlyList<AppOptions> Apps { get; }

    /// <exception cref="OperatorException">No such app (<see cref="ExitCode.Usage"/>), naming those there are.</exception>
    AppOptions App(AppName name);

    /// <summary>Merges the release's agent.yaml (text; null where it has none) under the operator's file.</summary>
    /// <exception cref="OperatorException">agent.yaml is wrong, or neither file says what to run (<see cref="ExitCode.Refused"/>).</exception>
    AppDefinition Define(AppName app, string? releaseYaml);

    /// <summary>Names and values of a secrets file, read now. Never to be logged, journaled or sent.</summary>
    /// <exception cref="OperatorException">It is missing, readable by others, or wrong in a line; no value is told (<see cref="ExitCode.Refused"/>).</exception>
    IReadOnlyDictionary<string, string> Secrets(string secretsFile);

    /// <summary>Reads all files anew without putting them in force.</summary>
    /// <exception cref="OperatorException">With every problem of every file, a line each (<see cref="ExitCode.Usage"/>).</exception>
    void Check();

    /// <summary>What is in force, with defaults filled in, as YAML with the origin of each value as a comment; secrets by name only.</summary>
    /// <param name="app">Null: agentd.yaml.</param>
    /// <param name="releaseYaml">As for <see cref="Define"/>.</param>
    string Effective(AppName? app, string? releaseYaml);
}

internal static class Configurations
{
    /// <summary>Null where the operator's file was taken away under a deployment: what was begun is ended all the same.</summary>
    public static AppOptions? Find(this IConfiguration configuration, AppName app) => configuration.Apps.FirstOrDefault(options => options.Name == app);
}

/// <summary>Who may push what without signatures: for hosts of developers.</summary>
/// <param name="By">Users of the host, and names of callers over the network.</param>
internal sealed record UnsignedPushOptions(IReadOnlyList<string> Apps, IReadOnlyList<string> By);

/// <summary>agentd.yaml.</summary>
/// <param name="Store">An absolute directory or an http(s) URL; null: no store is followed.</param>
/// <param name="Poll">Time between polls. Default 60 s, 5 s or more.</param>
/// <param name="Releases">Root of the apps' directories. Default /srv.</param>
/// <param name="Data">Default /var/lib/agentd.</param>
/// <param name="Units">Where unit files are installed. Default /etc/systemd/system.</param>
/// <param name="Socket">Of the API. Default /run/agentd/agentd.sock.</param>
internal sealed record AgentOptions(string? Store, TimeSpan Poll, string Releases, string Data, string Units, string Socket)
{
    // One list each, so that two records of the defaults are equal.
    private static readonly IReadOnlyList<string> DefaultViewers = ["agentd-viewer"], DefaultDeployers = ["agentd"], DefaultAdmins = ["agentd-admin"];

    /// <summary>Deployments of an app that the journal keeps. Default 200, at least 10.</summary>
    public int History { get; init; } = 200;

    /// <summary>Groups of the host whose members may look. Default: agentd-viewer.</summary>
    public IReadOnlyList<string> Viewers { get; init; } = DefaultViewers;

    /// <summary>Groups whose members may also deploy. Default: agentd.</summary>
    public IReadOnlyList<string> Deployers { get; init; } = DefaultDeployers;

    /// <summary>Groups whose members may also do what an operator's setting forbids, and read the audit records. Default: agentd-admin; root may always.</summary>
    public IReadOnlyList<string> Admins { get; init; } = DefaultAdmins;

    /// <summary>Null, the default: the agent does not listen on the network.</summary>
    public ListenerOptions? Listener { get; init; }

    /// <summary>Null, the default: nobody may push anything without signatures.</summary>
    public UnsignedPushOptions? UnsignedPush { get; init; }
}

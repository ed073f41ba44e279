using System.Text.Json.Serialization;
using Agent.Artifacts;

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
internal abstract record CheckOptions(string Name, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
{
    /// <summary>GET; passes with the status in <paramref name="Status"/> (default 200 to 299 as null). Redirects are not followed.</summary>
    public sealed record Http(string Name, Uri Url, int? Status, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
        : CheckOptions(Name, Interval, Timeout, Healthy, Unhealthy);

    /// <summary>Passes when a connection is accepted.</summary>
    public sealed record Tcp(string Name, string Host, int Port, TimeSpan Interval, TimeSpan Timeout, int Healthy, int Unhealthy)
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
    /// <param name="User">Runs as; null: a dynamic user of systemd's.</param>
    public sealed record Rendered(UnitName Name, string Command, string? User) : UnitSource(Name);
}

/// <summary>What the operator's file (apps.d/APP.yaml) says; null and empty where it is silent.</summary>
/// <param name="Keep">Releases that proved healthy to keep besides the current one. Default 3, at least 1.</param>
internal sealed record AppOptions(
    AppName Name, Track? Track, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<UnitSource>? Units,
    IReadOnlyList<CheckOptions>? Checks, GateOptions? Gate, int Keep);

/// <summary>What one release of an app runs as here: the release's agent.yaml under the operator's file.</summary>
internal sealed record AppDefinition(
    AppName Name, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<UnitSource> Units,
    IReadOnlyList<CheckOptions> Checks, GateOptions Gate);

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
}

/// <summary>agentd.yaml.</summary>
/// <param name="Store">An absolute directory or an http(s) URL; null: no store is followed.</param>
/// <param name="Poll">Time between polls. Default 60 s, 5 s or more.</param>
/// <param name="Releases">Root of the apps' directories. Default /srv.</param>
/// <param name="Data">Default /var/lib/agentd.</param>
/// <param name="Units">Where unit files are installed. Default /etc/systemd/system.</param>
/// <param name="Socket">Of the API. Default /run/agentd/agentd.sock.</param>
internal sealed record AgentOptions(string? Store, TimeSpan Poll, string Releases, string Data, string Units, string Socket);

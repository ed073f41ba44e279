using System.Text;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests;

/// <summary>
/// A throwaway host with the agent installed by install.sh as on a server, with agentd and agentctl as this build made them, a store in a
/// directory and the keys to it. What is published is tests/samples/tiny.
/// </summary>
internal sealed class AgentHost : IAsyncDisposable
{
    public const string Store = "/var/store";
    public const string KeyFile = "/root/keys.json";
    public const string Journal = "/var/lib/agentd/journal";

    // Where an app's file does not say it.
    private const int Keep = 3;

    private const string Programs = "/opt/agentd", Sources = "/var/sources", Stage = "/root/stage";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);
    private static readonly Dictionary<string, string> s_environment = new()
    {
        ["AGENTCTL_STORE"] = Store,
        ["AGENTCTL_KEY_FILE"] = KeyFile,
    };

    private static readonly Bind Build = new(AppContext.BaseDirectory.TrimEnd('/'), Programs, Writable: false);

    private AgentHost(TestHost host) => Host = host;

    public TestHost Host { get; }

    /// <summary>The journal's records as they lie on the disk now; to be asked while no deployment runs.</summary>
    public IReadOnlyList<JournalRecord> Records =>
        [.. File.ReadLines(Host.Root + Journal).Select(line => JsonSerializer.Deserialize(line.Split(' ', 3)[2], JournalJson.Default.JournalRecord)!)];

    /// <summary>Boots a host, makes the store, and installs the agent, which starts it.</summary>
    /// <param name="agent">agentd.yaml.</param>
    /// <param name="apps">apps.d: a file's text for each app; see <see cref="AppFile"/>.</param>
    /// <param name="network">Of hosts that know each other by name; null: it is alone.</param>
    public static async Task<AgentHost> UpAsync(string name, string agent, IReadOnlyDictionary<string, string> apps, CancellationToken cancellationToken, string? network = null)
    {
        var options = new TestHostOptions { Network = network, Binds = [Build] };
        var host = new AgentHost(await TestHost.UpAsync(name, options, cancellationToken));
        try
        {
            await host.StageAsync(cancellationToken);
            await host.Host.WriteAsync("/etc/agentd/agentd.yaml", agent, cancellationToken);
            foreach ((string app, string text) in apps) await host.Host.WriteAsync($"/etc/agentd/apps.d/{app}.yaml", text, cancellationToken);
            await host.ShellAsync($"{Stage}/usr/bin/agentctl store init && cp /root/root.json /etc/agentd/ && bash {Stage}/usr/share/agentd/install.sh --from {Stage}", cancellationToken);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Boots a host that has agentctl and no agent.</summary>
    public static async Task<TestHost> ClientUpAsync(string name, string network, CancellationToken cancellationToken)
    {
        TestHost host = await BareUpAsync(name, network, cancellationToken);
        try
        {
            await WriteProgramAsync(host, "/usr/bin/agentctl", cancellationToken);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Boots a host that has nothing; programs as this build made them run there.</summary>
    public static Task<TestHost> BareUpAsync(string name, string network, CancellationToken cancellationToken) =>
        TestHost.UpAsync(name, new TestHostOptions { Network = network, Binds = [Build] }, cancellationToken);

    /// <summary>Packs the agent into a Debian package on a host, as <c>install.sh --package</c> does.</summary>
    public static async Task PackageAsync(TestHost host, string path, CancellationToken cancellationToken)
    {
        await CopyStageAsync(host, cancellationToken);
        await host.CopyInAsync(Path.Combine(Repository(), "packaging"), "/root/sources/packaging", cancellationToken);
        foreach (string file in new[] { "install.sh", "Directory.Build.props" }) await host.CopyInAsync(Path.Combine(Repository(), file), $"/root/sources/{file}", cancellationToken);
        (await host.RunAsync(["bash", "-euc", $". /root/sources/install.sh; package {Stage} {path}"], cancellationToken)).Succeeded();
    }

    /// <summary>apps.d/APP.yaml: a check on a port of its own, and a gate that takes a second.</summary>
    /// <param name="track"><c>channel: stable</c>; empty: it runs what it is told.</param>
    public static string AppFile(string track = "", int port = 8080, string start = "20s", string stable = "1s") => $"""
        {track}
        environment:
          PORT: "{port}"
        checks:
          - http: http://127.0.0.1:{port}/up
            interval: 200ms
        gate:
          start: {start}
          stable: {stable}
        """;

    /// <summary>Runs agentctl inside to its end.</summary>
    public Task<CommandResult> AgentctlAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        Host.RunAsync(["agentctl", .. arguments], null, s_environment, s_limit, cancellationToken);

    /// <summary>Runs agentctl with <c>--output json</c>.</summary>
    public async Task<(int Exit, JsonElement Json)> JsonAsync(IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        CommandResult result = await AgentctlAsync([.. arguments, "--output", "json"], cancellationToken);
        Assert.True(result.Output.Length > 0, $"{result.Command}: exit {result.Exit}, {result.Errors}");
        return (result.Exit, JsonDocument.Parse(result.Output).RootElement);
    }

    /// <summary>What <c>status</c> says of an app.</summary>
    public async Task<JsonElement> StatusAsync(string app, CancellationToken cancellationToken) =>
        (await JsonAsync(["status", "--app", app], cancellationToken)).Json.GetProperty("apps")[0];

    /// <summary>Publishes the sample as a version of an app, with a behaviour that it has built in.</summary>
    /// <param name="program">Text of a program to publish in its place.</param>
    /// <param name="rich">With tests/samples/rich over it; its template names the version.</param>
    public async Task PublishAsync(string version, string behaviour, CancellationToken cancellationToken, string app = "shop", string? program = null, bool rich = false)
    {
        string source = $"{Sources}/{app}-{version}";
        await ShellAsync($"mkdir -p {source} && cp {Sources}/tiny/* {source}/ && echo {behaviour} > {source}/behaviour", cancellationToken);
        if (rich) await ShellAsync($"cp {Sources}/rich/* {source}/ && echo release={version} >> {source}/app.conf.template", cancellationToken);
        if (program is not null) await Host.RunAsync(["tee", $"{source}/shop"], Encoding.UTF8.GetBytes(program), null, s_limit, cancellationToken);
        (await AgentctlAsync(["publish", source, "--app", app, "--version", version], cancellationToken)).Succeeded();
    }

    public async Task PromoteAsync(string version, CancellationToken cancellationToken) =>
        (await AgentctlAsync(["promote", version, "--app", "shop", "--channel", "stable"], cancellationToken)).Succeeded();

    /// <summary>Deploys a version, which must become live.</summary>
    public async Task DeployAsync(string version, CancellationToken cancellationToken, string app = "shop") =>
        (await AgentctlAsync(["deploy", version, "--app", app], cancellationToken)).Succeeded();

    /// <summary>Runs shell inside, which must succeed; returns its output without the last line end.</summary>
    public async Task<string> ShellAsync(string script, CancellationToken cancellationToken) =>
        (await Host.RunAsync(["sh", "-euc", script], null, s_environment, s_limit, cancellationToken)).Succeeded().TrimEnd('\n');

    /// <summary>The version that answers; empty: none does.</summary>
    public async Task<string> AnswerAsync(CancellationToken cancellationToken, int port = 8080) =>
        (await ShellAsync($"curl --silent --max-time 3 http://127.0.0.1:{port}/ || true", cancellationToken)).Replace("shop ", "", StringComparison.Ordinal);

    public async Task<int> MainPidAsync(string unit, CancellationToken cancellationToken) =>
        int.Parse(await ShellAsync($"systemctl show -P MainPID {unit}", cancellationToken));

    /// <summary>
    /// Waits until nothing is under way, then checks that all that can be asked tells the same: the journal, <c>status</c>, the <c>current</c> link,
    /// the unit, the process that answers; and that nothing half-made lies about. A download that was interrupted may stay, for the next one to go on with.
    /// </summary>
    /// <param name="allowed">The versions that may be the outcome; null: nothing is deployed.</param>
    /// <param name="units">Those of the app; null: one with its name.</param>
    /// <returns>The version.</returns>
    public async Task<string?> AssertAgreesAsync(
        string app, IReadOnlyList<string?> allowed, string where, CancellationToken cancellationToken, int port = 8080, int keep = Keep, IReadOnlyList<string>? units = null)
    {
        units ??= [app];
        JsonElement status;
        long start = TimeProvider.System.GetTimestamp();
        do
        {
            status = await StatusAsync(app, cancellationToken);
            Assert.True(TimeProvider.System.GetElapsedTime(start) < s_limit, $"{where}: still under way: {status}");
        }
        while (status.GetProperty("running").ValueKind != JsonValueKind.Null);
        string? version = status.GetProperty("version").GetString();
        Assert.True(allowed.Contains(version), $"{where}: {version ?? "nothing"} runs");
        Assert.Null(status.GetProperty("attention").GetString());

        AppState journal = State(app);
        Assert.True(journal.Running is null && journal.Current?.Version == version, $"{where}: the journal says {journal.Current?.Version}");
        string seen = await ShellAsync(
            $"""
            echo "current $(readlink /srv/{app}/current || echo none)"
            for unit in {string.Join(' ', units)}; do
                echo "unit $(systemctl show -P LoadState $unit) $(systemctl show -P ActiveState $unit) $(systemctl is-enabled $unit 2>/dev/null || true)"
            done
            echo "answers $(curl --silent --max-time 3 http://127.0.0.1:{port}/ || true)"
            echo "releases" $(ls /srv/{app}/releases 2>/dev/null | LC_ALL=C sort)
            echo "generations" $(ls /var/lib/agentd/generations/{app} 2>/dev/null | LC_ALL=C sort)
            echo "left" $(find /srv /etc/systemd/system /var/lib/agentd -path /var/lib/agentd/downloads -prune -o '(' -name '.staging-*' -o -name '*.agentd-tmp' ')' -print)
            """, cancellationToken);
        ProvedRelease[] kept = [.. journal.Proved.Where(p => Retention.Reasons(journal, keep).ContainsKey(p.Release.Digest))];
        string[] releases = [.. kept.Select(p => p.Release.Version).Order(StringComparer.Ordinal)];
        string[] generations = [.. kept.Select(p => p.Generation).Order(StringComparer.Ordinal)];
        string Units(string line) => string.Concat(units.Select(_ => line + '\n'));
        string expected = version is null
            ? $"current none\n{Units("unit not-found inactive ")}answers \nreleases\ngenerations\nleft"
            : $"current releases/{version}\n{Units("unit loaded active enabled")}answers shop {version}\nreleases {string.Join(' ', releases)}\ngenerations {string.Join(' ', generations)}\nleft";
        Assert.True(expected == seen, $"{where}: expected\n{expected}\nbut saw\n{seen}");
        return version;
    }

    /// <summary>An app as the journal on the disk tells it; to be asked while no deployment runs.</summary>
    public AppState State(string app) => Records.Aggregate(AgentState.Empty, (state, record) => state.Apply(record)).App(new AppName(app));

    /// <summary>What was seen when a deployment failed; null: nothing is kept.</summary>
    public Evidence? Evidence(Deployment deployment) => new EvidenceFiles(new Disk(), $"{Host.Root}/var/lib/agentd").Read(deployment.App, deployment.Id);

    public ValueTask DisposeAsync() => Host.DisposeAsync();

    private async Task StageAsync(CancellationToken cancellationToken)
    {
        await CopyStageAsync(Host, cancellationToken);
        foreach (string sample in new[] { "tiny", "rich" }) await Host.CopyInAsync(Path.Combine(Repository(), "tests/samples", sample), $"{Sources}/{sample}", cancellationToken);
    }

    // What install.sh --stage lays out, but for the two programs, which are those that were built with this test.
    private static async Task CopyStageAsync(TestHost host, CancellationToken cancellationToken)
    {
        await host.CopyInAsync(Path.Combine(Repository(), "packaging/root"), Stage, cancellationToken);
        await host.CopyInAsync(Path.Combine(Repository(), "install.sh"), $"{Stage}/usr/share/agentd/install.sh", cancellationToken);
        foreach (string program in new[] { "agentd", "agentctl" }) await WriteProgramAsync(host, $"{Stage}/usr/bin/{program}", cancellationToken);
    }

    private static string Repository()
    {
        string repository = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(repository, "Agent.sln"))) repository = Path.GetDirectoryName(repository) ?? throw new InvalidOperationException("not run from a clone");
        return repository;
    }

    /// <summary>agentd or agentctl, by the name of the file, as this build made it.</summary>
    private static async Task WriteProgramAsync(TestHost host, string path, CancellationToken cancellationToken)
    {
        await host.WriteAsync(path, $"#!/bin/sh\nexport DOTNET_TieredPGO=0\nexec {DotNet()} exec {Programs}/{Path.GetFileName(path)}.dll \"$@\"\n", cancellationToken);
        (await host.RunAsync(["chmod", "755", path], cancellationToken)).Succeeded();
    }

    // The shared framework lies in shared/NAME/VERSION beside the program that runs it.
    private static string DotNet() => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(typeof(object).Assembly.Location)!, "../../../dotnet"));
}

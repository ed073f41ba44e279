using System.Globalization;
using Agent.TestHosts;

namespace Agent.Benchmarks;

/// <summary>A throwaway host with the published agent as it is installed on a server, a store, and the tiny sample in two versions; the second one is live.</summary>
internal sealed class AgentOnHost : IAsyncDisposable
{
    public const string Old = "v1.0.0", New = "v1.1.0", Url = "http://127.0.0.1:8080/";

    /// <summary>As <c>measure.py steps</c> tells them, behind the whole.</summary>
    public static readonly string[] StepNames = ["fetch", "stage", "prepare", "flip", "restart", "gate", "sweep"];

    /// <summary>A file of the shell variables that agentctl needs to publish.</summary>
    public const string Publisher = "/root/publisher";

    private const string Nginx = """
        pid /run/store.pid;
        error_log stderr;
        events {}
        http {
            access_log off;
            sendfile on;
            server {
                listen 127.0.0.1:8090;
                root /var/lib/store;
            }
        }
        """;

    private const string StoreUnit = """
        [Unit]
        Before=agentd.service
        [Service]
        ExecStart=/usr/sbin/nginx -c /etc/nginx/store.conf -g "daemon off;"
        [Install]
        WantedBy=multi-user.target
        """;

    private const string Measure = "/usr/local/lib/measure.py";
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(30);
    private readonly TestHost _host;
    private readonly string? _disk;

    private AgentOnHost(TestHost host, string? disk)
    {
        _host = host;
        _disk = disk;
    }

    public TestHost Host => _host;

    /// <param name="binaries">A directory with agentd and agentctl.</param>
    /// <param name="disk">
    /// A directory on a disk, made, and removed at the end: where /srv and the agent's own data lie, so that a sync costs what it costs there, and the
    /// store is nginx on the host. Null: all is memory, as anything else on a throwaway host, and the store is a directory.
    /// </param>
    /// <param name="network">Of hosts that know each other by name; null: it is alone.</param>
    public static async Task<AgentOnHost> UpAsync(string repository, string binaries, string? disk, CancellationToken cancellationToken, string name = "benchmark", string? network = null)
    {
        TestHostOptions options = TestHostOptions.Default with { Network = network };
        if (disk is not null)
        {
            foreach (string part in new[] { "srv", "data" }) Directory.CreateDirectory(Path.Combine(disk, part));
            options = options with { Binds = [new Bind(Path.Combine(disk, "srv"), "/srv", true), new Bind(Path.Combine(disk, "data"), "/var/lib/agentd", true)] };
        }
        var agent = new AgentOnHost(await TestHost.UpAsync(name, options, cancellationToken), disk);
        try
        {
            await agent.InstallAsync(repository, binaries, cancellationToken);
            return agent;
        }
        catch
        {
            await agent.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        if (_disk is not null) Directory.Delete(_disk, recursive: true);
    }

    /// <summary>Ends everything inside at once, and boots what the disk holds.</summary>
    public async Task CutPowerAsync(CancellationToken cancellationToken)
    {
        await _host.PowerCutAsync(cancellationToken);
        await _host.BootAsync(cancellationToken);
    }

    /// <summary>Makes the agent read its configuration again.</summary>
    public Task ReloadAsync(CancellationToken cancellationToken) =>
        ShellAsync("systemctl kill --signal=HUP --kill-whom=main agentd; sleep 1", cancellationToken);

    /// <summary>Runs lines of shell, and stops at the first that fails.</summary>
    public Task<string> ShellAsync(string script, CancellationToken cancellationToken) => RunAsync(cancellationToken, "bash", "-euo", "pipefail", "-c", $". {Publisher}\n{script}");

    /// <summary>Asks measure.py for numbers.</summary>
    public async Task<double[]> MeasureAsync(CancellationToken cancellationToken, params string[] arguments) =>
        Numbers(await RunAsync(cancellationToken, [Measure, .. arguments]));

    public Task WriteAsync(string path, string text, CancellationToken cancellationToken) => _host.WriteAsync(path, text, cancellationToken);

    /// <summary>Runs a command inside.</summary>
    /// <returns>What it printed.</returns>
    /// <exception cref="TestHostException">It failed.</exception>
    public async Task<string> RunAsync(CancellationToken cancellationToken, params string[] command) =>
        (await _host.RunAsync(command, null, null, s_limit, cancellationToken)).Succeeded();

    /// <summary>Runs a command while the app is asked all the time.</summary>
    /// <returns>In ms: the longest time without an answer, and the time from the command's start to the answer after that.</returns>
    public async Task<(double Gap, double ToAnswer)> GapAsync(CancellationToken cancellationToken, params string[] command)
    {
        double[] times = Numbers(await RunAsync(cancellationToken, [Measure, "gap", Url, .. command]));
        return (times[0], times[1]);
    }

    /// <summary>Runs a command that often.</summary>
    /// <returns>The wall time of each run in ms.</returns>
    public async Task<double[]> WallAsync(int runs, CancellationToken cancellationToken, params string[] command) =>
        Numbers(await RunAsync(cancellationToken, [Measure, "wall", runs.ToString(CultureInfo.InvariantCulture), .. command]));

    /// <summary>A property of agentd.service that is a number.</summary>
    public async Task<long> PropertyAsync(string name, CancellationToken cancellationToken) =>
        long.Parse(await RunAsync(cancellationToken, "systemctl", "show", "-P", name, "agentd"), CultureInfo.InvariantCulture);

    private async Task InstallAsync(string repository, string binaries, CancellationToken cancellationToken)
    {
        await _host.CopyInAsync(Path.Combine(repository, "packaging/root"), "/", cancellationToken);
        foreach (string program in new[] { "agentd", "agentctl" })
            await _host.CopyInAsync(Path.Combine(binaries, program), $"/usr/bin/{program}", cancellationToken);
        await _host.CopyInAsync(Path.Combine(repository, "tests/samples/tiny"), "/root/shop", cancellationToken);
        await _host.CopyInAsync(Path.Combine(AppContext.BaseDirectory, "measure.py"), Measure, cancellationToken);
        await _host.WriteAsync("/etc/agentd/agentd.yaml", _disk is null ? "store: /var/lib/store\n" : "store: http://127.0.0.1:8090/\n", cancellationToken);
        await _host.WriteAsync(Publisher, "export AGENTCTL_STORE=/var/lib/store AGENTCTL_KEY_FILE=/root/keys.json AGENTCTL_APP=shop\n", cancellationToken);
        await _host.WriteAsync("/etc/nginx/store.conf", Nginx, cancellationToken);
        await _host.WriteAsync("/etc/systemd/system/store.service", StoreUnit, cancellationToken);
        // What is measured is over before the gate is; a short one makes room for more samples.
        await _host.WriteAsync("/etc/agentd/apps.d/shop.yaml", "gate:\n  stable: 500ms\n", cancellationToken);
        await ShellAsync($"""
            chmod 755 {Measure}
            systemd-sysusers
            systemd-tmpfiles --create agentd.conf
            agentctl store init
            install -m 644 /root/root.json /etc/agentd/root.json
            agentctl publish /root/shop --version {Old}
            agentctl publish /root/shop --version {New}
            systemctl daemon-reload
            {(_disk is null ? "" : "systemctl enable --now --quiet store")}
            systemctl enable --now --quiet agentd
            agentctl deploy {Old}
            agentctl deploy {New}
            """, cancellationToken);
    }

    private static double[] Numbers(string text) =>
        [.. text.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
}

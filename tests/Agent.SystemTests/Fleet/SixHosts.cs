using System.Text.Json;
using Agent.Daemon.State;
using Agent.TestHosts;

namespace Agent.SystemTests.Fleet;

/// <summary>
/// Six hosts with an agent and sshd, and two machines with agentctl alone: a laptop, and a desk where the store is, which publishes and may take over. Booted
/// for the first test that asks. On every host <c>deploy</c> is in the group of deployers.
/// </summary>
public sealed class SixHosts : IAsyncLifetime
{
    public const int Count = 6;

    private const string Network = "six";

    private readonly List<IAsyncDisposable> all = [];
    private AgentHost[] web = [];
    private int minor;

    /// <summary>web1 to web6.</summary>
    internal IReadOnlyList<AgentHost> Web => web;

    internal TestHost Laptop { get; private set; } = null!;

    /// <summary>Its own agent only serves to make it like any other host.</summary>
    internal AgentHost Desk { get; private set; } = null!;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    internal async Task UpAsync(CancellationToken cancellationToken)
    {
        if (web.Length > 0) return;
        Assert.True(all.Count == 0, "the hosts did not come up");
        Laptop = await AddAsync(AgentHost.ClientUpAsync("laptop", Network, cancellationToken));
        Desk = await AddAsync(AgentHost.UpAsync("desk", $"store: {AgentHost.Store}\n", new Dictionary<string, string>(), cancellationToken, Network));
        await Desk.ShellAsync($"systemd-run --quiet --unit=store /usr/bin/python3 -m http.server --directory {AgentHost.Store} 8090", cancellationToken);
        string root = await Desk.ShellAsync("cat /root/root.json", cancellationToken);
        string[] keys = [await SshHost.MakeKeyAsync(Laptop, cancellationToken), await SshHost.MakeKeyAsync(Desk.Host, cancellationToken)];
        var hosts = new List<AgentHost>();
        for (int i = 1; i <= Count; i++)
        {
            var apps = new Dictionary<string, string> { ["shop"] = AgentHost.AppFile(start: "120s", stable: "500ms") };
            AgentHost host = await AddAsync(AgentHost.UpAsync($"web{i}", "store: http://desk:8090/\n", apps, cancellationToken, Network));
            await host.Host.WriteAsync("/etc/agentd/root.json", root, cancellationToken);
            await host.ShellAsync("systemctl stop agentd; rm -rf /var/lib/agentd/trust; systemctl start agentd || { journalctl -u agentd -n 10 --no-pager --output=cat; exit 1; }", cancellationToken);
            await SshHost.AddUserAsync(host.Host, "deploy", "agentd", cancellationToken);
            await SshHost.StartAsync(host.Host, keys, cancellationToken);
            hosts.Add(host);
        }
        string inventory = "hosts:\n" + string.Concat(hosts.Select(host => $"  {host.Host.Name}:\n    address: ssh://deploy@{host.Host.Name}\n    groups: [prod]\n"));
        foreach (TestHost driver in new[] { Laptop, Desk.Host })
        {
            await SshHost.KnowAsync(driver, [.. hosts.Select(host => host.Host)], cancellationToken);
            await driver.WriteAsync("/root/.config/agentctl/hosts.yaml", inventory, cancellationToken);
        }
        string first = await PublishAsync("ok", cancellationToken);
        foreach (AgentHost host in hosts) await host.DeployAsync(first, cancellationToken);
        web = [.. hosts];
    }

    /// <summary>Publishes a version that no host has.</summary>
    /// <param name="behaviour">Of tests/samples/tiny.</param>
    internal async Task<string> PublishAsync(string behaviour, CancellationToken cancellationToken)
    {
        string version = $"v1.{Interlocked.Increment(ref minor)}.0";
        await Desk.PublishAsync(version, behaviour.Replace("VERSION", version, StringComparison.Ordinal), cancellationToken);
        return version;
    }

    internal static async Task<CommandResult> AgentctlAsync(TestHost driver, CancellationToken cancellationToken, params string[] words) =>
        await driver.RunAsync(["agentctl", .. words], null, null, TimeSpan.FromMinutes(8), cancellationToken);

    /// <summary>Deployments of a version, by host, as the journals on the disks have them; to be asked while none runs.</summary>
    internal IReadOnlyList<Deployment[]> Of(string version) =>
        [.. web.Select(host => host.State("shop").Deployments.Where(deployment => deployment.To.Version == version).ToArray())];

    /// <summary>What runs on each host.</summary>
    internal async Task<string[]> VersionsAsync(CancellationToken cancellationToken)
    {
        var versions = new List<string>();
        foreach (AgentHost host in web) versions.Add((await host.StatusAsync("shop", cancellationToken)).GetProperty("version").GetString() ?? "");
        return [.. versions];
    }

    /// <summary>The id of the rollout of a version, as a machine finds it on the hosts.</summary>
    internal static async Task<string> IdAsync(TestHost driver, string version, CancellationToken cancellationToken)
    {
        CommandResult told = await AgentctlAsync(driver, cancellationToken, "rollouts", "--output", "json");
        return JsonDocument.Parse(told.Output).RootElement.GetProperty("rollouts").EnumerateArray()
            .Single(rollout => rollout.GetProperty("version").GetString() == version).GetProperty("id").GetString()!;
    }

    internal static async Task<JsonElement> ShowAsync(TestHost driver, string id, CancellationToken cancellationToken) =>
        JsonDocument.Parse((await AgentctlAsync(driver, cancellationToken, "rollout", "show", id, "--output", "json")).Succeeded()).RootElement;

    public async ValueTask DisposeAsync()
    {
        foreach (IAsyncDisposable host in all) await host.DisposeAsync();
    }

    private async Task<T> AddAsync<T>(Task<T> booting)
        where T : IAsyncDisposable
    {
        T host = await booting;
        all.Add(host);
        return host;
    }
}

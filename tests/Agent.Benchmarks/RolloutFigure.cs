using System.Globalization;
using System.Text.Json;
using Agent.SystemTests.Fleet;
using Agent.TestHosts;

namespace Agent.Benchmarks;

/// <summary>Six hosts over sshd, driven from a seventh: what a rollout adds to its deployments, and what a push of a small change sends.</summary>
internal sealed class RolloutFigure : IAsyncDisposable
{
    private const int Count = 6, Files = 1000, FileSize = 100_000;

    private const string Tree = "/var/lib/trees/big", Others = "web1 web2 web3 web4 web5 web6";

    private readonly List<AgentOnHost> all = [];

    private RolloutFigure()
    {
    }

    private AgentOnHost Laptop => all[0];

    /// <param name="up">Boots a host of a network, by its name.</param>
    public static async Task<IReadOnlyList<Figure>> AnswerAsync(int runs, Func<string, string, Task<AgentOnHost>> up, CancellationToken cancellationToken)
    {
        await using var six = new RolloutFigure();
        foreach (string name in new[] { "laptop" }.Concat(Others.Split(' '))) six.all.Add(await up(name, "six"));
        string key = await SshHost.MakeKeyAsync(six.Laptop.Host, cancellationToken);
        foreach (AgentOnHost host in six.all[1..]) await SshHost.StartAsync(host.Host, [key], cancellationToken);
        await SshHost.KnowAsync(six.Laptop.Host, [.. six.all[1..].Select(host => host.Host)], cancellationToken);
        await six.Laptop.WriteAsync("/root/.config/agentctl/hosts.yaml", "hosts:\n" + string.Concat(Others.Split(' ').Select(name => $"  {name}: ssh://root@{name}\n")), cancellationToken);
        await six.Laptop.WriteAsync("/root/.ssh/config", "Host *\n    ControlMaster auto\n    ControlPath /root/.ssh/shared-%C\n    ControlPersist 10m\n", cancellationToken);
        return [.. await six.OverheadAsync(runs, cancellationToken), .. await six.PushAsync(cancellationToken)];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (AgentOnHost host in all) await host.DisposeAsync();
    }

    // One host a batch: what passes between the end of one deployment and the beginning of the next is the rollout's own.
    private async Task<IReadOnlyList<Figure>> OverheadAsync(int runs, CancellationToken cancellationToken)
    {
        List<double> between = [], before = [], whole = [];
        for (int run = 0; run <= runs; run++)
        {
            string version = run % 2 == 0 ? AgentOnHost.Old : AgentOnHost.New;
            DateTimeOffset began = DateTimeOffset.UtcNow;
            double wall = (await Laptop.WallAsync(1, cancellationToken, "agentctl", "deploy", version, "--host", "all", "--batch", "1"))[0];
            var deployments = new List<(DateTimeOffset Started, DateTimeOffset Finished)>();
            foreach (AgentOnHost host in all[1..])
            {
                using JsonDocument history = JsonDocument.Parse(await host.RunAsync(cancellationToken, "agentctl", "history", "--limit", "1", "--output", "json"));
                JsonElement last = history.RootElement.GetProperty("deployments")[0];
                deployments.Add((Time(last, "started"), Time(last, "finished")));
            }
            if (run == 0) continue;   // opens the connections
            deployments.Sort();
            whole.Add(wall);
            before.Add((deployments[0].Started - began).TotalMilliseconds);
            for (int i = 1; i < Count; i++) between.Add((deployments[i].Started - deployments[i - 1].Finished).TotalMilliseconds);
        }
        return
        [
            new Figure("rollout, from one batch's deployment to the next", "ms", 100, between),
            new Figure("rollout, from the command to its first deployment", "ms", null, before),
            new Figure("rollout of six batches of one", "ms", null, whole),
        ];

        static DateTimeOffset Time(JsonElement deployment, string name) => DateTimeOffset.Parse(deployment.GetProperty(name).GetString()!, CultureInfo.InvariantCulture);
    }

    // Bytes on the laptop's cable, in the direction of the hosts; all three go through ssh.
    private async Task<IReadOnlyList<Figure>> PushAsync(CancellationToken cancellationToken)
    {
        string root = await Laptop.RunAsync(cancellationToken, "cat", "/root/root.json");
        foreach (AgentOnHost host in all[1..])
        {
            await host.WriteAsync("/etc/agentd/root.json", root, cancellationToken);
            await host.WriteAsync("/etc/agentd/agentd.yaml", "", cancellationToken);
            await host.ShellAsync("systemctl stop agentd; rm -rf /var/lib/agentd/trust /var/lib/agentd/downloads; systemctl start agentd; mkdir -p /var/lib/trees", cancellationToken);
        }
        await Laptop.ShellAsync($"mkdir -p {Path.GetDirectoryName(Tree)}; /usr/local/lib/measure.py tree {Tree} {Files} {FileSize} 7; agentctl publish {Tree} --version v2.0.0", cancellationToken);
        const string Push = "agentctl push {0} --app shop --store /var/lib/store --host all";
        string Rsync() => $"for host in {Others}; do rsync -az --delete {Tree}/ $host:{Tree}/; done";

        double first = await SentAsync(string.Format(CultureInfo.InvariantCulture, Push, "v2.0.0"), cancellationToken);
        await Laptop.ShellAsync($"agentctl deploy v2.0.0 --host all --batch 6 >/dev/null; {Rsync()}", cancellationToken);
        await Laptop.ShellAsync($"echo 'one line more' >>{Tree}/part07/file000007; agentctl publish {Tree} --version v2.0.1", cancellationToken);
        double push = await SentAsync(string.Format(CultureInfo.InvariantCulture, Push, "v2.0.1"), cancellationToken);
        double rsync = await SentAsync(Rsync(), cancellationToken);
        double archive = await SentAsync($"tar -C {Tree} -cz . >/var/lib/trees/big.tar.gz; for host in {Others}; do ssh $host 'cat >/dev/null' </var/lib/trees/big.tar.gz; done", cancellationToken);
        return
        [
            new Figure("push of one changed line of 100 MB to six hosts, sent", "kB", null, [push / 1e3]),
            new Figure("rsync -az of the same", "kB", null, [rsync / 1e3]),
            new Figure("the whole .tar.gz to each", "kB", null, [archive / 1e3]),
            new Figure("push of all 100 MB", "kB", null, [first / 1e3]),
        ];
    }

    private async Task<double> SentAsync(string script, CancellationToken cancellationToken)
    {
        const string Count = "cat /sys/class/net/eth0/statistics/tx_bytes";
        double before = double.Parse(await Laptop.ShellAsync(Count, cancellationToken), CultureInfo.InvariantCulture);
        await Laptop.ShellAsync(script, cancellationToken);
        return double.Parse(await Laptop.ShellAsync(Count, cancellationToken), CultureInfo.InvariantCulture) - before;
    }
}

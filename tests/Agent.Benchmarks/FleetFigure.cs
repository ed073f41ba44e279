using System.Globalization;
using System.Text;
using Agent.SystemTests.Fleet;
using Agent.TestHosts;

namespace Agent.Benchmarks;

/// <summary>
/// <c>agentctl status</c> of fifty agents from another host, over ssh connections that are open already, and over TLS, where each run makes fifty handshakes. One throwaway host stands for the
/// fifty: an agent each with files, socket and journal of its own, and a user each, by whom sshd knows which agent is meant. So each has its own ssh, its own
/// shared connection and its own <c>dial-stdio</c>; what fifty machines would do at once, the processors of one do.
/// </summary>
internal static class FleetFigure
{
    private const int Agents = 50, FirstTlsPort = 3001;

    private const string Network = "fleet", Measure = "/usr/local/lib/measure.py";

    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(10);

    public static async Task<IReadOnlyList<Figure>> AnswerAsync(string repository, string binaries, int runs, CancellationToken cancellationToken)
    {
        if (SshHost.Lacks() is { } lacks) throw new TestHostException(TestHostException.Missing, "the fleet is reached by ssh", lacks);
        var options = TestHostOptions.Default with { Network = Network };
        await using TestHost client = await TestHost.UpAsync("laptop", options, cancellationToken);
        await using TestHost fleet = await TestHost.UpAsync("hosts", options, cancellationToken);
        foreach (TestHost host in new[] { client, fleet })
        {
            await host.CopyInAsync(Path.Combine(AppContext.BaseDirectory, "measure.py"), Measure, cancellationToken);
            await RunAsync(host, $"chmod 755 {Measure}", cancellationToken);
            await host.CopyInAsync(Path.Combine(binaries, "agentctl"), "/usr/bin/agentctl", cancellationToken);
        }
        await StartAgentsAsync(fleet, repository, binaries, cancellationToken);
        string key = await SshHost.MakeKeyAsync(client, cancellationToken);
        await SshHost.StartAsync(fleet, [key], cancellationToken, Users());
        await RunAsync(fleet, $"for i in $(seq {Agents}); do useradd --create-home --shell /bin/bash --password '*' --groups agentd-viewer web$i; done", cancellationToken);
        await client.WriteAsync("/root/.config/agentctl/hosts.yaml", Inventory(), cancellationToken);
        await client.WriteAsync("/root/.ssh/config", "Host *\n    ControlMaster auto\n    ControlPath /root/.ssh/shared-%C\n    ControlPersist 10m\n    StrictHostKeyChecking accept-new\n", cancellationToken);

        string[] status = ["agentctl", "status", "--host", "web*"];
        double[] cold = await WallAsync(client, 1, status, cancellationToken);
        double[] warm = await WallAsync(client, runs, status, cancellationToken);
        double[] one = await WallAsync(client, runs, ["agentctl", "status", "--host", "web1"], cancellationToken);
        double[] bare = await WallAsync(client, runs, ["ssh", "web1@hosts", "true"], cancellationToken);
        double[] end = await WallAsync(fleet, runs, ["sh", "-c", "AGENTD_SOCKET=/run/fleet/1.sock agentctl dial-stdio </dev/null >/dev/null"], cancellationToken);
        await PairAsync(client, fleet, cancellationToken);
        double[] tls = await WallAsync(client, runs, ["agentctl", "status", "--host", "tls*"], cancellationToken);
        double[] oneTls = await WallAsync(client, runs, ["agentctl", "status", "--host", "tls1"], cancellationToken);
        return
        [
            new Figure($"status of {Agents} hosts over TLS", "ms", 500, tls),
            new Figure("status of one of them over TLS", "ms", null, oneTls),
            new Figure($"status of {Agents} hosts by ssh, connections open", "ms", 2000, warm),
            new Figure($"status of {Agents} hosts by ssh, first", "ms", null, cold),
            new Figure("status of one of them, connection open", "ms", null, one),
            new Figure("ssh HOST true, connection open", "ms", null, bare),
            new Figure("agentctl dial-stdio there, from start to exit", "ms", null, end),
        ];
    }

    private static async Task StartAgentsAsync(TestHost host, string repository, string binaries, CancellationToken cancellationToken)
    {
        await host.CopyInAsync(Path.Combine(repository, "packaging/root"), "/", cancellationToken);
        await host.CopyInAsync(Path.Combine(binaries, "agentd"), "/usr/bin/agentd", cancellationToken);
        await host.WriteAsync("/etc/systemd/system/fleet@.service", """
            [Service]
            Type=notify
            RuntimeDirectory=fleet
            RuntimeDirectoryPreserve=yes
            ExecStart=/usr/bin/agentd --config /etc/fleet/%i
            """ + "\n", cancellationToken);
        await RunAsync(host, $$"""
            systemd-sysusers
            for i in $(seq {{Agents}}); do
                mkdir -p /etc/fleet/$i/apps.d /var/lib/fleet/$i /srv/fleet/$i
                printf 'data: /var/lib/fleet/%s\nreleases: /srv/fleet/%s\nsocket: /run/fleet/%s.sock\nlisten:\n  address: 0.0.0.0:%s\n' $i $i $i $(({{FirstTlsPort}} + i - 1)) >/etc/fleet/$i/agentd.yaml
                : >/etc/fleet/$i/apps.d/shop.yaml
            done
            systemctl daemon-reload
            for i in $(seq {{Agents}}); do systemctl start fleet@$i; done
            """, cancellationToken);
    }

    private static async Task PairAsync(TestHost client, TestHost fleet, CancellationToken cancellationToken)
    {
        string codes = (await fleet.RunAsync(
            ["bash", "-euo", "pipefail", "-c", $"for i in $(seq {Agents}); do agentctl pair --new --name laptop --role viewer --socket /run/fleet/$i.sock 2>/dev/null; done"],
            null, null, s_limit, cancellationToken)).Succeeded();
        await client.WriteAsync("/root/codes", codes, cancellationToken);
        await RunAsync(client, $"i=0; while read -r code; do i=$((i + 1)); echo $code | agentctl pair https://hosts:$(({FirstTlsPort} + i - 1)) --name tls$i; done </root/codes", cancellationToken);
    }

    private static string Users()
    {
        var lines = new StringBuilder("MaxStartups 100\n");
        for (int i = 1; i <= Agents; i++) lines.Append(CultureInfo.InvariantCulture, $"Match User web{i}\nSetEnv AGENTD_SOCKET=/run/fleet/{i}.sock\n");
        return lines.ToString();
    }

    private static string Inventory()
    {
        var lines = new StringBuilder("hosts:\n");
        for (int i = 1; i <= Agents; i++) lines.Append(CultureInfo.InvariantCulture, $"  web{i}: ssh://web{i}@hosts\n");
        return lines.ToString();
    }

    private static async Task<double[]> WallAsync(TestHost host, int runs, string[] command, CancellationToken cancellationToken)
    {
        string told = (await host.RunAsync([Measure, "wall", runs.ToString(CultureInfo.InvariantCulture), .. command], null, null, s_limit, cancellationToken)).Succeeded();
        return [.. told.Split((char[])[' ', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(number => double.Parse(number, CultureInfo.InvariantCulture))];
    }

    private static async Task RunAsync(TestHost host, string script, CancellationToken cancellationToken) =>
        (await host.RunAsync(["bash", "-euo", "pipefail", "-c", script], null, null, s_limit, cancellationToken)).Succeeded();
}

using System.Globalization;

namespace Agent.Benchmarks;

/// <summary>What a deployment costs, on a disk, beside what it cannot do without.</summary>
/// <param name="runs">Samples for each figure.</param>
internal sealed class Deploys(AgentOnHost agent, int runs)
{
    /// <summary>What do the steps, the journal and its syncs add to unpacking, the restart and the gate?</summary>
    public async Task<IReadOnlyList<Figure>> OverheadAsync(CancellationToken cancellationToken)
    {
        await PublishAsync(100, 4000, cancellationToken);
        var totals = new List<double>();
        var overheads = new List<double>();
        var unpacked = new List<double>();
        var between = new List<double>();
        string[] names = AgentOnHost.StepNames;
        List<double>[] steps = [.. names.Select(_ => new List<double>())];
        for (int run = 0; run < runs; run++)
        {
            await agent.RunAsync(cancellationToken, "agentctl", "deploy", Version(100, run));
            double[] took = await agent.MeasureAsync(cancellationToken, "steps");   // the whole, then each step
            for (int step = 0; step < names.Length; step++) steps[step].Add(took[step + 1]);
            await agent.RunAsync(cancellationToken, "sh", "-c", "rm -rf /srv/peer; mkdir /srv/peer");
            double unpack = (await agent.WallAsync(1, cancellationToken, "tar", "-x", "-f", $"/var/lib/store/{Version(100, run)}.tar", "-C", "/srv/peer"))[0];
            totals.Add(took[0]);
            unpacked.Add(unpack);
            between.Add(took[0] - took[1..].Sum());
            overheads.Add(took[0] - took[5] - took[6] - unpack);
        }
        return
        [
            new Figure("deploy of 100 files, first record to last", "ms", null, totals),
            .. names.Select((name, step) => new Figure($"  {name}", "ms", null, steps[step])),
            new Figure("  records between the steps", "ms", null, between),
            new Figure("tar -x of the same files", "ms", null, unpacked),
            new Figure("deploy less tar -x, restart and gate", "ms", 150, overheads),
        ];
    }

    /// <summary>How much longer than by hand does a large release take, over HTTP?</summary>
    public async Task<IReadOnlyList<Figure>> TransferAsync(CancellationToken cancellationToken)
    {
        await PublishAsync(1000, 100_000, cancellationToken);
        var deploys = new List<double>();
        var plain = new List<double>();
        var compressed = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            string version = Version(1000, run);
            double whole = (await agent.WallAsync(1, cancellationToken, "agentctl", "deploy", version))[0];
            deploys.Add(whole - (await agent.MeasureAsync(cancellationToken, "steps"))[6]);
            plain.Add(await ByHandAsync(version + ".tar", "-x", cancellationToken));
            compressed.Add(await ByHandAsync(version + ".tar.gz", "-xz", cancellationToken));
        }
        return
        [
            new Figure("agentctl deploy of 1,000 files of 100 kB, less the gate", "ms", null, deploys),
            new Figure("curl .tar, tar -x, sync, systemctl restart", "ms", null, plain),
            new Figure("curl .tar.gz, tar -xz, sync, systemctl restart", "ms", null, compressed),
            new Figure("deploy over curl .tar", "times", 1.5, [.. deploys.Zip(plain, (deploy, hand) => deploy / hand)]),
            new Figure("deploy over curl .tar.gz", "times", 1.5, [.. deploys.Zip(compressed, (deploy, hand) => deploy / hand)]),
        ];
    }

    private async Task<double> ByHandAsync(string archive, string tar, CancellationToken cancellationToken)
    {
        // What came before is on the disk already, as it is when the agent begins.
        await agent.RunAsync(cancellationToken, "sh", "-c", "rm -rf /srv/peer; mkdir /srv/peer; sync");
        return (await agent.WallAsync(
            1, cancellationToken, "bash", "-euo", "pipefail", "-c", $"curl -sSf http://127.0.0.1:8090/{archive} | tar {tar} -C /srv/peer; sync; systemctl restart shop"))[0];
    }

    /// <summary>Three releases that have no file of size in common, of which the host keeps two: each deployment takes all from the store.</summary>
    private async Task PublishAsync(int files, int bytes, CancellationToken cancellationToken)
    {
        await agent.WriteAsync("/etc/agentd/apps.d/shop.yaml", "keep: 1\ngate:\n  stable: 500ms\n", cancellationToken);
        for (int release = 0; release < 3; release++)
        {
            string version = Version(files, release);
            string tree = $"/var/lib/trees/{version}";
            await agent.RunAsync(cancellationToken, "mkdir", "-p", "/var/lib/trees");
            await agent.MeasureAsync(cancellationToken, "tree", tree, Text(files), Text(bytes), Text(files + release));
            await agent.ShellAsync(
                $"agentctl publish {tree} --version {version}; tar -C {tree} -c . >/var/lib/store/{version}.tar; gzip -k /var/lib/store/{version}.tar; rm -r {tree}", cancellationToken);
        }
        await agent.ReloadAsync(cancellationToken);
    }

    private static string Version(int files, int run) => $"v2.{Text(files)}.{Text(run % 3)}";

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

using System.Globalization;
using System.Text.Json;

namespace Agent.Benchmarks;

/// <summary>What a host is sent when one line of a large release has changed.</summary>
internal sealed class Pushes(AgentOnHost agent)
{
    private const string Before = "v3.0.0", After = "v3.0.1", Trees = "/var/lib/trees";

    /// <summary>How many bytes, beside rsync and the whole archive?</summary>
    public async Task<IReadOnlyList<Figure>> SentAsync(CancellationToken cancellationToken)
    {
        await agent.RunAsync(cancellationToken, "mkdir", "-p", Trees);
        await agent.MeasureAsync(cancellationToken, "tree", $"{Trees}/{Before}", "1000", "100000", "7");
        // Signed from here on: a host has the release before, and a store has both.
        await agent.ShellAsync(
            $"""
            cp -a {Trees}/{Before} {Trees}/{After}
            echo 'one more line' >> "$(find {Trees}/{After} -type f -size +50k | LC_ALL=C sort | head -n 1)"
            for version in {Before} {After}; do agentctl publish {Trees}/$version --version $version; done
            agentctl deploy {Before}
            """, cancellationToken);
        string pushed = await agent.ShellAsync($"agentctl push {After} --output json", cancellationToken);
        double sent = JsonDocument.Parse(pushed).RootElement.GetProperty("received_bytes").GetDouble();
        double synced = Number(await agent.ShellAsync(
            $"cp -a {Trees}/{Before} {Trees}/peer; rsync -az --no-whole-file --stats {Trees}/{After}/ {Trees}/peer/ | tr -d ',' | awk '/^Total bytes (sent|received)/ {{ sum += $4 }} END {{ print sum }}'", cancellationToken));
        double archive = Number(await agent.ShellAsync($"tar -C {Trees}/{After} -cz . | wc -c", cancellationToken));
        return
        [
            new Figure("push of one changed line in 1,000 files of 100 kB, to one host", "kB", null, [sent / 1e3]),
            new Figure("rsync -az of the same", "kB", null, [synced / 1e3]),
            new Figure("the whole as .tar.gz", "kB", null, [archive / 1e3]),
            new Figure("push over .tar.gz", "times", 0.01, [sent / archive]),
        ];
    }

    private static double Number(string text) => double.Parse(text.Trim(), CultureInfo.InvariantCulture);
}

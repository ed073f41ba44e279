using System.Globalization;

namespace Agent.Benchmarks;

/// <summary>What is asked of an agent on a host; a method a question. Each leaves the host with the new release live.</summary>
/// <param name="runs">Samples for each figure.</param>
/// <param name="quiet">How long nothing happens before the memory of an idle agent is read.</param>
internal sealed class Questions(AgentOnHost agent, int runs, TimeSpan quiet)
{
    /// <summary>How long is an app away that is rolled back? Less what systemd and the app need for a restart by themselves.</summary>
    public async Task<IReadOnlyList<Figure>> RollbackAsync(CancellationToken cancellationToken)
    {
        var rollbacks = new List<double>();
        var restarts = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            rollbacks.Add((await agent.GapAsync(cancellationToken, "agentctl", "rollback")).ToAnswer);
            restarts.Add((await agent.GapAsync(cancellationToken, "systemctl", "restart", "shop")).ToAnswer);
            await agent.RunAsync(cancellationToken, "agentctl", "deploy", AgentOnHost.New);
        }
        return
        [
            new Figure("agentctl rollback until the old release answers", "ms", null, rollbacks),
            new Figure("systemctl restart until the app answers", "ms", null, restarts),
            new Figure("rollback less restart", "ms", 1000, [.. rollbacks.Zip(restarts, (rollback, restart) => rollback - restart)]),
        ];
    }

    /// <summary>How much longer does nobody answer in a deploy than in a bare restart of the same service?</summary>
    public async Task<IReadOnlyList<Figure>> GapAsync(CancellationToken cancellationToken)
    {
        var deploys = new List<double>();
        var restarts = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            foreach (string version in new[] { AgentOnHost.Old, AgentOnHost.New })
            {
                deploys.Add((await agent.GapAsync(cancellationToken, "agentctl", "deploy", version)).Gap);
                restarts.Add((await agent.GapAsync(cancellationToken, "systemctl", "restart", "shop")).Gap);
            }
        }
        return
        [
            new Figure("deploy: stopped to answering", "ms", null, deploys),
            new Figure("systemctl restart: stopped to answering", "ms", null, restarts),
            new Figure("deploy over restart", "times", 1.1, [.. deploys.Zip(restarts, (deploy, restart) => deploy / restart)]),
        ];
    }

    /// <summary>What does an agent hold that has deployed and has nothing to do?</summary>
    public async Task<IReadOnlyList<Figure>> IdleAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(quiet, TimeProvider.System, cancellationToken);
        string pid = (await agent.PropertyAsync("MainPID", cancellationToken)).ToString(CultureInfo.InvariantCulture);
        string rollup = await agent.RunAsync(cancellationToken, "cat", $"/proc/{pid}/smaps_rollup");
        return
        [
            new Figure("agentd idle: resident", "MB", 65, [Megabytes(rollup, "Rss:")]),
            new Figure("agentd idle: proportional share", "MB", null, [Megabytes(rollup, "Pss:")]),
            new Figure("agentd idle: without files", "MB", null, [Megabytes(rollup, "Pss_Anon:")]),
        ];
    }

    /// <summary>How long does a person wait for an answer?</summary>
    public async Task<IReadOnlyList<Figure>> HealthAsync(CancellationToken cancellationToken)
    {
        await agent.WallAsync(1, cancellationToken, "agentctl", "health");      // from the disk once
        return
        [
            new Figure("agentctl health", "ms", 150, await agent.WallAsync(4 * runs, cancellationToken, "agentctl", "health")),
            new Figure("agentctl --version", "ms", null, await agent.WallAsync(4 * runs, cancellationToken, "agentctl", "--version")),
        ];
    }

    /// <summary>How long does an upgrade of the agent leave a host without one?</summary>
    public async Task<IReadOnlyList<Figure>> StartAsync(CancellationToken cancellationToken)
    {
        var ready = new List<double>();
        var busy = new List<double>();
        for (int run = 0; run < runs; run++)
        {
            await agent.RunAsync(cancellationToken, "systemctl", "restart", "agentd");
            long began = await agent.PropertyAsync("ExecMainStartTimestampMonotonic", cancellationToken);
            ready.Add((await agent.PropertyAsync("ActiveEnterTimestampMonotonic", cancellationToken) - began) / 1000.0);     // from microseconds
            busy.Add(await agent.PropertyAsync("CPUUsageNSec", cancellationToken) / 1e6);
        }
        return [new Figure("agentd: start to READY", "ms", 500, ready), new Figure("agentd: processor time for that", "ms", null, busy)];
    }

    // smaps_rollup counts in kB of 1024 bytes; a megabyte here is 1024 of these.
    private static double Megabytes(string rollup, string field) =>
        double.Parse(rollup.Split('\n').First(line => line.StartsWith(field, StringComparison.Ordinal))[field.Length..].Replace("kB", "", StringComparison.Ordinal).Trim(),
            CultureInfo.InvariantCulture) / 1024;
}

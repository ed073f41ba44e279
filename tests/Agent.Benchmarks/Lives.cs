using System.Globalization;

namespace Agent.Benchmarks;

/// <summary>What an agent costs between deployments, and when it starts after the power failed in one.</summary>
/// <param name="runs">Samples of the recovery.</param>
/// <param name="idle">How long the processor time of an idle agent is watched.</param>
internal sealed class Lives(AgentOnHost agent, int runs, TimeSpan idle)
{
    /// <summary>How much later is an agent ready that has a deployment to undo first?</summary>
    public async Task<IReadOnlyList<Figure>> RecoveryAsync(CancellationToken cancellationToken)
    {
        var clean = new List<double>();
        var undoing = new List<double>();
        await agent.RunAsync(cancellationToken, "agentctl", "deploy", AgentOnHost.Old);
        // Long enough for the power to fail while the gate watches the new release: then everything is to be undone.
        await agent.WriteAsync("/etc/agentd/apps.d/shop.yaml", "gate:\n  stable: 60s\n", cancellationToken);
        await agent.ReloadAsync(cancellationToken);
        for (int run = 0; run < runs; run++)
        {
            await agent.CutPowerAsync(cancellationToken);
            clean.Add(await ReadyAsync(cancellationToken));
            await agent.RunAsync(cancellationToken, "systemd-run", "--quiet", "agentctl", "deploy", AgentOnHost.New, "--app", "shop");
            await agent.MeasureAsync(cancellationToken, "await", "Gate");
            await agent.CutPowerAsync(cancellationToken);
            undoing.Add(await ReadyAsync(cancellationToken));
            await agent.RunAsync(cancellationToken, "bash", "-c", "until tail -n 1 /var/lib/agentd/journal | grep -q deployment-finished; do sleep 0.1; done");
            await agent.RunAsync(cancellationToken, "curl", "-sSf", AgentOnHost.Url);
        }
        await agent.WriteAsync("/etc/agentd/apps.d/shop.yaml", "gate:\n  stable: 500ms\n", cancellationToken);
        await agent.ReloadAsync(cancellationToken);
        await agent.RunAsync(cancellationToken, "agentctl", "deploy", AgentOnHost.New);
        return
        [
            new Figure("power cut, boot: agentd's start to READY", "ms", null, clean),
            new Figure("the same with a deployment to undo", "ms", null, undoing),
            new Figure("recovery beyond a clean start", "ms", 500, [.. undoing.Zip(clean, (undo, start) => undo - start)]),
        ];
    }

    /// <summary>How much of the host can an agent reach that could just deploy?</summary>
    public async Task<IReadOnlyList<Figure>> SecurityAsync(CancellationToken cancellationToken)
    {
        foreach (string version in new[] { AgentOnHost.Old, AgentOnHost.New }) await agent.RunAsync(cancellationToken, "agentctl", "deploy", version);
        string level = await agent.RunAsync(cancellationToken, "sh", "-c", "systemd-analyze security --no-pager agentd | sed -n 's/.*Overall exposure level for agentd.service: *\\([0-9.]*\\).*/\\1/p'");
        return [new Figure("systemd-analyze security agentd", "of 10", 2.5, [double.Parse(level, CultureInfo.InvariantCulture)])];
    }

    /// <summary>What does a host pay for an agent that follows a store and watches five apps?</summary>
    public async Task<IReadOnlyList<Figure>> ProcessorAsync(CancellationToken cancellationToken)
    {
        await agent.ShellAsync("for n in 1 2 3 4; do AGENTCTL_APP=web$n agentctl publish /root/shop --version v1.0.0; AGENTCTL_APP=web$n agentctl promote v1.0.0 --channel stable; done", cancellationToken);
        await agent.ShellAsync($"agentctl promote {AgentOnHost.New} --channel stable", cancellationToken);
        for (int app = 0; app < 5; app++)
        {
            string name = app == 0 ? "shop" : $"web{app.ToString(CultureInfo.InvariantCulture)}";
            await agent.WriteAsync($"/etc/agentd/apps.d/{name}.yaml", AppFile(8080 + app), cancellationToken);
        }
        await agent.ReloadAsync(cancellationToken);
        await agent.ShellAsync("for port in 8080 8081 8082 8083 8084; do curl -sS --retry 120 --retry-delay 1 --retry-all-errors --fail -o /dev/null http://127.0.0.1:$port/up; done; sleep 30", cancellationToken);
        double[] used = await agent.MeasureAsync(cancellationToken, "processor", ((int)idle.TotalSeconds).ToString(CultureInfo.InvariantCulture));
        return
        [
            new Figure("idle, 5 apps: agentd", "%", 0.2, [used[0]]),
            new Figure("idle, 5 apps: what it started", "%", null, [used[1]]),
            new Figure("idle, 5 apps: control group of agentd.service", "%", 0.2, [used[2]]),
            new Figure("idle, 5 apps: systemd and D-Bus", "%", null, [used[3]]),
        ];
    }

    private static string AppFile(int port)
    {
        string number = port.ToString(CultureInfo.InvariantCulture);
        return $"channel: stable\nwatch: 10s\nenvironment:\n  PORT: \"{number}\"\nchecks:\n  - http: http://127.0.0.1:{number}/up\ngate:\n  stable: 500ms\n";
    }

    private async Task<double> ReadyAsync(CancellationToken cancellationToken)
    {
        await agent.ShellAsync("until systemctl is-active --quiet agentd; do sleep 0.1; done", cancellationToken);
        return (await agent.PropertyAsync("ActiveEnterTimestampMonotonic", cancellationToken) - await agent.PropertyAsync("ExecMainStartTimestampMonotonic", cancellationToken)) / 1000.0;
    }
}

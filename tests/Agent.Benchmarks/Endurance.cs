using System.Diagnostics;
using System.Globalization;

namespace Agent.Benchmarks;

/// <summary>Many deployments, many apps, many files: what an agent holds before, at a half and at the end, and how long it takes.</summary>
/// <param name="percent">Share of the numbers that are meant.</param>
internal sealed class Endurance(AgentOnHost agent, int percent)
{
    private readonly List<Figure> figures = [];

    public async Task<IReadOnlyList<Figure>> AnswerAsync(CancellationToken cancellationToken)
    {
        await DeploymentsAsync(Of(200), cancellationToken);
        await AppsAsync(Of(50), cancellationToken);
        await FilesAsync(Of(100_000), cancellationToken);
        return figures;
    }

    // The journal and the history are full after 'history' deployments: 40 of them, so that the half of 200 has seen compactions already.
    private async Task DeploymentsAsync(int count, CancellationToken cancellationToken)
    {
        await agent.ShellAsync($"echo 'history: {Text(Math.Max(10, count / 5))}' >>/etc/agentd/agentd.yaml; systemctl restart agentd", cancellationToken);
        double[] before = await SizesAsync(cancellationToken), half = before;
        var took = new List<double>();
        for (int deployment = 0; deployment < count; deployment++)
        {
            took.Add((await agent.WallAsync(1, cancellationToken, "agentctl", "deploy", deployment % 2 == 0 ? AgentOnHost.Old : AgentOnHost.New))[0]);
            if (deployment + 1 == count / 2) half = await SizesAsync(cancellationToken);
        }
        Tell($"{Text(count)} deployments", before, half, await SizesAsync(cancellationToken), bounded: true);
        figures.Add(new Figure("  a deployment in the first tenth", "ms", null, took[..(count / 10)]));
        figures.Add(new Figure("  a deployment in the last tenth", "ms", null, took[^(count / 10)..]));
    }

    private async Task AppsAsync(int count, CancellationToken cancellationToken)
    {
        double[] before = await SizesAsync(cancellationToken), half = before;
        var took = new List<double>();
        await agent.ShellAsync($"for n in $(seq {Text(count)}); do AGENTCTL_APP=app$n agentctl publish /root/shop --version v1.0.0; done", cancellationToken);
        for (int app = 1; app <= count; app++)
        {
            string port = Text(9000 + app);
            await agent.WriteAsync(
                $"/etc/agentd/apps.d/app{Text(app)}.yaml",
                $"environment:\n  PORT: \"{port}\"\nchecks:\n  - http: http://127.0.0.1:{port}/up\n    interval: 200ms\ngate:\n  stable: 500ms\n", cancellationToken);
        }
        await agent.ReloadAsync(cancellationToken);
        for (int app = 1; app <= count; app++)
        {
            took.Add((await agent.WallAsync(1, cancellationToken, "agentctl", "deploy", "v1.0.0", "--app", $"app{Text(app)}"))[0]);
            if (app == count / 2) half = await SizesAsync(cancellationToken);
        }
        Tell($"{Text(count)} apps", before, half, await SizesAsync(cancellationToken), bounded: false);
        figures.Add(new Figure("  a deployment", "ms", null, took));
        figures.Add(new Figure("  agentctl status", "ms", null, await agent.WallAsync(5, cancellationToken, "agentctl", "status")));
    }

    private async Task FilesAsync(int count, CancellationToken cancellationToken)
    {
        const string Tree = "/var/lib/trees/many";
        await agent.RunAsync(cancellationToken, "mkdir", "-p", "/var/lib/trees");
        await agent.MeasureAsync(cancellationToken, "tree", Tree, Text(count), "200", "1");
        long start = Stopwatch.GetTimestamp();
        await agent.ShellAsync($"agentctl publish {Tree} --version v3.0.0; rm -r {Tree}", cancellationToken);
        double published = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        double[] before = await SizesAsync(cancellationToken);
        double deployed = (await agent.WallAsync(1, cancellationToken, "agentctl", "deploy", "v3.0.0", "--app", "shop"))[0];
        double[] steps = await agent.MeasureAsync(cancellationToken, "steps"), half = await SizesAsync(cancellationToken);
        double back = (await agent.WallAsync(1, cancellationToken, "agentctl", "rollback", "--app", "shop"))[0];
        Tell($"a release of {Text(count)} files", before, half, await SizesAsync(cancellationToken), bounded: false);
        figures.Add(new Figure("  publish", "ms", null, [published]));
        figures.Add(new Figure("  deploy", "ms", null, [deployed]));
        foreach ((int step, string name) in AgentOnHost.StepNames.Index()) figures.Add(new Figure($"  deploy: {name}", "ms", null, [steps[step + 1]]));
        figures.Add(new Figure("  rollback", "ms", null, [back]));
    }

    /// <param name="bounded">Nothing of it may grow from the half to the end.</param>
    private void Tell(string what, double[] before, double[] half, double[] end, bool bounded)
    {
        string[] names = ["agentd resident", "agentd resident at most", "open descriptors", "journal", "all data of the agent", "/srv"];
        string[] units = ["MB", "MB", "", "MB", "MB", "MB"];
        for (int size = 0; size < names.Length; size++)
        {
            figures.Add(new Figure($"{what}: {names[size]} before", units[size], null, [before[size]]));
            figures.Add(new Figure($"{what}: {names[size]} at a half", units[size], null, [half[size]]));
            // A tenth and some for what comes and goes: collections, connections, blocks of a file.
            figures.Add(new Figure($"{what}: {names[size]} at the end", units[size], bounded ? half[size] * 1.1 + 2 : null, [end[size]]));
        }
    }

    private Task<double[]> SizesAsync(CancellationToken cancellationToken) => agent.MeasureAsync(cancellationToken, "sizes");

    private int Of(int count) => Math.Max(10, count * percent / 100);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

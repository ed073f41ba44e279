// The figures of docs/reference/figures.md: dotnet run -c Release --project tests/Agent.Benchmarks -- all
using System.CommandLine;
using System.Diagnostics;
using Agent.Benchmarks;
using Agent.TestHosts;

var what = new Argument<string>("FIGURE")
{
    Description = "rollback | gap | idle | health | start | overhead | transfer | recovery | processor | security | endurance | database | stall | hosts | fleet | rollout | push | restore-point | all",
};
what.AcceptOnlyFromAmong("rollback", "gap", "idle", "health", "start", "overhead", "transfer", "recovery", "processor", "security", "endurance", "database", "stall", "hosts", "fleet", "rollout", "push", "restore-point", "all");
var runs = new Option<int>("--runs") { Description = "samples of each figure", DefaultValueFactory = _ => 5 };
var quiet = new Option<int>("--quiet-seconds") { Description = "idle time before memory is read", DefaultValueFactory = _ => 60 };
var minutes = new Option<int>("--minutes") { Description = "how long the processor time of an idle agent is watched", DefaultValueFactory = _ => 10 };
var size = new Option<int>("--percent") { Description = "share of the deployments, apps and files of endurance, and of the 2 GB of restore-point", DefaultValueFactory = _ => 100 };
var disk = new Option<string>("--disk") { Description = "a directory on a disk, in which hosts keep what they sync", DefaultValueFactory = _ => "/var/tmp" };
var binaries = new Option<string?>("--binaries") { Description = "a directory with agentd and agentctl; left out: they are published first" };
var json = new Option<bool>("--json") { Description = "for programs" };
var root = new RootCommand("Measures the published agent on a throwaway host. Needs root. Exits with 1 where an aim is missed.")
{
    what, runs, quiet, minutes, size, disk, binaries, json,
};
root.SetAction(async (parsed, cancellationToken) =>
{
    string repository = Repository();
    string onDisk = Path.Combine(Path.GetFullPath(parsed.GetRequiredValue(disk)), $"agentd-benchmark.{Environment.ProcessId}");
    string asked = parsed.GetRequiredValue(what);
    List<Figure> figures = [];
    if (asked is "restore-point" or "all")   // needs no host
        figures.AddRange(await new RestorePointFigure(onDisk + ".postgres", parsed.GetValue(runs), parsed.GetValue(size)).AnswerAsync(cancellationToken));
    if (asked == "restore-point") return Tell();
    string programs = Path.GetFullPath(parsed.GetValue(binaries) ?? await PublishAsync(repository, cancellationToken));
    int samples = parsed.GetValue(runs);
    // The memory is read after deployments and rollbacks, as on a host that has lived; what fills a host comes on one of its own.
    await MeasureAsync(null, agent =>
    {
        var questions = new Questions(agent, samples, TimeSpan.FromSeconds(parsed.GetValue(quiet)));
        return
        [
            ("rollback", questions.RollbackAsync), ("gap", questions.GapAsync), ("idle", questions.IdleAsync),
            ("health", questions.HealthAsync), ("start", questions.StartAsync),
        ];
    });
    await MeasureAsync(onDisk, agent =>
    {
        var deploys = new Deploys(agent, samples);
        var lives = new Lives(agent, samples, TimeSpan.FromMinutes(parsed.GetValue(minutes)));
        return
        [
            ("overhead", deploys.OverheadAsync), ("transfer", deploys.TransferAsync), ("recovery", lives.RecoveryAsync),
            ("security", lives.SecurityAsync), ("processor", lives.ProcessorAsync),
        ];
    });
    await MeasureAsync(null, agent => [("push", new Pushes(agent).SentAsync)]);
    await MeasureAsync(onDisk, agent => [("endurance", new Endurance(agent, parsed.GetValue(size)).AnswerAsync)]);
    await MeasureAsync(onDisk, agent =>
    {
        var databases = new Databases(agent, samples);
        return [("database", databases.NothingPendingAsync), ("stall", databases.StallAsync)];
    });
    if (asked is "all" or "hosts")
    {
        Console.Error.WriteLine("measuring hosts ...");
        figures.AddRange(await Databases.EightHostsAsync(samples, (name, network) => AgentOnHost.UpAsync(repository, programs, null, cancellationToken, name, network), cancellationToken));
    }
    if (asked is "all" or "fleet")
    {
        Console.Error.WriteLine("measuring fleet ...");
        figures.AddRange(await FleetFigure.AnswerAsync(repository, programs, samples, cancellationToken));
    }
    if (asked is "all" or "rollout")
    {
        Console.Error.WriteLine("measuring rollout ...");
        figures.AddRange(await RolloutFigure.AnswerAsync(samples, (name, network) => AgentOnHost.UpAsync(repository, programs, null, cancellationToken, name, network), cancellationToken));
    }
    return Tell();

    int Tell()
    {
        if (parsed.GetValue(json)) Figure.WriteJson(figures, Console.OpenStandardOutput());
        else Figure.WriteTable(figures, Console.Out);
        return figures.All(figure => figure.Met) ? 0 : 1;
    }

    async Task MeasureAsync(string? directory, Func<AgentOnHost, (string Name, Func<CancellationToken, Task<IReadOnlyList<Figure>>> Answer)[]> questions)
    {
        // Which there are is known without a host.
        if (asked != "all" && !questions(null!).Any(question => question.Name == asked)) return;
        await using AgentOnHost agent = await AgentOnHost.UpAsync(repository, programs, directory, cancellationToken);
        foreach ((string name, Func<CancellationToken, Task<IReadOnlyList<Figure>>> answer) in questions(agent))
        {
            if (asked != "all" && asked != name) continue;
            Console.Error.WriteLine($"measuring {name} ...");
            figures.AddRange(await answer(cancellationToken));
        }
    }
});
try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (TestHostException e)
{
    Console.Error.WriteLine($"error: {e.Message}\nfix:   {e.Remedy}");
    return e.Code;
}

static string Repository()
{
    string? directory = AppContext.BaseDirectory;
    while (directory is not null && !File.Exists(Path.Combine(directory, "Agent.sln"))) directory = Path.GetDirectoryName(directory);
    return directory ?? throw new TestHostException(TestHostException.Missing, "this program lies outside of the repository", "dotnet run --project tests/Agent.Benchmarks");
}

// As it is installed.
static async Task<string> PublishAsync(string repository, CancellationToken cancellationToken)
{
    string to = Path.Combine(repository, "tests/Agent.Benchmarks/bin/published");
    foreach (string project in new[] { "agent/Daemon", "cli" })
    {
        Console.Error.WriteLine($"publishing {project} ...");
        using Process publish = Process.Start(new ProcessStartInfo(
            "dotnet", ["publish", Path.Combine(repository, project), "-c", "Release", "-r", "linux-x64", "-o", to, "--nologo", "-v", "quiet"])
        {
            RedirectStandardOutput = true,
        })!;
        string output = await publish.StandardOutput.ReadToEndAsync(cancellationToken);
        await publish.WaitForExitAsync(cancellationToken);
        if (publish.ExitCode != 0) throw new TestHostException(TestHostException.Failed, $"dotnet publish {project}: exit {publish.ExitCode}\n{output}", "see what it printed");
    }
    return to;
}

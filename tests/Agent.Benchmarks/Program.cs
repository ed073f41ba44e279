// The figures of docs/reference/figures.md: dotnet run -c Release --project tests/Agent.Benchmarks -- all
using System.CommandLine;
using System.Diagnostics;
using Agent.Benchmarks;
using Agent.TestHosts;

var what = new Argument<string>("FIGURE") { Description = "rollback | gap | idle | health | start | all" };
what.AcceptOnlyFromAmong("rollback", "gap", "idle", "health", "start", "all");
var runs = new Option<int>("--runs") { Description = "samples of each figure", DefaultValueFactory = _ => 5 };
var quiet = new Option<int>("--quiet-seconds") { Description = "idle time before memory is read", DefaultValueFactory = _ => 60 };
var binaries = new Option<string?>("--binaries") { Description = "a directory with agentd and agentctl; left out: they are published first" };
var json = new Option<bool>("--json") { Description = "for programs" };
var root = new RootCommand("Measures the published agent on a throwaway host. Needs root. Exits with 1 where an aim is missed.") { what, runs, quiet, binaries, json };
root.SetAction(async (parsed, cancellationToken) =>
{
    string repository = Repository();
    string programs = Path.GetFullPath(parsed.GetValue(binaries) ?? await PublishAsync(repository, cancellationToken));
    await using AgentOnHost agent = await AgentOnHost.UpAsync(repository, programs, cancellationToken);
    var questions = new Questions(agent, parsed.GetValue(runs), TimeSpan.FromSeconds(parsed.GetValue(quiet)));
    string asked = parsed.GetRequiredValue(what);
    List<Figure> figures = [];
    // The memory is read after deployments and rollbacks, as on a host that has lived.
    foreach ((string name, Func<CancellationToken, Task<IReadOnlyList<Figure>>> answer) in new (string, Func<CancellationToken, Task<IReadOnlyList<Figure>>>)[]
    {
        ("rollback", questions.RollbackAsync), ("gap", questions.GapAsync), ("idle", questions.IdleAsync),
        ("health", questions.HealthAsync), ("start", questions.StartAsync),
    })
    {
        if (asked != "all" && asked != name) continue;
        Console.Error.WriteLine($"measuring {name} ...");
        figures.AddRange(await answer(cancellationToken));
    }
    if (parsed.GetValue(json)) Figure.WriteJson(figures, Console.OpenStandardOutput());
    else Figure.WriteTable(figures, Console.Out);
    return figures.All(figure => figure.Met) ? 0 : 1;
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

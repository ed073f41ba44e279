using System.CommandLine;
using System.CommandLine.Invocation;
using System.Diagnostics;
using Agent.TestHosts;

var name = new Argument<string>("NAME") { Description = "The host." };
var network = new Option<string?>("--network") { Description = "Joins it to the hosts of this network, which know each other by name.", HelpName = "NAME" };
var attached = new Option<bool>("--attached") { Description = "Stays in the foreground; the host ends with this command, however that ends." };
var command = new Argument<string[]>("COMMAND") { Description = "The command and its arguments, after --.", Arity = ArgumentArity.OneOrMore };
var everyName = new Argument<string?>("NAME") { Description = "The host.", Arity = ArgumentArity.ZeroOrOne };
var all = new Option<bool>("--all") { Description = "Every host, also those of tests that run." };

var root = new RootCommand("Throwaway systemd hosts: real systemd, D-Bus and journald on this machine, gone without a trace. Needs root.")
{
    Verb("up", "Makes a host and boots it.", [name, network, attached], async (parsed, cancel) =>
    {
        var options = new TestHostOptions { Network = parsed.GetValue(network), Owned = parsed.GetValue(attached) };
        TestHost host = await TestHost.UpAsync(parsed.GetRequiredValue(name), options, cancel);
        if (!options.Owned) return 0;
        await using (host)
        {
            Console.WriteLine(host.Id);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
            return 0;
        }
    }),
    Verb("exec", "Runs a command inside; its exit status is this one's.", [name, command], (parsed, cancel) =>
        InsideAsync(parsed.GetRequiredValue(name), parsed.GetRequiredValue(command), cancel)),
    Verb("shell", "Opens a shell inside.", [name], (parsed, cancel) =>
        InsideAsync(parsed.GetRequiredValue(name), Console.IsInputRedirected ? ["bash"] : ["script", "--quiet", "--return", "--command", "bash -l", "/dev/null"], cancel)),
    Verb("power-cut", "Ends everything inside at once; the disk stays.", [name], async (parsed, cancel) =>
    {
        await TestHost.Find(parsed.GetRequiredValue(name)).PowerCutAsync(cancel);
        return 0;
    }),
    Verb("boot", "Boots the disk of a host that is off.", [name], async (parsed, cancel) =>
    {
        await TestHost.Find(parsed.GetRequiredValue(name)).BootAsync(cancel);
        return 0;
    }),
    Verb("down", "Ends a host and removes everything of it.", [everyName, all], async (parsed, cancel) =>
    {
        string? one = parsed.GetValue(everyName);
        if (one is null != parsed.GetValue(all)) throw new TestHostException(2, "down takes the name of a host, or --all", "testhost list");
        foreach (TestHost host in one is null ? TestHost.All() : [TestHost.Find(one)]) await host.DownAsync();
        return 0;
    }),
    Verb("list", "Shows the hosts there are.", [], async (_, cancel) =>
    {
        await TestHost.SweepAsync(cancel);
        foreach (TestHost host in TestHost.All())
            Console.WriteLine($"{host.Id,-24} {(host.IsRunning ? "running" : "off"),-8} {host.Address}".TrimEnd());
        return 0;
    }),
};
ParseResult line = root.Parse(args);
int status = await line.InvokeAsync();
return line.Action is ParseErrorAction ? 2 : status;

static Command Verb(string name, string description, Symbol[] symbols, Func<ParseResult, CancellationToken, Task<int>> act)
{
    var verb = new Command(name, description);
    foreach (Argument argument in symbols.OfType<Argument>()) verb.Add(argument);
    foreach (Option option in symbols.OfType<Option>()) verb.Add(option);
    verb.SetAction(async (parsed, cancel) =>
    {
        try
        {
            if (Machine.Lacks() is [_, ..] lacks)
                throw new TestHostException(TestHostException.Missing, string.Join("\n       ", lacks), "throwaway hosts need it");
            return await act(parsed, cancel);
        }
        catch (TestHostException e)
        {
            Console.Error.WriteLine($"error: {e.Message}\nfix:   {e.Remedy}");
            return e.Code;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
    });
    return verb;
}

// With this process's own terminal and streams, so nothing is read or written on the way.
static async Task<int> InsideAsync(string id, string[] argv, CancellationToken cancel)
{
    ProcessStartInfo start = Tool.Command(TestHost.Find(id).Enter(argv));
    start.Environment["TERM"] = Environment.GetEnvironmentVariable("TERM") ?? "dumb";
    using Process process = Process.Start(start)!;
    using CancellationTokenRegistration end = cancel.Register(() => process.Kill(entireProcessTree: true));
    await process.WaitForExitAsync(CancellationToken.None);
    return process.ExitCode;
}

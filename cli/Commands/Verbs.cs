using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

/// <summary>A command of agentctl; its examples end its <c>--help</c>.</summary>
internal sealed class Verb(string name, string description, params string[] examples) : Command(name, description)
{
    public IReadOnlyList<string> Examples { get; } = examples;
}

internal enum OutputFormat
{
    Text,
    Json,
}

/// <summary>What a verb is called with.</summary>
/// <param name="Json">For a program, not for a person.</param>
/// <param name="Inventory">Reads hosts.yaml and .agentctl.yaml.</param>
internal sealed record Call(ParseResult Parsed, Terminal Terminal, bool Json, TimeProvider Time, Func<Inventory> Inventory);

/// <summary>What a verb that asks an agent is called with.</summary>
/// <param name="App">Empty where it was left out.</param>
internal sealed record AgentCall(ParseResult Parsed, Terminal Terminal, bool Json, string App, AgentConnection Agent, TimeProvider Time)
{
    /// <summary>A text that advises commands, made to fit the host that this asks.</summary>
    public string Hint(string text) => HostHint.For(Agent.Host, text);
}

/// <summary>Makes verbs, with the options that they share.</summary>
internal sealed class Verbs
{
    public const string OutputName = "--output";

    private readonly Terminal terminal;
    private readonly TimeProvider time;
    private readonly Option<OutputFormat> output = new(OutputName, "-o")
    {
        Description = "text for people, json for programs",
        HelpName = "text|json",
        CustomParser = result =>
        {
            string format = result.Tokens[0].Value;
            if (format is not ("text" or "json")) result.AddError($"{OutputName} is text or json");
            return format == "json" ? OutputFormat.Json : OutputFormat.Text;
        },
    };

    private readonly Option<string[]> host = new("--host")
    {
        Description = "the hosts: names, groups, web*, all, addresses; several by commas; -NAME takes one away. Left out: what .agentctl.yaml or hosts.yaml says, else this machine",
        HelpName = "HOSTS",
    };

    private readonly Option<int> parallel = Count("--parallel", null, "how many hosts at a time", FanOut.Parallel);
    private readonly Option<string?> socket = new("--socket") { Description = $"the agent's socket, else $AGENTD_SOCKET, else {SocketDialer.DefaultPath}", HelpName = "PATH" };
    private readonly Lazy<Inventory> inventory;

    public Verbs(Terminal terminal, TimeProvider time, Workplace workplace)
    {
        this.terminal = terminal;
        this.time = time;
        Workplace = workplace;
        inventory = new Lazy<Inventory>(() => Inventory.Load(workplace));
        App.CompletionSources.Add(_ => Completion.Apps(() => Inventory));
        host.CompletionSources.Add(_ => Completion.Hosts(() => Inventory));
        output.CompletionSources.Clear();
        output.CompletionSources.Add("text", "json");
    }

    public Workplace Workplace { get; }

    /// <summary>Read when it is first asked for.</summary>
    /// <exception cref="OperatorException">The files are wrong (<see cref="ExitCode.Usage"/>).</exception>
    public Inventory Inventory => inventory.Value;

    /// <summary>For verbs of one app.</summary>
    public Option<string> App { get; } = new("--app") { Description = "the app; may be left out where there is one", HelpName = "NAME", DefaultValueFactory = _ => "" };

    /// <summary>An option that is a number from 1 to 10,000.</summary>
    /// <param name="alias">Null: none.</param>
    public static Option<int> Count(string name, string? alias, string description, int usual) => new(name, alias is null ? [] : [alias])
    {
        Description = description,
        HelpName = "COUNT",
        DefaultValueFactory = _ => usual,
        CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, out int count) && count is >= 1 and <= 10_000) return count;
            result.AddError($"{name} is a number from 1 to 10000");
            return usual;
        },
    };

    /// <summary>For verbs that tell tracking something: kept, and shown by status.</summary>
    public static Option<string> Reason() => new("--reason") { Description = "why, for whoever looks later", HelpName = "TEXT", DefaultValueFactory = _ => "" };

    /// <summary>A verb that asks agents.</summary>
    /// <param name="run">On one host.</param>
    /// <param name="several">Where <c>--host</c> names more than one host, or a group; null: <see cref="FanOut.EachAsync"/>.</param>
    public Verb Asking(
        Verb verb, IEnumerable<Symbol> symbols, Func<AgentCall, CancellationToken, Task<int>> run, Func<HostsCall, CancellationToken, Task<int>>? several = null)
    {
        Add(verb, [.. symbols, output, host, parallel, socket]);
        verb.SetAction((parsed, cancellationToken) =>
        {
            HostsCall call = CallOf(parsed, Select(parsed));
            return call.Selection.IsOne ? FanOut.RunAloneAsync(call, call.Hosts[0], run, cancellationToken)
                : several is not null ? several(call, cancellationToken)
                : FanOut.EachAsync(call, run, cancellationToken);
        });
        return verb;
    }

    /// <summary>A verb that asks one agent, and has no meaning on several.</summary>
    /// <param name="why">As in <c>psql talks to one host</c>.</param>
    public Verb AskingOne(Verb verb, IEnumerable<Symbol> symbols, Func<AgentCall, CancellationToken, Task<int>> run, string why) =>
        Asking(verb, symbols, run, FanOut.OneOnly(run, why));

    /// <summary>A verb about hosts as such: where <c>--host</c> is left out it means all of the user's; this machine, where there are none.</summary>
    public Verb AskingAll(Verb verb, IEnumerable<Symbol> symbols, Func<HostsCall, CancellationToken, Task<int>> run)
    {
        Add(verb, [.. symbols, output, host, parallel, socket]);
        verb.SetAction((parsed, cancellationToken) =>
        {
            bool all = parsed.GetValue(host) is not { Length: > 0 } && parsed.GetValue(socket) is null;
            return run(CallOf(parsed, all ? Targets.SelectUsers(Inventory) : Select(parsed)), cancellationToken);
        });
        return verb;
    }

    /// <summary>A verb that needs no agent.</summary>
    public Verb Working(Verb verb, IEnumerable<Symbol> symbols, Func<Call, CancellationToken, Task<int>> run)
    {
        Add(verb, [.. symbols, output]);
        verb.SetAction((parsed, cancellationToken) => run(new Call(parsed, terminal, parsed.GetValue(output) == OutputFormat.Json, time, () => Inventory), cancellationToken));
        return verb;
    }

    /// <summary>The app that was named, else that of the files; empty: neither.</summary>
    private string AppOf(ParseResult parsed) => parsed.GetResult(App) switch
    {
        null => "",
        { Implicit: true } => Inventory.App ?? "",
        _ => parsed.GetValue(App) ?? "",
    };

    /// <exception cref="OperatorException">There is no such host (<see cref="ExitCode.Usage"/>), or a project's file leads to hosts that nobody named (<see cref="ExitCode.Refused"/>).</exception>
    private Selection Select(ParseResult parsed)
    {
        string? path = parsed.GetValue(socket);
        string[] typed = parsed.GetValue(host) ?? [];
        // The files are not looked at where they cannot matter.
        if (typed is [Targets.Local] || (typed.Length == 0 && (path is not null || Inventory.Default is null))) return Targets.Select([Targets.Local], Inventory.Empty, path);
        return typed.Length > 0 ? Targets.Select(typed, Inventory, path) : Targets.SelectDefault(Inventory, path);
    }

    private HostsCall CallOf(ParseResult parsed, Selection selection)
    {
        bool json = parsed.GetValue(output) == OutputFormat.Json;
        var call = new HostsCall(parsed, terminal, json, AppOf(parsed), selection, parsed.GetValue(parallel), Workplace, time);
        if (!json && inventory.IsValueCreated) TellProject(selection);
        return call;
    }

    // A project's file comes with a clone: whoever did not write it is told where it leads.
    private void TellProject(Selection selection)
    {
        if (Inventory.Note is { } note) terminal.ErrorLine($"note:  {note}");
        HostEntry[] projects = [.. selection.Hosts.Where(Inventory.IsProjects)];
        if (projects.Length > 0) terminal.ErrorLine($"note:  by {Inventory.ProjectFile}: {string.Join(", ", projects.Select(one => $"{one.Name} is {one.Address}"))}");
        else if (selection.LeftOut.Count > 0) terminal.ErrorLine($"note:  left out, as {Inventory.ProjectFile} alone names them: {string.Join(", ", selection.LeftOut.Select(one => one.Name))}; --host all asks them too");
        else if (selection.IsDefault && Inventory.Default!.File == Inventory.ProjectFile) terminal.ErrorLine($"note:  host {Inventory.Default.Wanted}, by {Inventory.ProjectFile}");
    }

    private static void Add(Verb verb, IEnumerable<Symbol> symbols)
    {
        foreach (Symbol symbol in symbols)
        {
            if (symbol is Argument argument) verb.Add(argument);
            else verb.Add((Option)symbol);
        }
    }
}

/// <summary>The usual help, and then the verb's examples.</summary>
internal sealed class HelpWithExamples : SynchronousCommandLineAction
{
    private readonly HelpAction help = new();

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        parseResult.CommandResult.Command.Hidden = false;   // for who asks by name
        help.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not Verb verb) return 0;
        TextWriter output = parseResult.InvocationConfiguration.Output;
        output.WriteLine(verb.Examples.Count == 1 ? "Example:" : "Examples:");
        foreach (string example in verb.Examples) output.WriteLine($"  {example}");
        return 0;
    }
}

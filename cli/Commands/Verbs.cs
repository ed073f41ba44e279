using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
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
internal sealed record Call(ParseResult Parsed, Terminal Terminal, bool Json, TimeProvider Time);

/// <summary>What a verb that asks an agent is called with.</summary>
/// <param name="App">Empty where it was left out.</param>
internal sealed record AgentCall(ParseResult Parsed, Terminal Terminal, bool Json, string App, AgentConnection Agent, TimeProvider Time);

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

    private readonly Option<string> host = new("--host") { Description = "the host to talk to; only 'local' now", HelpName = "NAME", DefaultValueFactory = _ => Targets.Local };
    private readonly Option<string?> socket = new("--socket") { Description = $"the agent's socket, else $AGENTD_SOCKET, else {SocketDialer.DefaultPath}", HelpName = "PATH" };

    public Verbs(Terminal terminal, TimeProvider time)
    {
        this.terminal = terminal;
        this.time = time;
    }

    /// <summary>For verbs of one app.</summary>
    public Option<string> App { get; } = new("--app") { Description = "the app; may be left out where there is one", HelpName = "NAME", DefaultValueFactory = _ => "" };

    /// <summary>An option that is a number from 1 to 10,000.</summary>
    public static Option<int> Count(string name, string alias, string description, int usual) => new(name, alias)
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

    /// <summary>A verb that asks an agent.</summary>
    public Verb Asking(Verb verb, IEnumerable<Symbol> symbols, Func<AgentCall, CancellationToken, Task<int>> run)
    {
        Add(verb, [.. symbols, output, host, socket]);
        verb.SetAction(async (parsed, cancellationToken) =>
        {
            string app = parsed.GetResult(App) is null ? "" : parsed.GetValue(App) ?? "";
            using AgentConnection agent = Targets.Connect(Targets.Select(parsed.GetValue(host)!, parsed.GetValue(socket))[0], time);
            return await run(new AgentCall(parsed, terminal, parsed.GetValue(output) == OutputFormat.Json, app, agent, time), cancellationToken);
        });
        return verb;
    }

    /// <summary>A verb that needs no agent.</summary>
    public Verb Working(Verb verb, IEnumerable<Symbol> symbols, Func<Call, CancellationToken, Task<int>> run)
    {
        Add(verb, [.. symbols, output]);
        verb.SetAction((parsed, cancellationToken) => run(new Call(parsed, terminal, parsed.GetValue(output) == OutputFormat.Json, time), cancellationToken));
        return verb;
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

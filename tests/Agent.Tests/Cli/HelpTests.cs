using System.CommandLine;
using System.Runtime.CompilerServices;
using Agent.Cli;
using Agent.Cli.Commands;
using Agent.Cli.Rendering;

namespace Agent.Tests.Cli;

public class HelpTests
{
    public static TheoryData<string> Paths => [.. Walk(AgentCtl.CreateRoot(Terminal.Plain(TextWriter.Null, TextWriter.Null), TimeProvider.System), "")];

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Every_command_explains_itself_with_an_example(string path)
    {
        using var output = new StringWriter { NewLine = "\n" };
        string[] words = path.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(0, await AgentCtl.RunAsync([.. words, "--help"], output, TextWriter.Null, TestContext.Current.CancellationToken));
        string[] lines = output.ToString().Split('\n');
        int heading = Array.FindIndex(lines, line => line is "Example:" or "Examples:");
        Assert.True(heading > 0, output.ToString());
        Assert.StartsWith($"  agentctl {path}".TrimEnd(), lines[heading + 1], StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Every_example_is_a_command_line_that_is_understood(string path)
    {
        Command root = AgentCtl.CreateRoot(Terminal.Plain(TextWriter.Null, TextWriter.Null), TimeProvider.System);
        Command command = path.Split(' ', StringSplitOptions.RemoveEmptyEntries).Aggregate(root, (parent, name) => parent.Subcommands.Single(child => child.Name == name));
        foreach (string example in Assert.IsType<Verb>(command).Examples)
            Assert.Null(UsageErrors.Find(root.Parse(example.Split(' ')[1..])));
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task Every_command_is_on_the_map(string path)
    {
        Command root = AgentCtl.CreateRoot(Terminal.Plain(TextWriter.Null, TextWriter.Null), TimeProvider.System);
        if (path.Split(' ', StringSplitOptions.RemoveEmptyEntries).Aggregate(root, (parent, name) => parent.Subcommands.Single(child => child.Name == name)).Subcommands.Count > 0) return;
        string page = await File.ReadAllTextAsync(Path.Combine(Repository(), "docs/reference/agentctl.md"), TestContext.Current.CancellationToken);
        Assert.Matches($"\\| `agentctl {path}[ `]", page);
    }

    [Fact]
    public void Every_option_and_argument_is_described()
    {
        Command root = AgentCtl.CreateRoot(Terminal.Plain(TextWriter.Null, TextWriter.Null), TimeProvider.System);
        Symbol[] all = [.. root.Subcommands.Concat(root.Subcommands.SelectMany(command => command.Subcommands)).SelectMany(command => command.Arguments.Cast<Symbol>().Concat(command.Options))];
        Assert.NotEmpty(all);
        Assert.All(all, symbol => Assert.False(string.IsNullOrEmpty(symbol.Description), symbol.Name));
    }

    private static string Repository([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../.."));

    private static IEnumerable<string> Walk(Command command, string path) =>
        command.Subcommands.Where(child => !child.Hidden).SelectMany(child => Walk(child, $"{path} {child.Name}".Trim())).Prepend(path);
}

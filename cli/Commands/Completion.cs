using System.CommandLine;
using System.CommandLine.Completions;
using Agent.Artifacts;
using Agent.Cli.Hosts;

namespace Agent.Cli.Commands;

/// <summary>What could stand at the end of a command line. Asks no agent, and tells no errors: whoever presses Tab is still typing.</summary>
internal static class Completion
{
    /// <param name="root">agentctl.</param>
    /// <param name="line">Up to the cursor, with <c>agentctl</c>.</param>
    public static IReadOnlyList<string> Of(Command root, string line)
    {
        string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        string current = line.Length == 0 || char.IsWhiteSpace(line[^1]) ? "" : words[^1];
        string[] before = [.. words.Skip(1).Take(words.Length - 1 - (current.Length > 0 ? 1 : 0))];
        if (words.Length == 0 || (words.Length == 1 && current.Length > 0) || before.Contains("--")) return [];

        Command command = root;
        Option? open = null;     // wants a value yet
        foreach (string word in before)
        {
            if (open is not null) open = null;
            else if (word.StartsWith('-')) open = Named(command, word) is { } option && option.ValueType != typeof(bool) ? option : null;
            else if (command.Subcommands.FirstOrDefault(child => child.Name == word) is { } below) command = below;
        }
        if (open is not null) return Values(open, current);
        if (current.StartsWith("--", StringComparison.Ordinal) && current.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals && Named(command, current[..equals]) is { } valued)
            return [.. Values(valued, current[(equals + 1)..]).Select(value => $"{current[..equals]}={value}")];
        if (current.StartsWith('-')) return Sorted(command.Options.Where(option => !option.Hidden && !before.Contains(option.Name)).Select(option => option.Name), current);
        return Sorted([
            .. command.Subcommands.Where(child => !child.Hidden).Select(child => child.Name),
            .. command.Arguments.SelectMany(argument => argument.GetCompletions(CompletionContext.Empty)).Select(item => item.Label),
        ], current);
    }

    /// <summary>Of <c>--host</c>: hosts, groups, and what stands for several.</summary>
    public static IEnumerable<CompletionItem> Hosts(Func<Inventory> inventory) => Known(inventory, known =>
        [Targets.Local, .. known.Hosts.Count > 0 ? [Targets.All] : Array.Empty<string>(), .. known.Hosts.Select(host => host.Name), .. known.Groups.Select(group => group.Name)]);

    /// <summary>Of <c>--app</c>: what the files name, and what this machine's agent has, where one may look.</summary>
    public static IEnumerable<CompletionItem> Apps(Func<Inventory> inventory) => Known(inventory, known =>
    {
        string[] here = [];
        try
        {
            here = [.. Directory.GetFiles("/etc/agentd/apps.d", "*.yaml").Select(file => Path.GetFileNameWithoutExtension(file))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // No agent here, or not for us to see.
        }
        return [.. here, .. known.App is { } app ? [app] : Array.Empty<string>()];
    });

    private static IEnumerable<CompletionItem> Known(Func<Inventory> inventory, Func<Inventory, IEnumerable<string>> names)
    {
        Inventory known = Inventory.Empty;
        try
        {
            known = inventory();
        }
        catch (OperatorException)
        {
            // The files are wrong: the command itself will say so.
        }
        return names(known).Select(name => new CompletionItem(name));
    }

    private static Option? Named(Command command, string word) => command.Options.FirstOrDefault(option => option.Name == word || option.Aliases.Contains(word));

    // Of a list by commas, the last part; what is taken away begins with - or !.
    private static IReadOnlyList<string> Values(Option option, string current)
    {
        int begin = 0;
        if (option.ValueType == typeof(string[]))
        {
            begin = current.LastIndexOf(',') + 1;
            if (begin < current.Length && (current[begin] is '-' or '!')) begin++;
        }
        return [.. Sorted(option.GetCompletions(CompletionContext.Empty).Select(item => item.Label), current[begin..]).Select(value => current[..begin] + value)];
    }

    private static IReadOnlyList<string> Sorted(IEnumerable<string> words, string begin) =>
        [.. words.Where(word => word.StartsWith(begin, StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal)];
}

using System.CommandLine;
using System.CommandLine.Parsing;
using Agent.Artifacts;

namespace Agent.Cli;

/// <summary>What is wrong with a command line, in the form of every other error: what, and what to type instead.</summary>
internal static class UsageErrors
{
    /// <returns>Null where nothing is wrong.</returns>
    public static OperatorException? Find(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        string path = PathOf(command);

        // One that does something by itself, too, takes no argument.
        if (command.Subcommands.Count > 0 && (command.Action is null || parsed.UnmatchedTokens.Count > 0))
        {
            if (parsed.UnmatchedTokens is not [var unknown, ..]) return new OperatorException(ExitCode.Usage, $"{path} needs a command", $"see {path} --help");
            return new OperatorException(ExitCode.Usage, $"there is no command '{path} {unknown}'", Suggest(unknown, command.Subcommands.Where(c => !c.Hidden).Select(c => c.Name)) is { } near
                ? $"did you mean {path} {near}? See {path} --help"
                : $"see {path} --help");
        }

        // An unknown option is taken for an argument where the verb has one: it would be told as a bad version.
        foreach (Token token in parsed.Tokens)
        {
            if (token.Type == TokenType.DoubleDash) break;      // what follows is another program's
            if (token.Type != TokenType.Argument || !token.Value.StartsWith('-') || token.Value.Length < 2 || IsOptionValue(parsed, token)) continue;
            return new OperatorException(ExitCode.Usage, $"{path} has no option {token.Value}", Suggest(token.Value, OptionNames(command)) is { } likely
                ? $"did you mean {likely}? See {path} --help"
                : $"see {path} --help");
        }
        if (parsed.Errors.Count == 0) return null;
        if (parsed.UnmatchedTokens is [var superfluous, ..]) return new OperatorException(ExitCode.Usage, $"{path} does not take '{superfluous}'", $"see {path} --help");
        if (parsed.CommandResult.Children.OfType<ArgumentResult>().FirstOrDefault(argument => argument.Tokens.Count == 0 && argument.Errors.Any()) is { } missing)
            return new OperatorException(ExitCode.Usage, $"{path} needs {missing.Argument.Name}", $"see {path} --help");
        if (parsed.CommandResult.Children.OfType<OptionResult>().FirstOrDefault(option => !option.Implicit && option.Tokens.Count == 0 && option.Errors.Any()) is { } bare)
            return new OperatorException(ExitCode.Usage, $"{bare.Option.Name} needs {bare.Option.HelpName ?? "a value"}", $"see {path} --help");
        string message = parsed.Errors[0].Message.TrimEnd('.');
        return new OperatorException(ExitCode.Usage, char.ToLowerInvariant(message[0]) + message[1..], $"see {path} --help");
    }

    /// <returns>The nearest of some names, or null where none is near.</returns>
    public static string? Suggest(string typed, IEnumerable<string> names) => names
        .Select(name => (name, distance: Distance(typed, name)))
        .Where(near => near.distance <= Math.Max(1, near.name.Length / 3))
        .OrderBy(near => near.distance)
        .Select(near => near.name)
        .FirstOrDefault();

    private static string PathOf(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is { } parent
        ? $"{PathOf(parent)} {command.Name}"
        : command.Name;

    private static IEnumerable<string> OptionNames(Command command) => command.Options.SelectMany(option => option.Aliases.Prepend(option.Name));

    private static bool IsOptionValue(ParseResult parsed, Token token) =>
        parsed.CommandResult.Children.OfType<OptionResult>().Any(option => option.Tokens.Any(t => ReferenceEquals(t, token)));

    // Optimal string alignment: insertions, deletions, changes and swaps of neighbours cost one each.
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) d[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) d[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
        {
            for (int j = 1; j <= b.Length; j++)
            {
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }
        return d[a.Length, b.Length];
    }
}

using System.Text.RegularExpressions;
using Agent.Cli.Hosts;

namespace Agent.Cli.Commands;

/// <summary>Commands that are advised in a text, made to fit the host that the text is about.</summary>
internal static partial class HostHint
{
    /// <summary><c>agentctl watch shop-3</c> becomes <c>agentctl watch shop-3 --host web1</c>; for this machine it stays.</summary>
    public static string For(HostEntry host, string text) =>
        host.Name == Targets.Local || !text.Contains("agentctl ", StringComparison.Ordinal) ? text : AdvisedCommand().Replace(text, match => $"{match.Value} --host {host.Name}");

    // The verbs that ask an agent; then options, the values of those that have one, and what looks like an argument: an id, a version, a placeholder.
    [GeneratedRegex(
        """
        \bagentctl\ (?:(?:db|config|rollout)\ [a-z]+|(?!store\b|publish\b|promote\b|app\b|hosts\b|host\b|drill\b|completion\b|pair\b)[a-z]+)\b
        (?:\ --?(?:app|reason|expect|lines|limit|restore-database|restore-point|n|O|c)\ [A-Za-z0-9._-]*[A-Za-z0-9]|\ --?[a-z][a-z-]*\b|\ (?=[a-z.-]*[A-Z0-9])[A-Za-z0-9._-]*[A-Za-z0-9])*
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex AdvisedCommand();
}

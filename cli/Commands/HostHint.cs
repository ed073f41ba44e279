using System.Text.RegularExpressions;
using Agent.Cli.Hosts;

namespace Agent.Cli.Commands;

/// <summary>Commands that are advised in a text, made to fit the host that the text is about.</summary>
internal static partial class HostHint
{
    /// <summary>What is to be typed on the host itself.</summary>
    private static readonly string[] OnHost = ["sudo ", "systemctl ", "journalctl "];

    /// <summary><c>agentctl watch shop-3</c> becomes <c>agentctl watch shop-3 --host web1</c>; for this machine it stays.</summary>
    public static string For(HostEntry host, string text)
    {
        if (host.Name == Targets.Local) return text;
        if (OnHost.Any(program => text.StartsWith(program, StringComparison.Ordinal))) text = $"on {host.Name}: {text}";
        return text.Contains("agentctl ", StringComparison.Ordinal) ? AdvisedCommand().Replace(text, match => $"{match.Value} --host {host.Name}") : text;
    }

    // Not what is to be typed on the host itself, nor what ssh is to run there. The verbs that ask an agent; then options, the values
    // of those that have one, and what looks like an argument: an id, a version, a placeholder.
    [GeneratedRegex(
        """
        (?<!\bsudo\ |\bssh\ [^;:,()]{0,100})\bagentctl\ (?:(?:db|config|clients)\ [a-z]+|(?!store\b|publish\b|promote\b|app\b|hosts\b|host\b|drill\b|completion\b|pair\b|clients\b|rollouts?\b|dial-)[a-z]+)(?![\w-])
        (?:\ --?(?:app|reason|expect|lines|limit|restore-database|restore-point|n|O|c)\ [A-Za-z0-9._-]*[A-Za-z0-9]|\ --?[a-z][a-z-]*\b|\ (?=[a-z.-]*[A-Z0-9])[A-Za-z0-9._-]*[A-Za-z0-9])*
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex AdvisedCommand();
}

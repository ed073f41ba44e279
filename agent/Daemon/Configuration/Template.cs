using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Fills the templates of a release.</summary>
internal static partial class Template
{
    /// <summary>Replaces each <c>${NAME}</c> by its value, and each <c>$${</c> by a literal <c>${</c>; nothing else is touched, a value is not looked into again.</summary>
    /// <param name="file">As it is told in errors.</param>
    /// <exception cref="OperatorException">Names without a value, or a <c>${</c> that begins no name, all of them with their lines; no value is told (<see cref="ExitCode.Refused"/>).</exception>
    public static string Fill(string text, IReadOnlyDictionary<string, string> values, string file)
    {
        var problems = new Problems();
        var filled = new StringBuilder(text.Length);
        int line = 1, from = 0;
        foreach (Match match in Place().Matches(text))
        {
            ReadOnlySpan<char> before = text.AsSpan(from, match.Index - from);
            filled.Append(before);
            line += before.Count('\n');
            from = match.Index + match.Length;
            if (match.Value == "$${") filled.Append("${");
            else if (match.Groups["name"] is not { Success: true, Value: var name }) problems.Add(file, line, "'${' begins no name", "write ${NAME}, or $${ for a literal ${");
            else if (values.TryGetValue(name, out string? value)) filled.Append(value);
            else problems.Add(file, line, $"${{{name}}} has no value", $"set {name} in environment or secrets of the app, or write $${{{name}}} to keep it as it stands");
        }
        problems.ThrowIfAny(ExitCode.Refused, "give each name a value in apps.d, or correct the template and publish the release under a new version");
        return filled.Append(text, from, text.Length - from).ToString();
    }

    [GeneratedRegex(@"\$\$\{|\$\{(?:(?<name>[A-Za-z_][A-Za-z0-9_]{0,254})\})?")]
    private static partial Regex Place();
}

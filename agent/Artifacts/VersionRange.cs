using System.Text.RegularExpressions;
using NuGet.Versioning;

namespace Agent.Artifacts;

/// <summary>
/// A range of semantic versions, as comparators that must all hold: <c>&gt;=1.2.0 &lt;2.0.0</c>, <c>^1.2.0</c>, <c>~1.2.0</c>, <c>1.2.0</c>, <c>*</c>.
/// Pre-releases match only where a comparator names one, as in <c>&gt;=2.0.0-0</c>.
/// </summary>
internal sealed partial record VersionRange
{
    private readonly List<(string Op, SemanticVersion Version)> comparators = [];

    public VersionRange(string text)
    {
        Text = text.Trim();
        foreach (string part in Text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (part == "*") continue;
            Match match = Comparator().Match(part);
            if (!match.Success || !SemanticVersion.TryParse(match.Groups[2].Value, out SemanticVersion? version))
                throw new OperatorException(ExitCode.Usage, $"'{text}' is not a version range", "write it as '>=1.2.0 <2.0.0', '^1.2.0', '~1.2.0' or '*'");
            string op = match.Groups[1].Value;
            if (op is "^" or "~")
            {
                comparators.Add((">=", version));
                comparators.Add(("<", Ceiling(op, version)));
            }
            else comparators.Add((op.Length == 0 ? "=" : op, version));
        }
        if (Text.Length == 0) throw new OperatorException(ExitCode.Usage, "the version range is empty", "write '*' for any version");
    }

    public string Text { get; }

    public bool Contains(ReleaseVersion version)
    {
        SemanticVersion candidate = version.Semantic;
        if (candidate.IsPrerelease && !comparators.Any(c => c.Version.IsPrerelease && c.Op != "<")) return false;
        return comparators.TrueForAll(c => Holds(c.Op, VersionComparer.VersionRelease.Compare(candidate, c.Version)));
    }

    public bool Equals(VersionRange? other) => other is not null && Text == other.Text;

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    private static bool Holds(string op, int order) => op switch
    {
        ">=" => order >= 0,
        ">" => order > 0,
        "<=" => order <= 0,
        "<" => order < 0,
        _ => order == 0,
    };

    // ^ keeps the leftmost non-zero number, ~ keeps major and minor (as npm's semver). "-0" keeps pre-releases of the ceiling out.
    private static SemanticVersion Ceiling(string op, SemanticVersion v) => op == "~" || (v.Major == 0 && v.Minor > 0)
        ? new SemanticVersion(v.Major, v.Minor + 1, 0, "0")
        : v.Major > 0 ? new SemanticVersion(v.Major + 1, 0, 0, "0") : new SemanticVersion(0, 0, v.Patch + 1, "0");

    [GeneratedRegex(@"\A(>=|<=|>|<|=|\^|~)?v?([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?)\z")]
    private static partial Regex Comparator();
}

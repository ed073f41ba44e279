using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using NuGet.Versioning;

namespace Agent.Artifacts;

/// <summary>
/// A semantic version (semver.org 2.0.0), with or without a leading <c>v</c>, 64 characters at most.
/// The text is kept as given and is safe as a directory name and path segment; order is by semantic version.
/// </summary>
internal sealed partial record ReleaseVersion : IComparable<ReleaseVersion>
{
    public ReleaseVersion(string text)
    {
        if (text.Length > 64 || !Pattern().IsMatch(text) || !SemanticVersion.TryParse(text.TrimStart('v'), out SemanticVersion? parsed))
            throw new OperatorException(ExitCode.Usage, $"'{text}' is not a version", "write it as v1.2.3 or v1.2.3-rc.1 (semver.org)");
        Text = text;
        Semantic = parsed;
    }

    public string Text { get; }

    public SemanticVersion Semantic { get; }

    public bool IsPrerelease => Semantic.IsPrerelease;

    public static bool TryParse(string text, [NotNullWhen(true)] out ReleaseVersion? version)
    {
        try
        {
            version = new ReleaseVersion(text);
            return true;
        }
        catch (OperatorException)
        {
            version = null;
            return false;
        }
    }

    public int CompareTo(ReleaseVersion? other) => other is null ? 1 : VersionComparer.VersionRelease.Compare(Semantic, other.Semantic);

    public bool Equals(ReleaseVersion? other) => other is not null && Text == other.Text;

    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Text;

    public static bool operator <(ReleaseVersion left, ReleaseVersion right) => left.CompareTo(right) < 0;

    public static bool operator >(ReleaseVersion left, ReleaseVersion right) => left.CompareTo(right) > 0;

    public static bool operator <=(ReleaseVersion left, ReleaseVersion right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ReleaseVersion left, ReleaseVersion right) => left.CompareTo(right) >= 0;

    [GeneratedRegex(@"\Av?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\z")]
    private static partial Regex Pattern();
}

using System.Text.RegularExpressions;

namespace Agent.Artifacts;

/// <summary>
/// Name of an app: 1 to 40 of <c>a-z 0-9 -</c>, beginning with a letter. So it is safe as a directory, a unit name,
/// a user name, a role name in the signed metadata and a path segment in a store.
/// </summary>
internal sealed partial record AppName
{
    public AppName(string text) => Value = Pattern().IsMatch(text)
        ? text
        : throw new OperatorException(ExitCode.Usage, $"'{text}' is not an app name", "use a-z, 0-9 and '-', beginning with a letter, 40 at most");

    public string Value { get; }

    public override string ToString() => Value;

    [GeneratedRegex(@"\A[a-z](-?[a-z0-9]){0,39}\z")]
    private static partial Regex Pattern();
}

using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Name of a systemd service unit.</summary>
internal sealed partial record UnitName
{
    public UnitName(string text) => Value = Pattern().IsMatch(text)
        ? text
        : throw new OperatorException(ExitCode.Usage, $"'{text}' is not a unit name", "write it as NAME.service");

    public string Value { get; }

    public override string ToString() => Value;

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}\.service\z")]
    private static partial Regex Pattern();
}

using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Name of a systemd unit: a service, or what starts one (timer, socket, path), or a target.</summary>
internal sealed partial record UnitName
{
    public UnitName(string text) => Value = Pattern().IsMatch(text)
        ? text
        : throw new OperatorException(ExitCode.Usage, $"'{text}' is not a unit name", "write it as NAME.service, .timer, .socket, .path or .target");

    public string Value { get; }

    public bool IsService => Value.EndsWith(".service", StringComparison.Ordinal);

    /// <summary>The service of the same name: what a timer, socket or path starts.</summary>
    public UnitName ToService() => new($"{Path.GetFileNameWithoutExtension(Value)}.service");

    /// <summary>Whether this is a timer, socket or path that starts the service <paramref name="service"/> by its name.</summary>
    public bool Triggers(UnitName service) =>
        service.IsService && !IsService && !Value.EndsWith(".target", StringComparison.Ordinal) && Path.GetFileNameWithoutExtension(Value) == Path.GetFileNameWithoutExtension(service.Value);

    public override string ToString() => Value;

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9:_.@-]{0,200}\.(service|timer|socket|path|target)\z")]
    private static partial Regex Pattern();
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Deployments;

/// <summary>Takes the values of secrets out of what people and files get to see.</summary>
internal sealed class Redactor
{
    /// <summary>What is shorter stands in every second line by chance; nobody is protected by hiding it.</summary>
    private const int Shortest = 4;

    private readonly string[] values;

    public Redactor(IEnumerable<string> values) =>
        // Longest first, so that one that holds another goes whole.
        this.values = [.. values.SelectMany(v => v.Split('\n')).Where(v => v.Length >= Shortest).Distinct().OrderByDescending(v => v.Length)];

    public static Redactor Nothing { get; } = new([]);

    /// <summary>For what an app of this definition prints.</summary>
    /// <exception cref="OperatorException">Its secrets cannot be read (<see cref="ExitCode.Refused"/>).</exception>
    public static Redactor Of(AppDefinition definition, IConfiguration configuration) =>
        definition.SecretsFile is { } file ? new Redactor(configuration.Secrets(file).Values) : Nothing;

    public string Clean(string text)
    {
        foreach (string value in values) text = text.Replace(value, "[secret]", StringComparison.Ordinal);
        return text;
    }
}

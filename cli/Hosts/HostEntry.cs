namespace Agent.Cli.Hosts;

/// <summary>A host as people name it.</summary>
internal sealed record HostEntry(string Name, HostAddress Address)
{
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>For TLS: SHA-256 of the agent's public key, <c>sha256:...</c>; null: what pairing has kept, or the operator's CA.</summary>
    public string? Fingerprint { get; init; }
}

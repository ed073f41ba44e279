namespace Agent.Cli.Hosts;

/// <summary>A host as people name it.</summary>
internal sealed record HostEntry(string Name, HostAddress Address)
{
    public IReadOnlyList<string> Groups { get; init; } = [];

    /// <summary>For TLS: SHA-256 of the agent's public key, <c>sha256:...</c>; null: what pairing has kept, or the operator's CA.</summary>
    public string? Fingerprint { get; init; }

    /// <summary>The file that names it; null: none does, it was typed as an address, or is this machine.</summary>
    public string? File { get; init; }
}

/// <summary>A named set of hosts, and how a rollout over it goes.</summary>
/// <param name="Hosts">Names, in the order of the files.</param>
internal sealed record HostGroup(string Name, IReadOnlyList<string> Hosts, RolloutDefaults Rollout);

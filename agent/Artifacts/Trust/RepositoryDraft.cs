using System.Text.Json.Nodes;

namespace Agent.Artifacts.Trust;

/// <summary>New content of roles that are to be published together, on top of a trusted set.</summary>
internal sealed class RepositoryDraft(TrustedSet onto)
{
    private readonly List<(string Role, JsonObject Signed, RoleKeys Signers)> roles = [];

    /// <summary>What it changes.</summary>
    public TrustedSet Onto { get; } = onto;

    /// <summary>In the order of adding. The version is given when it is published.</summary>
    public IReadOnlyList<(string Role, JsonObject Signed, RoleKeys Signers)> Roles => roles;

    /// <summary>Sign a snapshot and a timestamp even where no role changes.</summary>
    public bool RenewsSnapshot { get; set; }

    public void Set(string role, JsonObject signed, RoleKeys signers) => roles.Add((role, signed, signers));
}

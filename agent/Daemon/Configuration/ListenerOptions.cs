using System.Net;

namespace Agent.Daemon.Configuration;

/// <summary>Where the agent listens on the network, and whom it lets in there besides callers that were paired.</summary>
/// <param name="Address">With the port; any address of the host where it is <c>0.0.0.0</c> or <c>::</c>.</param>
internal sealed record ListenerOptions(IPEndPoint Address)
{
    private static readonly IReadOnlyDictionary<string, string> NoRoles = new Dictionary<string, string>();
    private static readonly IReadOnlyList<string> None = [];

    /// <summary>PEM with the agent's certificate and those between it and its CA; null: the agent's own key.</summary>
    public string? Certificate { get; init; }

    /// <summary>PEM with the certificate's private key.</summary>
    public string? Key { get; init; }

    /// <summary>PEM with the CA whose certificates callers may have; null: only paired callers are let in.</summary>
    public string? ClientCa { get; init; }

    /// <summary>The role, as a word, by the common name in a certificate of that CA.</summary>
    public IReadOnlyDictionary<string, string> ClientRoles { get; init; } = NoRoles;

    /// <summary>Fingerprints of keys that are let in under no circumstances.</summary>
    public IReadOnlyList<string> Revoked { get; init; } = None;
}

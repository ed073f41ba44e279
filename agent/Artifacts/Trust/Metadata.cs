using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Agent.Artifacts.Trust;

/// <summary>The hashes that signed metadata gives for a content, in hexadecimal. At least one is of a known kind.</summary>
internal sealed record ContentHashes(string? Sha256, string? Sha512)
{
    public static ContentHashes Of(ReadOnlySpan<byte> content) => new(Convert.ToHexStringLower(SHA256.HashData(content)), null);

    public bool Match(ReadOnlySpan<byte> content) =>
        (Sha256 is null || Sha256.Equals(Convert.ToHexString(SHA256.HashData(content)), StringComparison.OrdinalIgnoreCase))
        && (Sha512 is null || Sha512.Equals(Convert.ToHexString(SHA512.HashData(content)), StringComparison.OrdinalIgnoreCase));

    /// <summary>Begins a target's file name in the store.</summary>
    public string Prefix => Sha256 ?? Sha512!;
}

/// <summary>What a parent says of a metadata file.</summary>
/// <param name="Length">Bytes; null when the parent does not say.</param>
/// <param name="Hashes">Null when the parent does not say.</param>
internal sealed record MetaFile(long Version, long? Length, ContentHashes? Hashes);

/// <summary>A file that signed metadata lists.</summary>
/// <param name="Path">Segments joined by <c>/</c>, without the <c>targets/</c> of the store.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Custom">What the publisher added; null for nothing.</param>
internal sealed record TargetInfo(string Path, long Length, ContentHashes Hashes, JsonObject? Custom)
{
    public TargetInfo(string path, long length, Digest sha256, JsonObject? custom)
        : this(path, length, new ContentHashes(sha256.Hex, null), custom) { }

    /// <exception cref="TrustException">The publisher gave only another hash; nothing of ours does.</exception>
    public Digest Sha256 => Hashes.Sha256 is { } hex ? new Digest(hex.ToLowerInvariant()) : throw TrustException.Malformed(Path, "it is listed without a SHA-256");
}

/// <summary>The keys of a role and how many of them must sign.</summary>
internal sealed record RoleKeys(ImmutableHashSet<string> KeyIds, int Threshold);

/// <summary>What a role says about itself, whatever it is.</summary>
/// <param name="Expires">Trusted until, and not at, this moment.</param>
/// <param name="Issued">When it was signed (a field of ours, <c>x-agentd-issued</c>); null where the publisher does not say.</param>
internal abstract record Signed(long Version, DateTimeOffset Expires, DateTimeOffset? Issued)
{
    /// <summary>The half of its life is over. Null where the publisher does not say when it began.</summary>
    public DateTimeOffset? HalfLife => Issued is { } issued && issued < Expires ? issued + (Expires - issued) / 2 : null;
}

internal sealed record RootMetadata(
    long Version, DateTimeOffset Expires, DateTimeOffset? Issued, bool ConsistentSnapshot,
    ImmutableDictionary<string, VerificationKey> Keys, ImmutableDictionary<string, RoleKeys> Roles) : Signed(Version, Expires, Issued);

internal sealed record TimestampMetadata(long Version, DateTimeOffset Expires, DateTimeOffset? Issued, MetaFile Snapshot) : Signed(Version, Expires, Issued);

/// <param name="Roles">By role name, without <c>.json</c>.</param>
internal sealed record SnapshotMetadata(
    long Version, DateTimeOffset Expires, DateTimeOffset? Issued, ImmutableDictionary<string, MetaFile> Roles) : Signed(Version, Expires, Issued);

internal sealed record TargetsMetadata(
    long Version, DateTimeOffset Expires, DateTimeOffset? Issued, ImmutableSortedDictionary<string, TargetInfo> Targets,
    ImmutableDictionary<string, VerificationKey> Keys, ImmutableArray<Delegation> Delegations) : Signed(Version, Expires, Issued);

/// <summary>Trust in another role for some paths: those that match a pattern, or those whose path hashes into a bin.</summary>
/// <param name="HashPrefixes">Of the SHA-256 of a path; empty where <paramref name="Patterns"/> decide.</param>
internal sealed record Delegation(string Role, RoleKeys Signers, bool Terminating, ImmutableArray<PathPattern> Patterns, ImmutableArray<string> HashPrefixes)
{
    public bool Covers(string path)
    {
        if (HashPrefixes.IsEmpty) return Patterns.Any(pattern => pattern.Matches(path));
        string hash = Digest.Of(System.Text.Encoding.UTF8.GetBytes(path)).Hex;
        return HashPrefixes.Any(prefix => hash.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Whether it could cover a path below <paramref name="directory"/> (empty, or with a closing <c>/</c>).</summary>
    public bool MayCoverBelow(string directory) => !HashPrefixes.IsEmpty || Patterns.Any(pattern => pattern.MayMatchBelow(directory));
}

/// <summary>A metadata file as served, and what is in it. Nothing in it is trusted until <see cref="Verify"/> has returned.</summary>
/// <param name="Name">File name, for errors.</param>
/// <param name="Bytes">As served: what is kept on disk, hashed and measured.</param>
internal sealed record Envelope<T>(string Name, byte[] Bytes, T Signed, byte[] SignedBytes, ImmutableArray<(string KeyId, string Signature)> Signatures)
    where T : Signed
{
    /// <summary>Whether <paramref name="role"/>'s threshold of different keys has signed.</summary>
    public bool IsSignedBy(RoleKeys role, IReadOnlyDictionary<string, VerificationKey> keys) => ValidSignatures(role, keys) >= role.Threshold;

    /// <exception cref="TrustException"><see cref="TrustFailure.Signature"/>.</exception>
    public void Verify(RoleKeys role, IReadOnlyDictionary<string, VerificationKey> keys)
    {
        int valid = ValidSignatures(role, keys);
        if (valid < role.Threshold) throw TrustException.Signature(Name, $"{valid} valid signatures of {role.Threshold} needed");
    }

    private int ValidSignatures(RoleKeys role, IReadOnlyDictionary<string, VerificationKey> keys)
    {
        var signers = new HashSet<string>();
        foreach ((string keyId, string signature) in Signatures)
        {
            if (!role.KeyIds.Contains(keyId) || !keys.TryGetValue(keyId, out VerificationKey? key)) continue;
            if (signature.Length is 0 or > 4096 || signature.Length % 2 != 0 || !signature.All(char.IsAsciiHexDigit)) continue;
            if (key.Verify(SignedBytes, Convert.FromHexString(signature))) signers.Add(key.Identity);
        }
        return signers.Count;
    }
}

using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Agent.Artifacts.Trust;

/// <summary>Reads metadata files (specification, chapter 4) from hostile bytes; every failure is <see cref="TrustFailure.Malformed"/>.</summary>
internal static class MetadataFormat
{
    public const string Root = "root", Timestamp = "timestamp", Snapshot = "snapshot", Targets = "targets";

    /// <summary>A field of ours in signed content: when it was signed, so that half of its life can be told.</summary>
    public const string IssuedField = "x-agentd-issued";

    public const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss'Z'";

    public static readonly ImmutableArray<string> TopLevelRoles = [Root, Timestamp, Snapshot, Targets];

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };

    public static Envelope<RootMetadata> ReadRoot(byte[] bytes, string name) => Read(bytes, name, Root, (signed, head) =>
    {
        JsonElement roles = Member(signed, "roles", JsonValueKind.Object);
        return new RootMetadata(head.Version, head.Expires, head.Issued,
            signed.TryGetProperty("consistent_snapshot", out JsonElement consistent) && consistent.GetBoolean(),
            ReadKeys(signed),
            TopLevelRoles.ToImmutableDictionary(role => role, role => ReadRoleKeys(Member(roles, role, JsonValueKind.Object))));
    });

    public static Envelope<TimestampMetadata> ReadTimestamp(byte[] bytes, string name) => Read(bytes, name, Timestamp, (signed, head) =>
        new TimestampMetadata(head.Version, head.Expires, head.Issued,
            ReadMetaFile(Member(Member(signed, "meta", JsonValueKind.Object), "snapshot.json", JsonValueKind.Object))));

    public static Envelope<SnapshotMetadata> ReadSnapshot(byte[] bytes, string name) => Read(bytes, name, Snapshot, (signed, head) =>
        new SnapshotMetadata(head.Version, head.Expires, head.Issued,
            Member(signed, "meta", JsonValueKind.Object).EnumerateObject().ToImmutableDictionary(
                file => file.Name.EndsWith(".json", StringComparison.Ordinal) ? file.Name[..^5] : throw new FormatException($"'{file.Name}' is not a metadata file"),
                file => ReadMetaFile(file.Value))));

    public static Envelope<TargetsMetadata> ReadTargets(byte[] bytes, string name) => Read(bytes, name, Targets, (signed, head) =>
    {
        ImmutableSortedDictionary<string, TargetInfo> targets = Member(signed, "targets", JsonValueKind.Object).EnumerateObject()
            .Select(ReadTarget).ToImmutableSortedDictionary(target => target.Path, target => target, StringComparer.Ordinal);
        if (!signed.TryGetProperty("delegations", out JsonElement delegations))
            return new TargetsMetadata(head.Version, head.Expires, head.Issued, targets, ImmutableDictionary<string, VerificationKey>.Empty, []);
        ImmutableArray<Delegation> roles = [.. Member(delegations, "roles", JsonValueKind.Array).EnumerateArray().Select(ReadDelegation)];
        if (roles.Select(role => role.Role).Distinct().Count() != roles.Length) throw new FormatException("a role is delegated to twice");
        return new TargetsMetadata(head.Version, head.Expires, head.Issued, targets, ReadKeys(delegations), roles);
    });

    private static Envelope<T> Read<T>(byte[] bytes, string name, string type, Func<JsonElement, Head, T> read)
        where T : Signed
    {
        try
        {
            JsonElement file = JsonElement.Parse(bytes, Strict);
            JsonElement signed = Member(file, "signed", JsonValueKind.Object);
            if (Text(signed, "_type") != type) throw new FormatException($"it says that it is '{Text(signed, "_type")}'");
            if (!Text(signed, "spec_version").StartsWith("1.", StringComparison.Ordinal)) throw new FormatException("it is of another major version of the specification");
            var signatures = ImmutableArray.CreateBuilder<(string KeyId, string Signature)>();
            foreach (JsonElement signature in Member(file, "signatures", JsonValueKind.Array).EnumerateArray())
                signatures.Add((Text(signature, "keyid"), Text(signature, "sig")));
            if (signatures.Select(s => s.KeyId).Distinct().Count() != signatures.Count) throw new FormatException("a key id signs twice");
            var head = new Head(
                Positive(signed, "version"),
                Time(Text(signed, "expires")),
                signed.TryGetProperty(IssuedField, out JsonElement issued) ? Time(Text(issued)) : null);
            return new Envelope<T>(name, bytes, read(signed, head), CanonicalJson.Encode(signed), signatures.ToImmutable());
        }
        // JsonException: no JSON. FormatException: our own findings. The rest is how JsonElement says "another kind" or "not Unicode",
        // and how dictionaries say "twice".
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or ArgumentException)
        {
            throw TrustException.Malformed(name, e.Message, e);
        }
    }

    private static ImmutableDictionary<string, VerificationKey> ReadKeys(JsonElement parent) =>
        Member(parent, "keys", JsonValueKind.Object).EnumerateObject().ToImmutableDictionary(
            key => key.Name,
            key => new VerificationKey(Text(key.Value, "keytype"), Text(key.Value, "scheme"), ReadPublicText(key.Value)));

    // Keys of kinds that this client does not know may look different inside; they verify nothing.
    private static string ReadPublicText(JsonElement key) =>
        Member(key, "keyval", JsonValueKind.Object).TryGetProperty("public", out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : "";

    private static RoleKeys ReadRoleKeys(JsonElement role) => new(
        [.. Member(role, "keyids", JsonValueKind.Array).EnumerateArray().Select(Text)],
        (int)Math.Min(Positive(role, "threshold"), int.MaxValue));

    private static MetaFile ReadMetaFile(JsonElement file) => new(
        Positive(file, "version"),
        file.TryGetProperty("length", out _) ? Positive(file, "length") : null,
        file.TryGetProperty("hashes", out JsonElement hashes) ? ReadHashes(hashes) : null);

    private static TargetInfo ReadTarget(JsonProperty target)
    {
        if (!Member(target.Value, "length", JsonValueKind.Number).TryGetInt64(out long length) || length < 0) throw new FormatException($"the length of '{target.Name}' is not one");
        JsonObject? custom = target.Value.TryGetProperty("custom", out JsonElement extra) ? JsonObject.Create(extra) : null;
        return new TargetInfo(target.Name, length, ReadHashes(Member(target.Value, "hashes", JsonValueKind.Object)), custom);
    }

    private static ContentHashes ReadHashes(JsonElement hashes)
    {
        string? sha256 = Hex("sha256", 64), sha512 = Hex("sha512", 128);
        return sha256 is null && sha512 is null ? throw new FormatException("no hash of a known kind is given") : new ContentHashes(sha256, sha512);

        string? Hex(string kind, int digits)
        {
            if (!hashes.TryGetProperty(kind, out JsonElement value)) return null;
            string text = Text(value);
            return text.Length == digits && text.All(char.IsAsciiHexDigit) ? text : throw new FormatException($"'{text}' is not a {kind}");
        }
    }

    private static Delegation ReadDelegation(JsonElement role)
    {
        string name = Text(role, "name");
        // The name becomes a file name beside the top-level roles' own.
        if (name.Length == 0 || TopLevelRoles.Contains(name) || Uri.EscapeDataString(name).Length > 200) throw new FormatException($"'{name}' is not a name for a delegated role");
        bool byPattern = role.TryGetProperty("paths", out JsonElement paths), byHash = role.TryGetProperty("path_hash_prefixes", out JsonElement prefixes);
        if (byPattern == byHash) throw new FormatException($"role '{name}' needs either paths or path_hash_prefixes");
        ImmutableArray<string> hashPrefixes = byHash ? [.. prefixes.EnumerateArray().Select(Text)] : [];
        if (byHash && (hashPrefixes.IsEmpty || hashPrefixes.Any(prefix => prefix.Length is 0 or > 64))) throw new FormatException($"role '{name}' has no usable hash prefix");
        return new Delegation(name, ReadRoleKeys(role), Member(role, "terminating", JsonValueKind.Undefined).GetBoolean(),
            byPattern ? [.. paths.EnumerateArray().Select(path => new PathPattern(Text(path)))] : [], hashPrefixes);
    }

    private static JsonElement Member(JsonElement parent, string name, JsonValueKind kind)
    {
        if (parent.ValueKind != JsonValueKind.Object || !parent.TryGetProperty(name, out JsonElement member)) throw new FormatException($"'{name}' is missing");
        return kind == JsonValueKind.Undefined || member.ValueKind == kind ? member : throw new FormatException($"'{name}' is not of kind {kind}");
    }

    private static string Text(JsonElement parent, string name) => Member(parent, name, JsonValueKind.String).GetString()!;

    private static string Text(JsonElement element) =>
        element.ValueKind == JsonValueKind.String ? element.GetString()! : throw new FormatException($"a {element.ValueKind} stands where a string belongs");

    private static long Positive(JsonElement parent, string name) =>
        Member(parent, name, JsonValueKind.Number).TryGetInt64(out long number) && number > 0 ? number : throw new FormatException($"'{name}' is not a number above 0");

    private static DateTimeOffset Time(string text) =>
        DateTimeOffset.TryParseExact(text, TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
            ? time
            : throw new FormatException($"'{text}' is not a time like 2026-01-31T12:00:00Z");

    private readonly record struct Head(long Version, DateTimeOffset Expires, DateTimeOffset? Issued);
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Agent.Artifacts.Trust;

/// <summary>Makes metadata. Content that exists is changed as a tree, so that fields which we do not know survive.</summary>
internal static class MetadataWriter
{
    private const string SpecificationVersion = "1.0.34";

    /// <summary>The file: the content and the signatures over its canonical form.</summary>
    public static byte[] Sign(JsonObject signed, IEnumerable<SigningKey> keys)
    {
        byte[] canonical = CanonicalJson.Encode(JsonElement.Parse(signed.ToJsonString()));
        var file = new JsonObject
        {
            ["signatures"] = new JsonArray([.. keys.Select(key => new JsonObject { ["keyid"] = key.KeyId, ["sig"] = key.Sign(canonical) })]),
            ["signed"] = signed.DeepClone(),
        };
        return Encoding.UTF8.GetBytes(file.ToJsonString());
    }

    /// <summary>The content of a file, to change and sign again.</summary>
    public static JsonObject Content<T>(Envelope<T> file)
        where T : Signed => (JsonObject)JsonNode.Parse(file.Bytes)!["signed"]!.DeepClone();

    public static JsonObject NewRoot(SigningKey root, SigningKey online, TimeSpan life, TimeProvider time)
    {
        JsonObject signed = New(MetadataFormat.Root);
        signed["consistent_snapshot"] = true;
        signed["keys"] = new JsonObject { [root.KeyId] = root.Public.DeepClone(), [online.KeyId] = online.Public.DeepClone() };
        signed["roles"] = new JsonObject
        {
            [MetadataFormat.Root] = Role(root),
            [MetadataFormat.Targets] = Role(root),
            [MetadataFormat.Snapshot] = Role(online),
            [MetadataFormat.Timestamp] = Role(online),
        };
        signed["version"] = 1;
        return Renew(signed, life, time.GetUtcNow());
    }

    public static JsonObject NewTargets()
    {
        JsonObject signed = New(MetadataFormat.Targets);
        signed["targets"] = new JsonObject();
        return signed;
    }

    public static JsonObject NewSnapshot()
    {
        JsonObject signed = New(MetadataFormat.Snapshot);
        signed["meta"] = new JsonObject();
        return signed;
    }

    public static JsonObject NewTimestamp() => New(MetadataFormat.Timestamp);

    /// <summary>Trust for <paramref name="key"/> in paths of one pattern, and nobody else for these.</summary>
    public static void Delegate(JsonObject targets, string role, SigningKey key, string pattern)
    {
        JsonObject delegations = targets["delegations"] as JsonObject ?? new JsonObject { ["keys"] = new JsonObject(), ["roles"] = new JsonArray() };
        targets["delegations"] ??= delegations;
        delegations["keys"]![key.KeyId] = key.Public.DeepClone();
        JsonObject delegation = Role(key);
        delegation["name"] = role;
        delegation["paths"] = new JsonArray(pattern);
        delegation["terminating"] = true;
        ((JsonArray)delegations["roles"]!).Add((JsonNode)delegation);
    }

    public static void List(JsonObject targets, TargetInfo target)
    {
        var entry = new JsonObject { ["hashes"] = Hashes(target.Hashes), ["length"] = target.Length };
        if (target.Custom is not null) entry["custom"] = target.Custom.DeepClone();
        targets["targets"]![target.Path] = entry;
    }

    /// <summary>Names a metadata file in its parent (snapshot or timestamp).</summary>
    public static void Name(JsonObject parent, string role, long version, byte[] file)
    {
        parent["meta"] ??= new JsonObject();
        parent["meta"]![$"{role}.json"] = new JsonObject { ["hashes"] = Hashes(ContentHashes.Of(file)), ["length"] = file.Length, ["version"] = version };
    }

    /// <summary>Begins a new life now.</summary>
    public static JsonObject Renew(JsonObject signed, TimeSpan life, DateTimeOffset now)
    {
        signed["expires"] = Text(now + life);
        signed[MetadataFormat.IssuedField] = Text(now);
        return signed;

        static string Text(DateTimeOffset time) => time.UtcDateTime.ToString(MetadataFormat.TimeFormat, CultureInfo.InvariantCulture);
    }

    private static JsonObject New(string type) => new() { ["_type"] = type, ["spec_version"] = SpecificationVersion };

    private static JsonObject Role(SigningKey key) => new() { ["keyids"] = new JsonArray(key.KeyId), ["threshold"] = 1 };

    private static JsonObject Hashes(ContentHashes hashes)
    {
        var tree = new JsonObject();
        if (hashes.Sha256 is not null) tree["sha256"] = hashes.Sha256;
        if (hashes.Sha512 is not null) tree["sha512"] = hashes.Sha512;
        return tree;
    }
}

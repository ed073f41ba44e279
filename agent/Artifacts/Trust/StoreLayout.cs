namespace Agent.Artifacts.Trust;

/// <summary>Where things lie in a store, relative to its top; with consistent snapshots only <c>timestamp.json</c> is ever overwritten.</summary>
internal static class StoreLayout
{
    public const string Timestamp = "metadata/timestamp.json";

    public static string Metadata(string role, long version) => $"metadata/{version}.{FileName(role)}";

    /// <summary>For a store without consistent snapshots.</summary>
    public static string Metadata(string role) => $"metadata/{FileName(role)}";

    /// <summary>A role's file name, in the store after its version and on this disk alone: the role's name, URL-quoted, and <c>.json</c>.</summary>
    public static string FileName(string role) => $"{Uri.EscapeDataString(role)}.json";

    /// <summary><c>targets/shop/releases/HASH.v1.2.0.json</c>.</summary>
    public static string Target(TargetInfo target, bool consistent = true)
    {
        int slash = target.Path.LastIndexOf('/') + 1;
        return consistent ? $"targets/{target.Path[..slash]}{target.Hashes.Prefix}.{target.Path[slash..]}" : $"targets/{target.Path}";
    }
}

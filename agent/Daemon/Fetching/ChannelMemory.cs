using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;

namespace Agent.Daemon.Fetching;

/// <summary>
/// The newest that each channel ever said here, kept durably and never cleaned away: what somebody replays later is known to be old.
/// </summary>
/// <param name="path">Of the file; it is missing before the first channel.</param>
internal sealed class ChannelMemory(IDisk disk, string path)
{
    /// <summary>Remembers <paramref name="seen"/>, or refuses it.</summary>
    /// <exception cref="OperatorException">It is older than, or contradicts, what was seen before, or the file is damaged (<see cref="ExitCode.Refused"/>).</exception>
    public void Accept(AppName app, string channel, ChannelTarget seen)
    {
        Dictionary<string, ChannelSeen> all = Load();
        string key = $"{app}/{channel}";
        all.TryGetValue(key, out ChannelSeen? before);
        if (before is not null && seen.Sequence < before.Sequence)
            throw Refused($"channel {channel} of {app} was rolled back: its seq is {seen.Sequence}, and {before.Sequence} was seen before", "promote again; if nobody restored an old store, do not use this one until you know who did");
        if (before is not null && seen.Sequence == before.Sequence && seen.Manifest.Hex != before.Manifest)
            throw Refused($"channel {channel} of {app} says two things with the same seq {seen.Sequence}", "promote again, so that its seq rises");

        // The bound only rises: who can promote can then not lead a host below it.
        ReleaseVersion? least = Higher(seen.MinimumRelease, before?.MinimumRelease is { } text ? new ReleaseVersion(text) : null);
        if (least is not null && seen.Release < least)
            throw Refused($"channel {channel} of {app} points at {seen.Release}, below its min_release {least}", $"promote {least} or later");
        var now = new ChannelSeen(seen.Sequence, seen.Manifest.Hex, least?.Text);
        if (now == before) return;
        all[key] = now;
        disk.MakeDirectories(Path.GetDirectoryName(path)!);
        disk.WriteAtomic(path, JsonSerializer.SerializeToUtf8Bytes(all, ChannelMemoryJson.Default.DictionaryStringChannelSeen), DurableOperations.Mode600);
    }

    private Dictionary<string, ChannelSeen> Load()
    {
        if (!disk.Exists(path)) return new(StringComparer.Ordinal);
        try
        {
            Dictionary<string, ChannelSeen> all = JsonSerializer.Deserialize(disk.ReadAll(path), ChannelMemoryJson.Default.DictionaryStringChannelSeen) ?? throw new JsonException("it is null");
            // The reader of JSON puts null where the types have none.
            bool whole = all.Values.All(seen => seen is { Manifest: not null } && (seen.MinimumRelease is null || ReleaseVersion.TryParse(seen.MinimumRelease, out _)));
            return whole ? all : throw new JsonException("an entry in it is not whole");
        }
        catch (JsonException e)
        {
            // Forgetting would let old channels in.
            throw Refused($"{path} is damaged: {e.Message}", $"restore it from a backup; or remove it, when you are sure that the store is not an old one", e);
        }
    }

    private static ReleaseVersion? Higher(ReleaseVersion? left, ReleaseVersion? right) =>
        left is null ? right : right is null || left >= right ? left : right;

    private static OperatorException Refused(string what, string remedy, Exception? cause = null) => new(ExitCode.Refused, what, remedy, cause);
}

/// <param name="MinimumRelease">Highest ever seen; null: none.</param>
internal sealed record ChannelSeen([property: JsonRequired] long Sequence, [property: JsonRequired] string Manifest, string? MinimumRelease);

[JsonSerializable(typeof(Dictionary<string, ChannelSeen>))]
internal sealed partial class ChannelMemoryJson : JsonSerializerContext;

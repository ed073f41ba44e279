using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Agent.Artifacts.Publishing;

/// <summary>What a channel points at: the content of the signed target <c>APP/channels/NAME.json</c>.</summary>
/// <param name="Manifest">SHA-256 of the release's stored manifest: the promote key and the release key must agree on it.</param>
/// <param name="Sequence">Rises with every promote; a host refuses a lower one than it has seen.</param>
/// <param name="MinimumRelease">No host takes a lower version from this channel, from now on; null: no such bound.</param>
internal sealed partial record ChannelTarget(ReleaseVersion Release, Digest Manifest, long Sequence, ReleaseVersion? MinimumRelease)
{
    /// <summary>Longest that is read, bytes.</summary>
    public const int MaximumSize = 4096;

    /// <exception cref="OperatorException">It is no channel name (<see cref="ExitCode.Usage"/>).</exception>
    public static string CheckedName(string name) => NamePattern().IsMatch(name)
        ? name
        : throw new OperatorException(ExitCode.Usage, $"'{name}' is not a channel", "use a-z, 0-9 and '-', beginning with a letter, 40 at most: stable, canary");

    public byte[] Serialize() =>
        JsonSerializer.SerializeToUtf8Bytes(new Wire(Manifest.Hex, MinimumRelease?.Text, Release.Text, Sequence), ChannelJson.Default.Wire);

    /// <exception cref="OperatorException">It is malformed (<see cref="ExitCode.Refused"/>).</exception>
    public static ChannelTarget Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            Wire wire = JsonSerializer.Deserialize(json, ChannelJson.Default.Wire) ?? throw new JsonException("it is null");
            if (wire.Sequence < 1) throw new JsonException("its seq is below 1");
            return new ChannelTarget(new ReleaseVersion(wire.Release), new Digest(wire.Manifest), wire.Sequence, wire.MinimumRelease is { } least ? new ReleaseVersion(least) : null);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or OperatorException)
        {
            throw new OperatorException(ExitCode.Refused, $"the channel's target is malformed: {e.Message}", "promote again with a current agentctl", e);
        }
    }

    internal sealed record Wire(
        [property: JsonPropertyName("manifest_sha256"), JsonRequired] string Manifest,
        [property: JsonPropertyName("min_release"), JsonRequired] string? MinimumRelease,
        [property: JsonPropertyName("release"), JsonRequired] string Release,
        [property: JsonPropertyName("seq"), JsonRequired] long Sequence);

    [GeneratedRegex(@"\A[a-z](-?[a-z0-9]){0,39}\z")]
    private static partial Regex NamePattern();
}

[JsonSourceGenerationOptions(RespectNullableAnnotations = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip)]
[JsonSerializable(typeof(ChannelTarget.Wire))]
internal sealed partial class ChannelJson : JsonSerializerContext;

using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Agent.Artifacts.Packs;

namespace Agent.Artifacts.Manifests;

/// <summary>
/// The stored form of a manifest: canonical JSON (keys in order, no white space), Brotli. The SHA-256 of the stored bytes is the digest of the release.
/// </summary>
/// <remarks>
/// <code>
/// {"app":"shop","entries":[
///   {"directory":"empty"},
///   {"executable":true,"file":"bin/shop","place":[pack,offset,length,frameSize,start],"sha256":"...","size":123},
///   {"link":"bin/sh","target":"shop"}],
///  "format":"agentd-manifest-1","packs":[{"sha256":"...","size":456}],"version":"v1.2.0"}
/// </code>
/// There is nothing else in it: an unknown field, such as a mode, is an error. An empty file has no place; <c>executable</c> is there only where it is true.
/// </remarks>
internal static class ManifestFormat
{
    /// <summary>Longest JSON that is read.</summary>
    public const int MaximumSize = 64 << 20;

    private const string Name = "agentd-manifest-1";

    public static byte[] Serialize(Manifest manifest)
    {
        using var stored = new MemoryStream();
        using var json = new MemoryStream(ToJson(manifest));
        Brotli.Compress(json, stored, Brotli.QualityFor(json.Length), CancellationToken.None);
        return stored.ToArray();
    }

    /// <summary>Reads a manifest whose origin may be hostile.</summary>
    /// <exception cref="OperatorException">It is not a safe manifest (<see cref="ExitCode.Refused"/>), naming the path at fault and why.</exception>
    public static Manifest Parse(ReadOnlySpan<byte> stored)
    {
        byte[] json = Brotli.TryDecompress(stored, MaximumSize, out string? problem) ?? throw Refused($"the manifest {problem}");
        if (!Utf8.IsValid(json)) throw Refused("the manifest is not valid UTF-8");
        Manifest manifest;
        try
        {
            manifest = Read(json);
        }
        // InvalidOperationException: GetString meets half a surrogate pair, written as an escape.
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            throw Refused($"the manifest is malformed: {e.Message}", e);
        }
        if ((TreeRules.Problem(manifest.Files) ?? FrameRules.Problem(manifest.Files, manifest.Packs)) is var (path, reason))
            throw Refused($"the manifest of {manifest.App} {manifest.Version} is not safe: {ReleasePath.Show(path)} {reason}");
        return manifest;
    }

    private static Manifest Read(byte[] json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });
        Take(ref reader, JsonTokenType.StartObject);
        Key(ref reader, "app");
        AppName app = Word(Text(ref reader), text => new AppName(text));

        Key(ref reader, "entries");
        Take(ref reader, JsonTokenType.StartArray);
        var entries = new List<ManifestEntry>();
        while (Next(ref reader) != JsonTokenType.EndArray)
        {
            if (entries.Count == TreeRules.MaximumEntries) throw new FormatException($"more than {TreeRules.MaximumEntries} entries");
            entries.Add(Entry(ref reader));
        }

        Key(ref reader, "format");
        if (Text(ref reader) is var format && format != Name) throw new FormatException($"its format is '{ReleasePath.Show(format)}', not {Name}: a newer agent may read it");
        Key(ref reader, "packs");
        Take(ref reader, JsonTokenType.StartArray);
        var packs = new List<PackReference>();
        while (Next(ref reader) != JsonTokenType.EndArray)
        {
            if (packs.Count == FrameRules.MaximumPacks) throw new FormatException($"more than {FrameRules.MaximumPacks} packs");
            Expect(ref reader, JsonTokenType.StartObject);
            Key(ref reader, "sha256");
            var digest = new Digest(Text(ref reader));
            Key(ref reader, "size");
            packs.Add(new PackReference(digest, Number(ref reader)));
            Take(ref reader, JsonTokenType.EndObject);
        }

        Key(ref reader, "version");
        ReleaseVersion version = Word(Text(ref reader), text => new ReleaseVersion(text));
        Take(ref reader, JsonTokenType.EndObject);
        if (reader.Read()) throw new FormatException("there is more after its end");
        return new Manifest(app, version, entries, packs);
    }

    private static ManifestEntry Entry(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject);
        Take(ref reader, JsonTokenType.PropertyName);
        string kind = reader.GetString()!;
        ManifestEntry entry;
        switch (kind)
        {
            case "directory":
                entry = new ManifestDirectory(Text(ref reader));
                Take(ref reader, JsonTokenType.EndObject);
                break;
            case "link":
                string link = Text(ref reader);
                Key(ref reader, "target");
                entry = new ManifestLink(link, Text(ref reader));
                Take(ref reader, JsonTokenType.EndObject);
                break;
            case "executable":
                Take(ref reader, JsonTokenType.True);
                Key(ref reader, "file");
                entry = File(ref reader, executable: true);
                break;
            case "file":
                entry = File(ref reader, executable: false);
                break;
            default:
                throw new FormatException($"an entry has the unknown field '{ReleasePath.Show(kind)}'");
        }
        return entry;
    }

    private static ManifestFile File(ref Utf8JsonReader reader, bool executable)
    {
        string path = Text(ref reader);
        Take(ref reader, JsonTokenType.PropertyName);
        FramePlace? place = null;
        if (reader.ValueTextEquals("place"))
        {
            Take(ref reader, JsonTokenType.StartArray);
            long pack = Number(ref reader), offset = Number(ref reader), length = Number(ref reader), frameSize = Number(ref reader), start = Number(ref reader);
            Take(ref reader, JsonTokenType.EndArray);
            if (pack > FrameRules.MaximumPacks) throw new FormatException($"{ReleasePath.Show(path)} lies in pack {pack}");
            place = new FramePlace((int)pack, offset, length, frameSize, start);
            Take(ref reader, JsonTokenType.PropertyName);
        }
        if (!reader.ValueTextEquals("sha256")) throw new FormatException($"{ReleasePath.Show(path)} has the field '{ReleasePath.Show(reader.GetString()!)}' where 'sha256' is due");
        var digest = new Digest(Text(ref reader));
        Key(ref reader, "size");
        long size = Number(ref reader);
        Take(ref reader, JsonTokenType.EndObject);
        return new ManifestFile(path, executable, size, digest, place);
    }

    private static JsonTokenType Next(ref Utf8JsonReader reader) => reader.Read() ? reader.TokenType : throw new FormatException("it ends too early");

    private static void Take(ref Utf8JsonReader reader, JsonTokenType type)
    {
        Next(ref reader);
        Expect(ref reader, type);
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType type)
    {
        if (reader.TokenType != type) throw new FormatException($"{reader.TokenType} where {type} is due, at byte {reader.TokenStartIndex}");
    }

    private static void Key(ref Utf8JsonReader reader, string name)
    {
        Take(ref reader, JsonTokenType.PropertyName);
        if (!reader.ValueTextEquals(name)) throw new FormatException($"the field '{ReleasePath.Show(reader.GetString()!)}' where '{name}' is due, at byte {reader.TokenStartIndex}");
    }

    private static string Text(ref Utf8JsonReader reader)
    {
        Take(ref reader, JsonTokenType.String);
        return reader.GetString()!;
    }

    private static long Number(ref Utf8JsonReader reader)
    {
        Take(ref reader, JsonTokenType.Number);
        return reader.TryGetInt64(out long number) && number >= 0 ? number : throw new FormatException($"a number out of range at byte {reader.TokenStartIndex}");
    }

    // The edge types say what is wrong as a usage error; here it is the manifest that is wrong.
    private static T Word<T>(string text, Func<string, T> parse)
    {
        try
        {
            return parse(text);
        }
        catch (OperatorException e)
        {
            throw new FormatException(ReleasePath.Show(e.Message), e);
        }
    }

    private static byte[] ToJson(Manifest manifest)
    {
        var json = new StringBuilder();
        json.Append("{\"app\":").AppendText(manifest.App.Value).Append(",\"entries\":[");
        for (int i = 0; i < manifest.Files.Count; i++)
        {
            if (i > 0) json.Append(',');
            switch (manifest.Files[i])
            {
                case ManifestDirectory directory:
                    json.Append("{\"directory\":").AppendText(directory.Path).Append('}');
                    break;
                case ManifestLink link:
                    json.Append("{\"link\":").AppendText(link.Path).Append(",\"target\":").AppendText(link.Target).Append('}');
                    break;
                case ManifestFile file:
                    json.Append(file.Executable ? "{\"executable\":true,\"file\":" : "{\"file\":").AppendText(file.Path);
                    if (file.Place is { } at) json.Append($",\"place\":[{at.Pack},{at.Offset},{at.Length},{at.FrameSize},{at.Start}]");
                    json.Append(",\"sha256\":").AppendText(file.Sha256.Hex).Append($",\"size\":{file.Size}}}");
                    break;
            }
        }
        json.Append("],\"format\":").AppendText(Name).Append(",\"packs\":[");
        json.AppendJoin(',', manifest.Packs.Select(pack => $"{{\"sha256\":\"{pack.Sha256.Hex}\",\"size\":{pack.Size}}}"));
        json.Append("],\"version\":").AppendText(manifest.Version.Text).Append('}');
        return Encoding.UTF8.GetBytes(json.ToString());
    }

    // Canonical JSON escapes these two and nothing else. Control characters are refused before.
    private static StringBuilder AppendText(this StringBuilder json, string text) =>
        json.Append('"').Append(text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)).Append('"');

    private static OperatorException Refused(string what, Exception? cause = null) =>
        new(ExitCode.Refused, what, "publish the release again with a current agentctl; if it was not you who published it, check who holds the release key", cause);
}

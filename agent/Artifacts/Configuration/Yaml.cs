using System.Text;
using Agent.Artifacts.Durable;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Agent.Artifacts.Configuration;

/// <summary>A YAML document as it was typed: no types are guessed, so <c>no</c>, <c>1.10</c> and <c>0x1</c> stay text.</summary>
/// <param name="Line">From 1.</param>
internal abstract record YamlNode(int Line)
{
    /// <param name="Quoted">False: a plain word, which may stand for nothing (<see cref="IsNothing"/>).</param>
    public sealed record Text(int Line, string Value, bool Quoted) : YamlNode(Line)
    {
        public bool IsNothing => !Quoted && Value is "" or "~" or "null";
    }

    public sealed record List(int Line, IReadOnlyList<YamlNode> Items) : YamlNode(Line);

    /// <param name="Entries">In the order of the file, every key once.</param>
    public sealed record Map(int Line, IReadOnlyList<(string Key, int Line, YamlNode Value)> Entries) : YamlNode(Line);
}

/// <summary>
/// Reads the part of YAML that configuration needs: maps, lists and text. Anchors, aliases, tags and several documents are
/// refused, as is a file over <see cref="MaximumBytes"/> or nested deeper than <see cref="MaximumDepth"/>: the file may be hostile.
/// </summary>
internal static class Yaml
{
    public const int MaximumBytes = 1 << 20;
    public const int MaximumDepth = 8;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <returns>The document, a map without entries for an empty one; null where it cannot be read, which <paramref name="problems"/> then tells.</returns>
    public static YamlNode.Map? Read(string file, string text, Problems problems)
    {
        if (text.Length > MaximumBytes)
        {
            problems.Add(file, 0, "is larger than 1 MiB", "a configuration is a page or two");
            return null;
        }
        try
        {
            return new Reader(file, text, problems).Document();
        }
        catch (UnreadableException e)
        {
            problems.Add(file, e.Line, e.Message, e.Instead);
        }
        catch (YamlException e)
        {
            problems.Add(file, (int)e.Start.Line, $"is not YAML: {OneLine(e.Message)}", "write 'key: value' lines, indented by spaces");
        }
        return null;
    }

    /// <summary>Reads a file; null where it is too large, not UTF-8 or cannot be read, which <paramref name="problems"/> then tells.</summary>
    public static string? Load(IDisk disk, string file, Problems problems)
    {
        try
        {
            using Stream stream = disk.OpenRead(file);
            byte[] buffer = new byte[MaximumBytes + 1];
            int length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            if (length > MaximumBytes)
            {
                problems.Add(file, 0, "is larger than 1 MiB", "a configuration is a page or two");
                return null;
            }
            return Strict.GetString(buffer, 0, length).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException)
        {
            problems.Add(file, 0, "is not UTF-8", "save it as UTF-8");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add(file, 0, $"cannot be read: {e.Message}", "see its owner and mode");
        }
        return null;
    }

    // "\uD800" in quotes makes half of a surrogate pair, which no file can hold.
    private static bool IsText(string value)
    {
        for (int i = 0; i < value.Length; i++)
        {
            if (!char.IsSurrogate(value[i])) continue;
            if (i + 1 == value.Length || !char.IsSurrogatePair(value[i], value[++i])) return false;
        }
        return true;
    }

    private static string OneLine(string text) => text.ReplaceLineEndings(" ");

    private sealed class UnreadableException(int line, string what, string instead) : Exception(what)
    {
        public int Line { get; } = line;

        public string Instead { get; } = instead;
    }

    private sealed class Reader(string file, string text, Problems problems)
    {
        private readonly Parser parser = new(new StringReader(text));

        public YamlNode.Map Document()
        {
            parser.Consume<StreamStart>();
            if (parser.TryConsume<StreamEnd>(out _)) return new YamlNode.Map(1, []);
            parser.Consume<DocumentStart>();
            YamlNode root = Node(depth: 0);
            parser.Consume<DocumentEnd>();
            if (!parser.TryConsume<StreamEnd>(out _))
                throw new UnreadableException(Line(), "a second document begins here", "keep one document in a file");
            return root switch
            {
                YamlNode.Map map => map,
                YamlNode.Text { IsNothing: true } => new YamlNode.Map(root.Line, []),
                _ => throw new UnreadableException(root.Line, "is not a map", "write 'key: value' lines"),
            };
        }

        private YamlNode Node(int depth)
        {
            int line = Line();
            if (depth > MaximumDepth) throw new UnreadableException(line, $"is nested deeper than {MaximumDepth} levels", "nothing here needs that");
            if (parser.Accept<AnchorAlias>(out _)) throw new UnreadableException(line, "uses an alias (*)", "write the value out");
            if (parser.Current is NodeEvent node)
            {
                if (!node.Anchor.IsEmpty) throw new UnreadableException(line, "uses an anchor (&)", "write the value out where it is needed");
                if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific) throw new UnreadableException(line, "uses a tag (!)", "write the plain value, in quotes where it must be text");
            }
            if (parser.TryConsume<Scalar>(out var scalar))
            {
                if (!IsText(scalar.Value)) throw new UnreadableException(line, "holds half of a surrogate pair", "write the character itself");
                return new YamlNode.Text(line, scalar.Value, scalar.Style != ScalarStyle.Plain);
            }
            if (parser.TryConsume<SequenceStart>(out _))
            {
                var items = new List<YamlNode>();
                while (!parser.TryConsume<SequenceEnd>(out _)) items.Add(Node(depth + 1));
                return new YamlNode.List(line, items);
            }
            parser.Consume<MappingStart>();
            return Map(line, depth);
        }

        private YamlNode.Map Map(int line, int depth)
        {
            var entries = new List<(string Key, int Line, YamlNode Value)>();
            var lines = new Dictionary<string, int>(StringComparer.Ordinal);
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                int at = Line();
                if (Node(depth + 1) is not YamlNode.Text { Value: string key })
                    throw new UnreadableException(at, "has a key that is no text", "write 'key: value'");
                YamlNode value = Node(depth + 1);
                if (lines.TryAdd(key, at)) entries.Add((key, at, value));
                else problems.Add(file, at, $"{key} is here twice, first in line {lines[key]}", "keep one");
            }
            return new YamlNode.Map(line, entries);
        }

        private int Line()
        {
            parser.Accept<ParsingEvent>(out var next);
            return (int)(next?.Start.Line ?? 0);
        }
    }
}

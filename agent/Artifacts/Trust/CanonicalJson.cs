using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Agent.Artifacts.Trust;

/// <summary>
/// OLPC canonical JSON, the bytes that signatures are over: members sorted by code point, no white space, integers only, and in
/// strings only <c>"</c> and <c>\</c> escaped (so a line feed in a PEM stays a raw line feed: it need not be valid JSON).
/// </summary>
/// <remarks>Source: wiki.laptop.org/go/Canonical_JSON and securesystemslib's <c>encode_canonical</c>, which the field signs with.</remarks>
internal static class CanonicalJson
{
    /// <summary>Canonical bytes of a parsed tree; fields that nobody knows are part of it.</summary>
    /// <exception cref="FormatException">The tree has no canonical form: a fraction, an exponent, a number beyond 64 bits, a lone surrogate, invalid UTF-8.</exception>
    public static byte[] Encode(JsonElement element)
    {
        var output = new ArrayBufferWriter<byte>();
        try
        {
            Write(element, output);
        }
        catch (InvalidOperationException e)   // what JsonElement.GetString says of invalid UTF-8 and lone surrogates
        {
            throw new FormatException("a string is not Unicode", e);
        }
        return output.WrittenSpan.ToArray();
    }

    private static void Write(JsonElement element, ArrayBufferWriter<byte> output)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                char separator = '{';
                // UTF-8 bytes sort as code points do; UTF-16 units do not.
                foreach ((byte[] key, JsonElement value) in element.EnumerateObject().Select(p => (Encoding.UTF8.GetBytes(p.Name), p.Value)).OrderBy(p => p.Item1, ByteOrder.Instance))
                {
                    Write(separator, output);
                    WriteString(key, output);
                    Write(':', output);
                    Write(value, output);
                    separator = ',';
                }
                if (separator == '{') Write('{', output);
                Write('}', output);
                break;
            case JsonValueKind.Array:
                char between = '[';
                foreach (JsonElement item in element.EnumerateArray())
                {
                    Write(between, output);
                    Write(item, output);
                    between = ',';
                }
                if (between == '[') Write('[', output);
                Write(']', output);
                break;
            case JsonValueKind.String:
                WriteString(Encoding.UTF8.GetBytes(element.GetString()!), output);
                break;
            case JsonValueKind.Number:
                // "-0", "1.0" and "1e3" name integers in ways that other readers take for something else.
                if (!element.TryGetInt64(out long number) || element.GetRawText() != number.ToString(CultureInfo.InvariantCulture))
                    throw new FormatException($"{element.GetRawText()} is not an integer of 64 bits");
                output.Write(Encoding.ASCII.GetBytes(element.GetRawText()));
                break;
            case JsonValueKind.True:
                output.Write("true"u8);
                break;
            case JsonValueKind.False:
                output.Write("false"u8);
                break;
            default:
                output.Write("null"u8);
                break;
        }
    }

    private static void WriteString(ReadOnlySpan<byte> text, ArrayBufferWriter<byte> output)
    {
        Write('"', output);
        foreach (byte b in text)
        {
            if (b is (byte)'"' or (byte)'\\') Write('\\', output);
            Write((char)b, output);
        }
        Write('"', output);
    }

    private static void Write(char single, ArrayBufferWriter<byte> output)
    {
        output.GetSpan(1)[0] = (byte)single;
        output.Advance(1);
    }

    private sealed class ByteOrder : IComparer<byte[]>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(byte[]? x, byte[]? y) => x.AsSpan().SequenceCompareTo(y);
    }
}

using System.Buffers;
using System.Security.Cryptography;

namespace Agent.Artifacts;

/// <summary>A SHA-256, as 64 lower-case hexadecimal digits.</summary>
internal sealed record Digest
{
    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdef");

    public Digest(string hex)
    {
        if (hex.Length != 64 || hex.AsSpan().ContainsAnyExcept(HexDigits))
            throw new FormatException($"'{hex}' is not a SHA-256");
        Hex = hex;
    }

    public string Hex { get; }

    /// <summary>The first 12 digits, for people.</summary>
    public string Short => Hex[..12];

    public static Digest Of(ReadOnlySpan<byte> content) => new(Convert.ToHexStringLower(SHA256.HashData(content)));

    public static Digest Of(Stream content) => new(Convert.ToHexStringLower(SHA256.HashData(content)));

    public override string ToString() => Hex;
}

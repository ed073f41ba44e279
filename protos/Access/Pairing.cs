using System.Security.Cryptography;
using System.Text;

namespace Agent.Protos.Access;

/// <summary>
/// Pairing: two sides that know nothing of each other but a secret that a person carried. Each proves that it knows the secret, and binds the proof to both
/// keys as it sees them: with somebody between the two, they see different keys, and no proof holds.
/// </summary>
public static class Pairing
{
    /// <summary>Bytes of a secret: too many to be guessed, also by who has heard a proof.</summary>
    public const int SecretSize = 16;

    // Crockford's base32: without I, L, O and U, which people mistake for others.
    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    private const int Group = 5, Symbols = 26;

    public static byte[] NewSecret() => RandomNumberGenerator.GetBytes(SecretSize);

    /// <summary>As people carry it: 26 characters in groups, <c>3QX7A-...</c>.</summary>
    public static string Code(ReadOnlySpan<byte> secret)
    {
        var bits = new UInt128(BitConverter.ToUInt64([.. secret[..8]]), BitConverter.ToUInt64([.. secret[8..]]));
        var code = new StringBuilder();
        for (int i = Symbols - 1; i >= 0; i--)
        {
            code.Append(Alphabet[(int)((bits >> (5 * i)) & 31)]);
            if (i > 0 && (Symbols - i) % Group == 0 && i != 1) code.Append('-');
        }
        return code.ToString();
    }

    /// <summary>Reads a code as typed: in either case, with or without dashes and blanks, with the letters that look like digits.</summary>
    public static bool TryRead(string typed, out byte[] secret)
    {
        secret = [];
        UInt128 bits = 0;
        int symbols = 0;
        foreach (char c in typed)
        {
            if (c == '-' || char.IsWhiteSpace(c)) continue;
            int value = Alphabet.IndexOf(char.ToUpperInvariant(c) switch { 'O' => '0', 'I' or 'L' => '1', var upper => upper }, StringComparison.Ordinal);
            if (value < 0 || ++symbols > Symbols || (symbols == 1 && value > 7)) return false;   // 26 symbols hold 130 bits
            bits = (bits << 5) | (UInt128)value;
        }
        if (symbols != Symbols) return false;
        secret = [.. BitConverter.GetBytes((ulong)(bits >> 64)), .. BitConverter.GetBytes((ulong)bits)];
        return true;
    }

    /// <summary>What the caller proves.</summary>
    public static byte[] CallersProof(ReadOnlySpan<byte> secret, string callersKey, string agentsKey) => Proof(secret, "caller", callersKey, agentsKey);

    /// <summary>What the agent answers.</summary>
    public static byte[] AgentsProof(ReadOnlySpan<byte> secret, string callersKey, string agentsKey) => Proof(secret, "agent", callersKey, agentsKey);

    /// <summary>In the same time, wherever they differ.</summary>
    public static bool Same(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other) => CryptographicOperations.FixedTimeEquals(one, other);

    private static byte[] Proof(ReadOnlySpan<byte> secret, string side, string callersKey, string agentsKey) =>
        HMACSHA256.HashData(secret, Encoding.ASCII.GetBytes($"agentd pairing 1 {side}\n{callersKey}\n{agentsKey}"));
}

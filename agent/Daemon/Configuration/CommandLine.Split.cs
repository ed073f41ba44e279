using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

internal static partial class CommandLine
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>
    /// The words of a command that is run at once and not written into a unit, by the same rules: quotes may begin anywhere in a word, escapes work
    /// inside and outside of them. <c>$VARIABLE</c> and <c>%</c> stay as they are: nothing is expanded.
    /// </summary>
    /// <returns>The program and its arguments, as they are to arrive; at least one word.</returns>
    /// <exception cref="OperatorException">It is empty, or systemd would not take it as one command (<see cref="ExitCode.Usage"/>).</exception>
    public static IReadOnlyList<string> Split(string text)
    {
        Scan(text);
        var words = new List<string>();
        List<byte>? word = null;   // bytes, as an escape may give a part of a character
        char quote = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\')
            {
                Match escape = EscapePattern().Match(text, i);
                Unescape(escape.Value, word ??= []);
                i += escape.Length - 1;
            }
            else if (quote == '\0' ? c is '"' or '\'' : c == quote)
            {
                quote = quote == '\0' ? c : '\0';
                word ??= [];   // "" is a word
            }
            else if (quote == '\0' && c is ' ' or '\t')
            {
                if (word is not null) words.Add(Text(word));
                word = null;
            }
            else
            {
                int length = char.IsSurrogatePair(text, i) ? 2 : 1;
                (word ??= []).AddRange(Encoding.UTF8.GetBytes(text, i, length));
                i += length - 1;
            }
        }
        if (word is not null) words.Add(Text(word));
        return words.Count > 0 ? words : throw Wrong("the command is empty", "write the program and its arguments: bin/shop --port 8080");
    }

    private static void Unescape(string escape, List<byte> word)
    {
        switch (escape[1])
        {
            case 'x':
                word.Add(byte.Parse(escape.AsSpan(2), NumberStyles.AllowHexSpecifier));
                break;
            case 'u' or 'U':
                if (!Rune.TryCreate(uint.Parse(escape.AsSpan(2), NumberStyles.AllowHexSpecifier), out Rune rune))
                    throw Wrong($"{escape} in the command is no character", @"write \\ for a backslash");
                word.AddRange(Encoding.UTF8.GetBytes(rune.ToString()));
                break;
            case >= '0' and <= '7':
                word.Add(Convert.ToByte(escape[1..], 8));
                break;
            case var letter:
                word.Add((byte)(letter switch { 'a' => '\a', 'b' => '\b', 'f' => '\f', 'n' => '\n', 'r' => '\r', 't' => '\t', 'v' => '\v', 's' => ' ', _ => letter }));
                break;
        }
    }

    private static string Text(List<byte> word)
    {
        try
        {
            return Strict.GetString([.. word]);
        }
        catch (DecoderFallbackException)
        {
            throw Wrong("the escapes in the command do not make UTF-8", @"write the character itself, or \uXXXX");
        }
    }
}

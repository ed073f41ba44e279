using System.Globalization;
using System.Text;
using Agent.Artifacts;

namespace Agent.Daemon.Api;

/// <summary>What a caller typed, before it goes into a file or a log: no line ends, nothing that moves a cursor, no more than so much.</summary>
internal static class PlainText
{
    /// <summary>Characters of a reason that somebody gives.</summary>
    public const int LongestReason = 300;

    /// <summary>Cuts at <paramref name="most"/> characters; what cannot be seen as itself becomes a question mark.</summary>
    public static string Of(string text, int most)
    {
        var plain = new StringBuilder();
        foreach (Rune rune in text.EnumerateRunes())   // half a surrogate pair comes as U+FFFD
        {
            if (plain.Length + rune.Utf16SequenceLength > most)
            {
                plain.Length = Math.Min(plain.Length, most - 1);
                if (plain.Length > 0 && char.IsHighSurrogate(plain[^1])) plain.Length--;
                return plain.Append('…').ToString();
            }
            if (IsHidden(rune)) plain.Append('?');
            else plain.Append(rune.ToString());
        }
        return plain.ToString();
    }

    /// <returns>The reason, without white space around it.</returns>
    /// <exception cref="OperatorException">It is too long, or holds what cannot be seen (<see cref="ExitCode.Usage"/>).</exception>
    public static string Reason(string text)
    {
        text = text.Trim();
        if (text.Length > LongestReason) throw new OperatorException(ExitCode.Usage, $"the reason has {text.Length} characters", $"say it in {LongestReason}");
        if (text.EnumerateRunes().Any(IsHidden)) throw new OperatorException(ExitCode.Usage, "the reason holds control characters", "write it in one line of plain text");
        return text;
    }

    private static bool IsHidden(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned;
}

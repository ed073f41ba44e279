namespace Agent.Artifacts.Trust;

/// <summary>
/// A path pattern of a delegation: <c>*</c> is any run of characters and <c>?</c> any one, neither of them a <c>/</c>; all else is itself.
/// </summary>
internal sealed class PathPattern(string text)
{
    private readonly string[] segments = text.Split('/');

    public string Text { get; } = text;

    public bool Matches(string path)
    {
        string[] parts = path.Split('/');
        if (parts.Length != segments.Length) return false;
        for (int i = 0; i < parts.Length; i++)
            if (!SegmentMatches(segments[i], parts[i])) return false;
        return true;
    }

    /// <summary>Whether some path below <paramref name="directory"/> (empty, or with a closing <c>/</c>) could match.</summary>
    public bool MayMatchBelow(string directory)
    {
        string[] parts = directory.Split('/')[..^1];
        if (parts.Length >= segments.Length) return false;
        for (int i = 0; i < parts.Length; i++)
            if (!SegmentMatches(segments[i], parts[i])) return false;
        return true;
    }

    // Greedy with one place to go back to: linear in practice and never worse than pattern times text, whatever the pattern.
    private static bool SegmentMatches(string pattern, string text)
    {
        int p = 0, t = 0, star = -1, resume = 0;
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                resume = t;
            }
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == text[t]))
            {
                p++;
                t++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                t = ++resume;
            }
            else return false;
        }
        while (p < pattern.Length && pattern[p] == '*') p++;
        return p == pattern.Length;
    }
}

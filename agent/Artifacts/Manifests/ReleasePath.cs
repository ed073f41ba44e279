using System.Text;

namespace Agent.Artifacts.Manifests;

/// <summary>What a path inside a release may look like, for those who write manifests and those who read them.</summary>
internal static class ReleasePath
{
    public const int MaximumLength = 4096;
    public const int MaximumNameLength = 255;
    public const int MaximumDepth = 100;

    /// <summary>Directory at the top of a laid-out release that belongs to the agent.</summary>
    public const string Reserved = ".agentd";

    /// <summary>Why this is not a safe path of a file, directory or link in a release; null when it is one.</summary>
    public static string? Problem(string path)
    {
        if (path.Length == 0) return "is empty";
        if (path[0] == '/') return "is absolute";
        if (TextProblem(path) is { } problem) return problem;
        string[] names = path.Split('/');
        if (names.Length > MaximumDepth) return $"lies more than {MaximumDepth} directories deep";
        foreach (string name in names)
        {
            if (name.Length == 0) return "has an empty segment";
            if (name is "." or "..") return $"has a '{name}' segment";
            if (Encoding.UTF8.GetByteCount(name) > MaximumNameLength) return $"has a name of more than {MaximumNameLength} bytes";
        }
        return names[0] == Reserved ? $"lies in {Reserved}, which belongs to the agent" : null;
    }

    /// <summary>Why this cannot be the target of a link, wherever it leads; null when it can.</summary>
    public static string? TargetProblem(string target)
    {
        if (target.Length == 0) return "is empty";
        if (target[0] == '/') return "is absolute";
        if (TextProblem(target) is { } problem) return problem;
        string[] names = target.Split('/');
        if (names.Length > MaximumDepth) return $"has more than {MaximumDepth} segments";
        return names.Any(name => Encoding.UTF8.GetByteCount(name) > MaximumNameLength) ? $"has a name of more than {MaximumNameLength} bytes" : null;
    }

    /// <summary>The path for an error message: what would disturb a terminal is replaced, and no more than 200 characters are shown.</summary>
    public static string Show(string path)
    {
        var text = new StringBuilder();
        foreach (char c in path.Length > 200 ? path[..200] + "..." : path) text.Append(char.IsControl(c) || char.IsSurrogate(c) ? '?' : c);
        return text.ToString();
    }

    private static string? TextProblem(string text)
    {
        foreach (char c in text)
        {
            if (c == '\\') return "has a backslash";
            if (char.IsControl(c)) return "has a control character";
        }
        // Also refuses half a surrogate pair, which has no form in UTF-8.
        try
        {
            return Strict.GetByteCount(text) > MaximumLength ? $"is longer than {MaximumLength} bytes" : null;
        }
        catch (EncoderFallbackException)
        {
            return "is not valid Unicode";
        }
    }

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
}

namespace Agent.Artifacts.Manifests;

/// <summary>
/// The rules that a whole tree must keep so that laying it out below a directory writes nowhere else, and nothing in it leads out.
/// Both sides apply them: the publisher to what it reads, the agent to the manifest.
/// </summary>
internal static class TreeRules
{
    public const int MaximumEntries = 200_000;
    public const long MaximumTotalSize = 64L << 30;
    private const int MaximumHops = 40;              // as the kernel's own limit, path_resolution(7)
    private const int MaximumLinkSteps = 5_000_000;  // all links together: a bound on time, far above any honest tree

    /// <param name="entries">Sorted by path (ordinal); the paths themselves need not have been checked.</param>
    /// <returns>The path at fault and why, or null when all is well.</returns>
    public static (string Path, string Reason)? Problem(IReadOnlyList<ManifestEntry> entries)
    {
        if (entries.Count > MaximumEntries) return ("the release", $"has more than {MaximumEntries} entries");
        var byPath = new Dictionary<string, ManifestEntry>(entries.Count, StringComparer.Ordinal);
        string? previous = null;
        foreach (ManifestEntry entry in entries)
        {
            if (ReleasePath.Problem(entry.Path) is { } reason) return (entry.Path, reason);
            int order = previous is null ? -1 : string.CompareOrdinal(previous, entry.Path);
            if (order == 0) return (entry.Path, "is listed twice");
            if (order > 0) return (entry.Path, "is out of order");
            byPath.Add(entry.Path, entry);
            previous = entry.Path;
        }

        var parents = new HashSet<string>(StringComparer.Ordinal);
        foreach (ManifestEntry entry in entries)
        {
            for (string? parent = Parent(entry.Path); parent is not null && parents.Add(parent); parent = Parent(parent))
            {
                if (!byPath.TryGetValue(parent, out ManifestEntry? above)) continue;
                if (above is ManifestLink) return (entry.Path, $"lies below the link {parent}");
                if (above is ManifestFile) return (entry.Path, $"lies below the file {parent}");
            }
        }

        int steps = 0;
        foreach (ManifestLink link in entries.OfType<ManifestLink>())
            if (LinkProblem(link, byPath, ref steps) is { } reason) return (link.Path, reason);
        return null;
    }

    private static string? LinkProblem(ManifestLink link, Dictionary<string, ManifestEntry> byPath, ref int steps)
    {
        if (ReleasePath.TargetProblem(link.Target) is { } problem) return $"links to '{ReleasePath.Show(link.Target)}', which {problem}";

        // By the text alone, whatever the other links say.
        int depth = link.Path.Count(c => c == '/');
        foreach (string name in link.Target.Split('/'))
        {
            depth += name switch { "" or "." => 0, ".." => -1, _ => 1 };
            if (depth < 0) return $"links out of the release, to '{link.Target}'";
        }

        // As the kernel walks it, through the other links.
        List<string> at = [.. link.Path.Split('/')[..^1]];
        var ahead = new Stack<string>(link.Target.Split('/').Reverse());
        int hops = 0;
        while (ahead.TryPop(out string? name))
        {
            if (++steps > MaximumLinkSteps) return "makes the links of the release too many to follow";
            if (name is "" or ".") continue;
            if (name == "..")
            {
                if (at.Count == 0) return $"links out of the release, to '{link.Target}' through other links";
                at.RemoveAt(at.Count - 1);
                continue;
            }
            at.Add(name);
            if (at.Count > ReleasePath.MaximumDepth) return $"links more than {ReleasePath.MaximumDepth} directories deep";
            if (!byPath.TryGetValue(string.Join('/', at), out ManifestEntry? entry) || entry is not ManifestLink next) continue;
            if (++hops > MaximumHops) return "is part of a circle of links";
            if (ReleasePath.TargetProblem(next.Target) is not null) return $"leads to the link {ReleasePath.Show(next.Path)}, which is not safe";
            at.RemoveAt(at.Count - 1);
            foreach (string part in next.Target.Split('/').Reverse()) ahead.Push(part);
        }
        return null;
    }

    private static string? Parent(string path)
    {
        int slash = path.LastIndexOf('/');
        return slash < 0 ? null : path[..slash];
    }
}

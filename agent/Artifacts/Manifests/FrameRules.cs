namespace Agent.Artifacts.Manifests;

/// <summary>The rules for where contents lie: every frame inside its pack, every file inside its frame, nothing twice, nothing that swells.</summary>
internal static class FrameRules
{
    public const int MaximumPacks = 1_000;

    /// <summary>A frame larger than this holds one whole file and nothing else, so that it can be written as it comes.</summary>
    public const int MaximumSharedFrame = 1 << 20;

    /// <returns>The path at fault and why, or null when all is well.</returns>
    public static (string Path, string Reason)? Problem(IReadOnlyList<ManifestEntry> entries, IReadOnlyList<PackReference> packs)
    {
        if (packs.Count > MaximumPacks) return ("the release", $"lies in more than {MaximumPacks} packs");
        if (packs.Select(pack => pack.Sha256).Distinct().Count() != packs.Count) return ("the release", "names a pack twice");
        if (packs.FirstOrDefault(pack => pack.Size is < 1 or > TreeRules.MaximumTotalSize) is { } odd) return ("the release", $"has a pack of {odd.Size} bytes");

        long total = 0;
        var contents = new Dictionary<Digest, ManifestFile>();
        var frames = new Dictionary<(int Pack, long Offset), List<ManifestFile>>();
        foreach (ManifestFile file in entries.OfType<ManifestFile>())
        {
            if (PlaceProblem(file, packs) is { } reason) return (file.Path, reason);
            // Each size is at most the maximum, and so is the sum until here: the addition cannot overflow.
            total += file.Size;
            if (total > TreeRules.MaximumTotalSize) return (file.Path, $"brings the release above {TreeRules.MaximumTotalSize >> 30} GiB");
            if (contents.TryGetValue(file.Sha256, out ManifestFile? same))
            {
                if (same.Size != file.Size || same.Place != file.Place) return (file.Path, $"has the SHA-256 of {same.Path}, but another size or place");
                continue;
            }
            contents.Add(file.Sha256, file);
            if (file.Place is not { } place) continue;
            if (!frames.TryGetValue((place.Pack, place.Offset), out List<ManifestFile>? inFrame)) frames.Add((place.Pack, place.Offset), inFrame = []);
            inFrame.Add(file);
        }
        return frames.Values.Select(SharedProblem).FirstOrDefault(problem => problem is not null) ?? OverlapProblem(frames.Values);
    }

    private static string? PlaceProblem(ManifestFile file, IReadOnlyList<PackReference> packs)
    {
        if (file.Size is < 0 or > TreeRules.MaximumTotalSize) return $"has an impossible size of {file.Size} bytes";
        if (file.Size == 0) return file.Place is not null ? "is empty and yet has a place" : file.Sha256 != Empty ? "is empty and has another SHA-256" : null;
        if (file.Place is not { } place) return "has no place";
        if (place.Pack < 0 || place.Pack >= packs.Count) return $"lies in pack {place.Pack} of {packs.Count}";
        if (place.Offset < 0 || place.Length < 1 || place.Length > packs[place.Pack].Size - place.Offset) return "lies outside of its pack";
        if (place.Start < 0 || place.FrameSize < 1 || file.Size > place.FrameSize - place.Start) return "lies outside of its frame";
        if (place.FrameSize > MaximumSharedFrame && (place.Start != 0 || place.FrameSize != file.Size)) return "shares a frame that is too large";
        return null;
    }

    // The files of one frame agree about it and do not overlap.
    private static (string Path, string Reason)? SharedProblem(List<ManifestFile> inFrame)
    {
        inFrame.Sort((left, right) => left.Place!.Start.CompareTo(right.Place!.Start));
        for (int i = 1; i < inFrame.Count; i++)
        {
            (FramePlace before, FramePlace place) = (inFrame[i - 1].Place!, inFrame[i].Place!);
            if (place.Length != before.Length || place.FrameSize != before.FrameSize) return (inFrame[i].Path, $"and {inFrame[i - 1].Path} disagree about their frame");
            if (before.Start + inFrame[i - 1].Size > place.Start) return (inFrame[i].Path, $"overlaps {inFrame[i - 1].Path} in its frame");
        }
        return null;
    }

    private static (string Path, string Reason)? OverlapProblem(IEnumerable<List<ManifestFile>> frames)
    {
        ManifestFile? before = null;
        long swollen = 0;
        foreach (ManifestFile file in frames.Select(inFrame => inFrame[0]).OrderBy(file => file.Place!.Pack).ThenBy(file => file.Place!.Offset))
        {
            FramePlace place = file.Place!;
            if (before?.Place is { } earlier && earlier.Pack == place.Pack && earlier.Offset + earlier.Length > place.Offset)
                return (file.Path, $"lies in a frame that overlaps that of {before.Path}");
            if (place.FrameSize > TreeRules.MaximumTotalSize - swollen) return (file.Path, "brings the frames above the largest size of a release");
            swollen += place.FrameSize;
            before = file;
        }
        return null;
    }

    private static readonly Digest Empty = Digest.Of(ReadOnlySpan<byte>.Empty);
}

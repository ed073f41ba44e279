using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;

namespace Agent.Artifacts.Publishing;

/// <param name="UploadedBytes">Of packs and manifest; metadata comes on top.</param>
/// <param name="AlreadyThere">The same release was published before; nothing was written.</param>
internal sealed record PublishResult(ReleaseVersion Version, Digest Digest, int Files, long TotalSize, long UploadedBytes, bool AlreadyThere);

/// <param name="From">What the channel pointed at before; null: nothing.</param>
/// <param name="AlreadyThere">It points there already; nothing was written.</param>
internal sealed record PromoteResult(ReleaseVersion? From, ReleaseVersion To, long Sequence, bool AlreadyThere);

/// <param name="Published">Null where the publisher did not say.</param>
internal sealed record ListedRelease(ReleaseVersion Version, Digest Digest, int? Files, long? TotalSize, DateTimeOffset? Published);

internal sealed record ListedChannel(string Name, ChannelTarget Target);

internal sealed record ListedApp(AppName App, IReadOnlyList<ListedRelease> Releases, IReadOnlyList<ListedChannel> Channels);

/// <summary>Puts releases into a store and points channels at them. An interruption at any point leaves the store as it was.</summary>
/// <param name="scratch">An existing directory for large intermediate files; what is in it is removed.</param>
internal sealed class Publisher(IStoreWriter store, TrustRepository repository, IDisk disk, string scratch, TimeProvider time)
{
    /// <summary>A fresh host reads at most so many packs: then a full one is written.</summary>
    private const int MostPacks = 8;

    /// <summary>Publishes a directory or .tar.gz. Order: blobs, manifest, signed metadata.</summary>
    /// <param name="progress">Uncompressed bytes packed, of all that must be packed.</param>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: it holds what no release may hold, or the version is published with other content.</exception>
    public async Task<PublishResult> PublishAsync(string path, AppName app, ReleaseVersion version, IProgress<(long Done, long Total)> progress, CancellationToken cancellationToken)
    {
        ReleaseTree tree = ReleaseTree.Read(disk, path, version, scratch, cancellationToken);
        await repository.AddAppAsync(app, cancellationToken);
        string target = StorePath.ReleaseTarget(app, version);
        if (await repository.Client.FindTargetAsync(target, cancellationToken) is { } published)
            return await AlreadyThereAsync(published, tree, app, version, cancellationToken);

        Manifest? before = await BaseAsync(app, version, cancellationToken);
        Dictionary<Digest, (PackReference Pack, FramePlace Place)> known = Reusable(before, tree);
        List<TreeFile> fresh = [.. tree.Files.Where(file => file.Size > 0 && !known.ContainsKey(file.Sha256))];
        long total = fresh.DistinctBy(file => file.Sha256).Sum(file => file.Size);
        string packFile = Path.Combine(scratch, "pack");
        WrittenPack? pack = new PackWriter(disk, scratch).Write(packFile, fresh, new Packed(done => progress.Report((done, total))), cancellationToken);
        if (pack is not null)
        {
            await using Stream content = disk.OpenRead(packFile);
            await store.PutAsync(StorePath.Blob(pack.Reference.Sha256), content, cancellationToken);
        }

        Manifest manifest = Describe(tree, app, version, known, pack);
        byte[] stored = ManifestFormat.Serialize(manifest);
        TargetInfo listed = await repository.PutTargetAsync(target, stored, Summary(manifest), cancellationToken);
        PublishResult? quicker = null;
        await repository.PublishAsync(
            TrustRepository.ReleaseRole(app),
            async (there, token) =>
            {
                if (!there.TryGetValue(target, out TargetInfo? other)) return [listed];
                quicker = await AlreadyThereAsync(other, tree, app, version, token);
                return [];
            },
            cancellationToken);
        return quicker ?? new PublishResult(version, listed.Sha256, manifest.Files.Count, manifest.TotalSize, stored.Length + (pack?.Reference.Size ?? 0), AlreadyThere: false);
    }

    /// <summary>Points a channel at a published release; a lower version than before is the operator's signed way back.</summary>
    /// <param name="minimum">From now on no host takes a lower version from this channel, so the bound only rises; null: it stays as it is.</param>
    /// <exception cref="OperatorException">The release is not published (<see cref="ExitCode.Usage"/>), or it lies below the channel's bound, or the bound below the present one (<see cref="ExitCode.Refused"/>).</exception>
    public async Task<PromoteResult> PromoteAsync(AppName app, ReleaseVersion version, string channel, ReleaseVersion? minimum, CancellationToken cancellationToken)
    {
        string path = StorePath.ChannelTarget(app, ChannelTarget.CheckedName(channel));
        PromoteResult? result = null;
        await repository.PublishAsync(
            TrustRepository.ChannelRole(app),
            async (there, token) =>
            {
                TargetInfo release = await repository.Client.FindTargetAsync(StorePath.ReleaseTarget(app, version), token) ?? throw new OperatorException(
                    ExitCode.Usage, $"{app} {version} is not published in {store.Description}", $"publish it first, or choose one that 'agentctl store list --app {app}' shows");
                ChannelTarget? now = there.TryGetValue(path, out TargetInfo? info) ? await ReadChannelAsync(info, token) : null;
                // Hosts remember the highest bound that they saw.
                if (minimum is not null && now?.MinimumRelease is { } present && minimum < present)
                    throw new OperatorException(ExitCode.Refused, $"the bound of channel {channel} of {app} is {present}, and it only rises", "promote to another channel what lies below it");
                ReleaseVersion? bound = minimum ?? now?.MinimumRelease;
                if (bound is not null && version < bound)
                    throw new OperatorException(ExitCode.Refused, $"channel {channel} of {app} takes no version below {bound}", $"promote {bound} or later, or promote to another channel");
                bool same = now?.Release == version && now.Manifest == release.Sha256 && now.MinimumRelease == bound;
                var next = new ChannelTarget(version, release.Sha256, same ? now!.Sequence : (now?.Sequence ?? 0) + 1, bound);
                result = new PromoteResult(now?.Release, version, next.Sequence, same);
                return same ? [] : [await repository.PutTargetAsync(path, next.Serialize(), null, token)];
            },
            cancellationToken);
        return result!;
    }

    /// <summary>What the store's signed metadata lists; releases from the highest down.</summary>
    /// <param name="app">Null: every app.</param>
    public async Task<IReadOnlyList<ListedApp>> ListAsync(AppName? app, CancellationToken cancellationToken)
    {
        var listing = new List<ListedApp>();
        foreach (AppName name in (await repository.AppsAsync(cancellationToken)).Where(name => app is null || name == app))
        {
            var channels = new List<ListedChannel>();
            foreach (TargetInfo target in await repository.Client.ListTargetsAsync(StorePath.ChannelPrefix(name), cancellationToken))
                if (NameIn(target, StorePath.ChannelPrefix(name)) is { } channel) channels.Add(new ListedChannel(channel, await ReadChannelAsync(target, cancellationToken)));
            ListedRelease[] releases = [.. (await ReleasesAsync(name, cancellationToken)).OrderByDescending(r => r.Version).Select(r => Listed(r.Version, r.Target))];
            // An app is added before its first release: that publish may have been interrupted.
            if (releases.Length > 0 || channels.Count > 0) listing.Add(new ListedApp(name, releases, channels));
        }
        if (app is not null && listing.Count == 0)
            throw new OperatorException(ExitCode.Usage, $"{store.Description} has no app '{app}'", "list what it has: agentctl store list");
        return listing;
    }

    private async Task<PublishResult> AlreadyThereAsync(TargetInfo published, ReleaseTree tree, AppName app, ReleaseVersion version, CancellationToken cancellationToken)
    {
        Manifest there = ManifestFormat.Parse(await repository.Client.ReadTargetAsync(published, ManifestFormat.MaximumSize, cancellationToken));
        Manifest here = Describe(tree, app, version, [], null);
        if (!there.Files.Select(Content).SequenceEqual(here.Files.Select(Content))) throw Taken(app, version, FirstDifference(there, here));
        return new PublishResult(version, published.Sha256, there.Files.Count, there.TotalSize, 0, AlreadyThere: true);
    }

    private static OperatorException Taken(AppName app, ReleaseVersion version, string difference) =>
        new(ExitCode.Refused, $"{app} {version} is already published with other content ({difference})", "publish under a new version: a version never changes its content");

    // Both are sorted by path.
    private static string FirstDifference(Manifest there, Manifest here)
    {
        int same = there.Files.Zip(here.Files).TakeWhile(pair => Content(pair.First) == Content(pair.Second)).Count();
        (ManifestEntry? old, ManifestEntry? now) = (there.Files.ElementAtOrDefault(same), here.Files.ElementAtOrDefault(same));
        int order = old is null ? 1 : now is null ? -1 : string.CompareOrdinal(old.Path, now.Path);
        return order == 0 ? $"{ReleasePath.Show(now!.Path)} differs" : order < 0 ? $"{ReleasePath.Show(old!.Path)} is missing" : $"{ReleasePath.Show(now!.Path)} is new";
    }

    private static ManifestEntry Content(ManifestEntry entry) => entry is ManifestFile file ? file with { Place = null } : entry;

    /// <summary>The release next below, else the highest: its packs hold most of what the new one has.</summary>
    private async Task<Manifest?> BaseAsync(AppName app, ReleaseVersion version, CancellationToken cancellationToken)
    {
        List<(ReleaseVersion Version, TargetInfo Target)> releases = await ReleasesAsync(app, cancellationToken);
        if (releases.Count == 0) return null;
        List<(ReleaseVersion Version, TargetInfo Target)> below = releases.FindAll(release => release.Version < version);
        TargetInfo target = (below.Count > 0 ? below : releases).MaxBy(release => release.Version).Target;
        return ManifestFormat.Parse(await repository.Client.ReadTargetAsync(target, ManifestFormat.MaximumSize, cancellationToken));
    }

    /// <summary>Contents that lie in the base's packs already; none where it is time for a full pack.</summary>
    private static Dictionary<Digest, (PackReference Pack, FramePlace Place)> Reusable(Manifest? before, ReleaseTree tree)
    {
        if (before is null || before.Packs.Count >= MostPacks) return [];
        HashSet<Digest> wanted = [.. tree.Files.Select(file => file.Sha256)];
        var known = new Dictionary<Digest, (PackReference Pack, FramePlace Place)>();
        foreach (ManifestFile file in before.Files.OfType<ManifestFile>())
            if (file.Place is { } place && wanted.Contains(file.Sha256)) known.TryAdd(file.Sha256, (before.Packs[place.Pack], place));
        long live = known.Values.DistinctBy(k => (k.Pack.Sha256, k.Place.Offset)).Sum(k => k.Place.Length);
        return live * 2 < before.Packs.Sum(pack => pack.Size) ? [] : known;
    }

    internal static Manifest Describe(
        ReleaseTree tree, AppName app, ReleaseVersion version, Dictionary<Digest, (PackReference Pack, FramePlace Place)> known, WrittenPack? pack)
    {
        var packs = new List<PackReference>();
        int NumberOf(PackReference reference)
        {
            int number = packs.IndexOf(reference);
            if (number >= 0) return number;
            packs.Add(reference);
            return packs.Count - 1;
        }
        ManifestEntry[] entries = [.. tree.Entries.Select<TreeEntry, ManifestEntry>(entry => entry switch
        {
            TreeLink link => new ManifestLink(link.Path, link.Target),
            TreeFile file => new ManifestFile(file.Path, file.Executable, file.Size, file.Sha256, PlaceOf(file)),
            _ => new ManifestDirectory(entry.Path),
        })];
        return new Manifest(app, version, entries, packs);

        FramePlace? PlaceOf(TreeFile file) =>
            known.TryGetValue(file.Sha256, out var old) ? old.Place with { Pack = NumberOf(old.Pack) }
            : pack is not null && pack.Places.TryGetValue(file.Sha256, out FramePlace? place) ? place with { Pack = NumberOf(pack.Reference) }
            : null;
    }

    // Signed with the target, for people who look at the store; nothing is decided by it.
    private JsonObject Summary(Manifest manifest) => new()
    {
        ["files"] = manifest.Files.Count,
        ["published"] = time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
        ["size"] = manifest.TotalSize,
    };

    private static ListedRelease Listed(ReleaseVersion version, TargetInfo target) => new(
        version, target.Sha256, (int?)Number(target, "files"), Number(target, "size"),
        target.Custom?["published"] is JsonValue value && value.TryGetValue(out string? text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset at) ? at : null);

    private static long? Number(TargetInfo target, string name) => target.Custom?[name] is JsonValue value && value.TryGetValue(out long number) ? number : null;

    private async Task<ChannelTarget> ReadChannelAsync(TargetInfo target, CancellationToken cancellationToken) =>
        ChannelTarget.Parse(await repository.Client.ReadTargetAsync(target, ChannelTarget.MaximumSize, cancellationToken));

    private async Task<List<(ReleaseVersion Version, TargetInfo Target)>> ReleasesAsync(AppName app, CancellationToken cancellationToken)
    {
        var releases = new List<(ReleaseVersion, TargetInfo)>();
        foreach (TargetInfo target in await repository.Client.ListTargetsAsync(StorePath.ReleasePrefix(app), cancellationToken))
            if (NameIn(target, StorePath.ReleasePrefix(app)) is { } name && ReleaseVersion.TryParse(name, out ReleaseVersion? version)) releases.Add((version, target));
        return releases;
    }

    /// <returns>Null for a target that is none of ours.</returns>
    private static string? NameIn(TargetInfo target, string prefix) =>
        target.Path.Length > prefix.Length && target.Path.EndsWith(".json", StringComparison.Ordinal) ? target.Path[prefix.Length..^".json".Length] : null;

    internal sealed class Packed(Action<long> take) : IProgress<long>
    {
        public void Report(long value) => take(value);
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

/// <summary>
/// Releases from one store. What a name means is decided by its signed metadata, of which a root must be pinned;
/// contents come to <see cref="Downloads"/> and are verified there.
/// </summary>
/// <param name="trust">Over the same store; disposed with this.</param>
/// <param name="dataDirectory">Absolute.</param>
internal sealed class ArtifactSource(IStoreReader store, TrustClient trust, IDisk disk, string dataDirectory, TimeProvider time, ILogger logger) : IArtifactSource, IDisposable
{
    private readonly ChannelMemory channels = new(disk, Path.Combine(dataDirectory, "channels"));
    private readonly Lock remembering = new();

    /// <summary>Absolute; holds a directory for each app.</summary>
    public string Downloads { get; init; } = Path.Combine(dataDirectory, "downloads");

    /// <summary>The store's signed metadata as this host knows it, for health and doctor.</summary>
    public TrustClient Trust => trust;

    public async Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken)
    {
        await trust.RefreshAsync(cancellationToken);
        switch (wanted)
        {
            case Track.Channel channel:
                return await ResolveChannelAsync(app, channel.Name, cancellationToken);
            case Track.Range range:
                return (await ReleasesAsync(app, cancellationToken)).Where(id => range.Versions.Contains(id.Version)).MaxBy(id => id.Version);
            case Track.Exactly exactly:
                // People leave the v out, or write it where there is none.
                IReadOnlyList<ReleaseId> releases = await ReleasesAsync(app, cancellationToken);
                return releases.FirstOrDefault(id => id.Version == exactly.Version)
                    ?? releases.FirstOrDefault(id => id.Version.Text.TrimStart('v') == exactly.Version.Text.TrimStart('v'));
            default:
                throw new ArgumentOutOfRangeException(nameof(wanted), wanted, null);
        }
    }

    public async Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        try
        {
            Manifest manifest = await ManifestAsync(release, cancellationToken);
            return await new ReleaseDownload(store, disk, time, logger).RunAsync(release, manifest, ManifestPath(release), installed, progress, cancellationToken);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Refused, $"{release} cannot be written to {DownloadsOf(release.App)}: {e.Message}", "make room there, and let the agent write to it", e);
        }
    }

    public void Sweep(AppName app) => disk.RemoveDurable(DownloadsOf(app));

    public void Dispose() => trust.Dispose();

    private async Task<ReleaseId?> ResolveChannelAsync(AppName app, string name, CancellationToken cancellationToken)
    {
        ChannelTarget.CheckedName(name);
        if (await trust.FindTargetAsync(StorePath.ChannelTarget(app, name), cancellationToken) is not { } pointer) return null;
        ChannelTarget channel = ChannelTarget.Parse(await trust.ReadTargetAsync(pointer, ChannelTarget.MaximumSize, cancellationToken));
        TargetInfo? release = await trust.FindTargetAsync(StorePath.ReleaseTarget(app, channel.Release), cancellationToken);
        if (release is null)
            throw Refused($"channel {name} of {app} points at {channel.Release}, which the release key did not sign", "publish it, or promote another");
        // Two keys must agree before anything runs.
        if (release.Sha256 != channel.Manifest)
            throw Refused($"channel {name} of {app} points at {channel.Release} with manifest {channel.Manifest.Short}, and the release key signed {release.Sha256.Short}", "promote it again; if nobody published it anew, find out who did");
        lock (remembering) channels.Accept(app, name, channel);
        return new ReleaseId(app, channel.Release, channel.Manifest);
    }

    private async Task<IReadOnlyList<ReleaseId>> ReleasesAsync(AppName app, CancellationToken cancellationToken)
    {
        string prefix = StorePath.ReleasePrefix(app);
        var releases = new List<ReleaseId>();
        foreach (TargetInfo target in await trust.ListTargetsAsync(prefix, cancellationToken))
        {
            if (target.Path.EndsWith(".json", StringComparison.Ordinal) && ReleaseVersion.TryParse(target.Path[prefix.Length..^".json".Length], out ReleaseVersion? version))
                releases.Add(new ReleaseId(app, version, target.Sha256));
        }
        return releases;
    }

    private async Task<Manifest> ManifestAsync(ReleaseId release, CancellationToken cancellationToken)
    {
        TargetInfo? target = await trust.FindTargetAsync(StorePath.ReleaseTarget(release.App, release.Version), cancellationToken);
        if (target?.Sha256 != release.Digest)
            throw Refused($"{release} with manifest {release.Digest.Short} is no longer in the signed metadata", "deploy a release that 'agentctl store list' shows");
        string kept = ManifestPath(release);
        byte[]? stored = disk.Kind(kept) == EntryKind.File ? disk.ReadAll(kept) : null;
        if (stored is null || Digest.Of(stored) != release.Digest)
        {
            stored = await trust.ReadTargetAsync(target!, ManifestFormat.MaximumSize, cancellationToken);
            disk.MakeDirectories(DownloadsOf(release.App), DurableOperations.Mode700);
            disk.WriteAtomic(kept, stored);
        }
        return ReleaseDownload.Parse(release, stored);
    }

    private string ManifestPath(ReleaseId release) => ReleaseDownload.ManifestPath(DownloadsOf(release.App), release.Digest);

    private string DownloadsOf(AppName app) => Path.Combine(Downloads, app.Value);

    private static OperatorException Refused(string what, string remedy) => new(ExitCode.Refused, what, remedy);
}

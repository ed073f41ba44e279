using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Fetching;

/// <summary>What was pushed to this host comes from its disk, all else from its store. What a name means is the store's to say alone: nothing pushed is ever followed.</summary>
internal sealed class PushedFirst(PushedReleases pushed, IArtifactSource store) : IArtifactSource
{
    public Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken) => store.ResolveAsync(app, wanted, cancellationToken);

    public async Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken) =>
        pushed.Fetch(release, cancellationToken) ?? await store.FetchAsync(release, installed, progress, cancellationToken);

    public PushedRelease? FindPushed(AppName app, Digest digest) => pushed.Find(app, digest);

    public PushedRelease? FindPushed(AppName app, ReleaseVersion version) => pushed.Find(app, version);

    public void Sweep(AppName app)
    {
        store.Sweep(app);
        pushed.Sweep(app);
    }
}

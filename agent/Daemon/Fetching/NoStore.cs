using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Fetching;

/// <summary>Stands where no store is configured: releases that are on the host can still be gone back to.</summary>
internal sealed class NoStore : IArtifactSource, IStoreReader
{
    public string Description => "no store";

    public Task<ReleaseId?> ResolveAsync(AppName app, Track wanted, CancellationToken cancellationToken) => throw Missing();

    public Task<FetchedRelease> FetchAsync(ReleaseId release, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken) => throw Missing();

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) => throw Missing();

    public void Sweep(AppName app) { }

    private static OperatorException Missing() => new(
        ExitCode.Usage, "no store is configured on this host", "write 'store: URL' into /etc/agentd/agentd.yaml and run 'systemctl restart agentd'");
}

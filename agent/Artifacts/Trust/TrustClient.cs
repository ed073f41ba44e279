using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;

namespace Agent.Artifacts.Trust;

/// <summary>
/// Believes a store only as far as its signed metadata goes: The Update Framework, specification 1.0.34. Everything that it returns
/// is signed, unexpired and no older than what was seen here before. One instance per directory, and those that it makes by <see cref="Over"/>; calls may come from several threads.
/// </summary>
/// <param name="directory">Holds the trusted metadata of this store and nothing else; absolute.</param>
/// <param name="acceptExpired">For a publisher, who is about to renew what has expired; never for a host.</param>
/// <remarks>
/// Each check that fails is a <see cref="TrustException"/> that names it; a store that cannot be reached is an
/// <see cref="OperatorException"/> of <see cref="ExitCode.Unreachable"/> as the store threw it. After either, searching begins with a refresh again.
/// </remarks>
internal sealed class TrustClient(IStoreReader store, IDisk disk, string directory, TimeProvider time, bool acceptExpired = false) : IDisposable
{
    /// <summary>How far the clock may be behind the last time seen.</summary>
    public static readonly TimeSpan ClockTolerance = TimeSpan.FromDays(1);

    // Idle polls must not write; a day's tolerance does not need the minute.
    private static readonly TimeSpan LastSeenStep = TimeSpan.FromHours(1);

    private readonly MetadataFetcher fetcher = new(store, time);
    private readonly TrustedDirectory trustedDirectory = new(disk, directory);
    private TrustedSet? trusted;
    private string? timestampETag;

    // Whoever writes the directory waits for the others: an older state must never come after a newer one.
    private SemaphoreSlim Turn { get; init; } = new(1, 1);

    private bool OwnsTurn { get; init; } = true;

    /// <summary>A root is pinned here, so that a store can be trusted at all.</summary>
    public bool IsPinned => trustedDirectory.Read(MetadataFormat.Root) is not null;

    /// <summary>The same trust with the same memory against rollback, over another store. Both may be used at once.</summary>
    public TrustClient Over(IStoreReader other) => new(other, disk, directory, time, acceptExpired) { Turn = Turn, OwnsTurn = false };

    /// <summary>Pins the root that the operator gave; nothing when it is pinned here already. Nothing is asked of the store.</summary>
    /// <exception cref="TrustException">It is no root, or did not sign itself, or another one is pinned.</exception>
    public void Init(byte[] root)
    {
        if (root.Length > MetadataFetcher.RootLimit) throw TrustException.Length("the root to pin", $"more than {MetadataFetcher.RootLimit} bytes");
        Envelope<RootMetadata> envelope = MetadataFormat.ReadRoot(root, "the root to pin");
        envelope.Verify(envelope.Signed.Roles[MetadataFormat.Root], envelope.Signed.Keys);
        trustedDirectory.Pin(root);
    }

    /// <summary>Brings the trusted metadata up to the store's. With nothing new that is two requests.</summary>
    /// <returns>True when something new was accepted.</returns>
    public async Task<bool> RefreshAsync(CancellationToken cancellationToken)
    {
        await Turn.WaitAsync(cancellationToken);
        try
        {
            return await RefreshInsideAsync(cancellationToken);
        }
        finally
        {
            Turn.Release();
        }
    }

    /// <summary>What the signed metadata says of a target, as of the last refresh; refreshes first when there was none.</summary>
    /// <returns>Null when no role that may list it does.</returns>
    public Task<TargetInfo?> FindTargetAsync(string path, CancellationToken cancellationToken) =>
        WithSearchAsync(search => search.FindAsync(path, cancellationToken), cancellationToken);

    /// <summary>All targets below a directory such as <c>shop/releases/</c>, sorted by path.</summary>
    public Task<IReadOnlyList<TargetInfo>> ListTargetsAsync(string prefix, CancellationToken cancellationToken) =>
        WithSearchAsync(search => search.ListAsync(prefix, cancellationToken), cancellationToken);

    /// <summary>A role that the top-level targets delegate to, with the delegation; null when they do not.</summary>
    public Task<(Delegation Delegation, Envelope<TargetsMetadata> Role)?> FindRoleAsync(string name, CancellationToken cancellationToken) =>
        WithSearchAsync(search => search.FindRoleAsync(name, cancellationToken), cancellationToken);

    /// <summary>The whole content of a target, its length and hashes checked.</summary>
    /// <param name="limit">Bytes that the caller is ready to hold.</param>
    public async Task<byte[]> ReadTargetAsync(TargetInfo target, long limit, CancellationToken cancellationToken)
    {
        if (target.Length > limit) throw TrustException.Length(target.Path, $"{target.Length} bytes are announced, {limit} are allowed");
        bool consistent = (await TrustedAsync(cancellationToken)).Root.Signed.ConsistentSnapshot;
        return await fetcher.FetchTargetAsync(StoreLayout.Target(target, consistent), target, cancellationToken);
    }

    /// <summary>The four top-level roles, as of the last refresh; refreshes first when there was none.</summary>
    public Task<TrustedSet> TrustedAsync(CancellationToken cancellationToken) =>
        WithSearchAsync(_ => Task.FromResult(trusted!), cancellationToken);

    /// <summary>A top-level role on this disk has expired, so network deployments are refused until the store is renewed. False before the first refresh.</summary>
    public bool IsStale => OnDisk(withDelegated: false).Any(role => role.Signed.Expires <= time.GetUtcNow());

    /// <summary>A sentence for each role on this disk that has expired or is past half of its life.</summary>
    public IReadOnlyList<string> Warnings()
    {
        DateTimeOffset now = time.GetUtcNow();
        var warnings = new List<string>();
        foreach ((string role, Signed signed) in OnDisk(withDelegated: true))
        {
            if (signed.Expires <= now) warnings.Add($"{role} expired at {signed.Expires:yyyy-MM-dd HH:mm}Z: run 'agentctl store refresh' where the keys are");
            else if (signed.HalfLife <= now) warnings.Add($"{role} is past half of its life and expires at {signed.Expires:yyyy-MM-dd HH:mm}Z: run 'agentctl store refresh' where the keys are");
        }
        return warnings;
    }

    public void Dispose()
    {
        if (OwnsTurn) Turn.Dispose();
    }

    private async Task<bool> RefreshInsideAsync(CancellationToken cancellationToken)
    {
        string? etag = timestampETag;
        (trusted, timestampETag) = (null, null);
        DateTimeOffset now = time.GetUtcNow();
        DateTimeOffset? lastSeen = trustedDirectory.LastSeen;
        if (now < lastSeen - ClockTolerance)
            throw new TrustException(TrustFailure.Clock, $"this machine's clock says {now:yyyy-MM-dd HH:mm}Z, but it was {lastSeen:yyyy-MM-dd HH:mm}Z here before", "set the clock, then try again");

        var update = new MetadataUpdate(fetcher, trustedDirectory, now, acceptExpired);
        TrustedSet refreshed = await update.RunAsync(etag, cancellationToken);
        // Where nothing has expired yet: so a clock that once ran far ahead is not remembered.
        if (!HasExpired(refreshed, now) && (lastSeen is null || now > lastSeen + LastSeenStep)) trustedDirectory.Saw(now);
        (trusted, timestampETag) = (refreshed, update.TimestampETag);
        return update.Changed;
    }

    private async Task<T> WithSearchAsync<T>(Func<TargetSearch, Task<T>> use, CancellationToken cancellationToken)
    {
        await Turn.WaitAsync(cancellationToken);
        try
        {
            DateTimeOffset now = time.GetUtcNow();
            if (trusted is null || (!acceptExpired && HasExpired(trusted, now))) await RefreshInsideAsync(cancellationToken);
            return await use(new TargetSearch(new MetadataUpdate(fetcher, trustedDirectory, now, acceptExpired), trusted!));
        }
        finally
        {
            Turn.Release();
        }
    }

    private static bool HasExpired(TrustedSet set, DateTimeOffset now) =>
        now >= set.Root.Signed.Expires || now >= set.Timestamp.Signed.Expires || now >= set.Snapshot.Signed.Expires || now >= set.Targets.Signed.Expires;

    private IEnumerable<(string Role, Signed Signed)> OnDisk(bool withDelegated)
    {
        if (trustedDirectory.Read(MetadataFormat.Root, MetadataFormat.ReadRoot) is { } root) yield return (MetadataFormat.Root, root.Signed);
        if (trustedDirectory.Read(MetadataFormat.Timestamp, MetadataFormat.ReadTimestamp) is { } timestamp) yield return (MetadataFormat.Timestamp, timestamp.Signed);
        if (trustedDirectory.Read(MetadataFormat.Snapshot, MetadataFormat.ReadSnapshot) is { } snapshot) yield return (MetadataFormat.Snapshot, snapshot.Signed);
        if (trustedDirectory.Read(MetadataFormat.Targets, MetadataFormat.ReadTargets) is not { } targets) yield break;
        yield return (MetadataFormat.Targets, targets.Signed);
        if (!withDelegated) yield break;
        foreach (Delegation delegation in targets.Signed.Delegations)
            if (trustedDirectory.Read(delegation.Role, MetadataFormat.ReadTargets) is { } role) yield return (delegation.Role, role.Signed);
    }
}

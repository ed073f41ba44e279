using System.Collections.Immutable;
using Agent.Artifacts.Stores;

namespace Agent.Artifacts.Trust;

/// <summary>What a refresh ended with: four roles that belong together.</summary>
internal sealed record TrustedSet(
    Envelope<RootMetadata> Root, Envelope<TimestampMetadata> Timestamp, Envelope<SnapshotMetadata> Snapshot, Envelope<TargetsMetadata> Targets);

/// <summary>
/// One refresh, as the specification's client workflow (5.1 to 5.6) has it: fixed time, roots one by one, timestamp, snapshot, targets; each
/// file is written down as soon as it has passed all its checks, so what failed later still protects against rollback.
/// </summary>
/// <param name="now">5.1: the time against which everything expires.</param>
/// <param name="acceptExpired">For the publisher, who is about to renew what has expired.</param>
internal sealed class MetadataUpdate(MetadataFetcher store, TrustedDirectory directory, DateTimeOffset now, bool acceptExpired)
{
    private const int NewRootsLimit = 256;

    /// <summary>Something new was accepted.</summary>
    public bool Changed { get; private set; }

    /// <summary>Validator of the timestamp that the store has; null where it gives none.</summary>
    public string? TimestampETag { get; private set; }

    /// <param name="timestampETag">Of the timestamp that the last successful refresh saw; null to ask in any case.</param>
    public async Task<TrustedSet> RunAsync(string? timestampETag, CancellationToken cancellationToken)
    {
        Envelope<RootMetadata> root = await UpdateRootAsync(cancellationToken);
        Envelope<TimestampMetadata> timestamp = await UpdateTimestampAsync(root.Signed, timestampETag, cancellationToken);
        Envelope<SnapshotMetadata> snapshot = await UpdateSnapshotAsync(root.Signed, timestamp.Signed.Snapshot, cancellationToken);
        Envelope<TargetsMetadata> targets = await UpdateTargetsAsync(root.Signed, snapshot.Signed, cancellationToken);
        return new TrustedSet(root, timestamp, snapshot, targets);
    }

    // 5.3
    private async Task<Envelope<RootMetadata>> UpdateRootAsync(CancellationToken cancellationToken)
    {
        Envelope<RootMetadata> root = directory.Read(MetadataFormat.Root, MetadataFormat.ReadRoot)
            ?? throw new TrustException(TrustFailure.Pinned, "no root is pinned here, so no store can be trusted", "pin the store's root.json first");
        VerifyRoot(root, root.Signed);
        for (int i = 0; i < NewRootsLimit; i++)
        {
            string path = StoreLayout.Metadata(MetadataFormat.Root, root.Signed.Version + 1);
            byte[]? bytes;
            try
            {
                (bytes, _) = await store.FetchAsync(path, MetadataFetcher.RootLimit, null, cancellationToken);
            }
            catch (StoreObjectMissingException)
            {
                break;   // 5.3.3: this one is the newest
            }
            Envelope<RootMetadata> next = MetadataFormat.ReadRoot(bytes!, path);
            VerifyRoot(next, root.Signed);
            VerifyRoot(next, next.Signed);
            if (next.Signed.Version != root.Signed.Version + 1) throw TrustException.Rollback(path, $"it says that it is version {next.Signed.Version}");
            Accept(MetadataFormat.Root, bytes!);
            root = next;
        }
        CheckExpiry(root);
        return root;

        static void VerifyRoot(Envelope<RootMetadata> root, RootMetadata by) => root.Verify(by.Roles[MetadataFormat.Root], by.Keys);
    }

    // 5.4
    private async Task<Envelope<TimestampMetadata>> UpdateTimestampAsync(RootMetadata root, string? etag, CancellationToken cancellationToken)
    {
        // A file that the present root's keys did not sign is not believed any more (5.3.11: that is how a store recovers from a stolen
        // online key that was used to run its versions up). It is not removed; the next one replaces it.
        Envelope<TimestampMetadata>? known = Trusted(root, MetadataFormat.Timestamp, MetadataFormat.ReadTimestamp);
        byte[]? bytes;
        try
        {
            (bytes, TimestampETag) = await store.FetchAsync(StoreLayout.Timestamp, MetadataFetcher.TimestampLimit, known is null ? null : etag, cancellationToken);
        }
        catch (StoreObjectMissingException)
        {
            throw TrustException.Missing(store.Description, StoreLayout.Timestamp);
        }
        if (known is not null && (bytes is null || bytes.AsSpan().SequenceEqual(known.Bytes)))
        {
            CheckExpiry(known);
            return known;
        }
        Envelope<TimestampMetadata> next = MetadataFormat.ReadTimestamp(bytes!, StoreLayout.Timestamp);
        next.Verify(root.Roles[MetadataFormat.Timestamp], root.Keys);
        if (known is not null)
        {
            if (next.Signed.Version < known.Signed.Version)
                throw TrustException.Rollback(next.Name, $"version {next.Signed.Version}, but {known.Signed.Version} was seen here");
            if (next.Signed.Version == known.Signed.Version)   // 5.4.3.1: keep the one we have
            {
                CheckExpiry(known);
                return known;
            }
            if (next.Signed.Snapshot.Version < known.Signed.Snapshot.Version)
                throw TrustException.Rollback(next.Name, $"it names snapshot {next.Signed.Snapshot.Version}, but {known.Signed.Snapshot.Version} was seen here");
        }
        CheckExpiry(next);
        Accept(MetadataFormat.Timestamp, bytes!);
        return next;
    }

    // 5.5
    private async Task<Envelope<SnapshotMetadata>> UpdateSnapshotAsync(RootMetadata root, MetaFile listed, CancellationToken cancellationToken)
    {
        Envelope<SnapshotMetadata>? known = Trusted(root, MetadataFormat.Snapshot, MetadataFormat.ReadSnapshot);
        if (known is not null && IsListed(known, listed) && !HasExpired(known)) return known;

        string path = PathOf(root, MetadataFormat.Snapshot, listed);
        byte[] bytes = await store.FetchListedAsync(path, listed, MetadataFetcher.SnapshotLimit, cancellationToken);
        Envelope<SnapshotMetadata> next = MetadataFormat.ReadSnapshot(bytes, path);
        next.Verify(root.Roles[MetadataFormat.Snapshot], root.Keys);
        CheckVersion(next, listed);
        foreach ((string role, MetaFile before) in known?.Signed.Roles ?? ImmutableDictionary<string, MetaFile>.Empty)
        {
            if (!next.Signed.Roles.TryGetValue(role, out MetaFile? after)) throw TrustException.Rollback(path, $"role '{role}' is gone");
            if (after.Version < before.Version) throw TrustException.Rollback(path, $"it names version {after.Version} of role '{role}', but {before.Version} was seen here");
        }
        CheckExpiry(next);
        Accept(MetadataFormat.Snapshot, bytes);
        return next;
    }

    // 5.6
    private Task<Envelope<TargetsMetadata>> UpdateTargetsAsync(RootMetadata root, SnapshotMetadata snapshot, CancellationToken cancellationToken) =>
        LoadTargetsAsync(MetadataFormat.Targets, root.Roles[MetadataFormat.Targets], root.Keys, root, snapshot, cancellationToken);

    /// <summary>Top-level targets or a delegated role: from this disk when it is what the snapshot lists and this delegator's keys signed it, else from the store.</summary>
    /// <remarks>Who delegates is asked each time: that another delegator believed a file says nothing for this one.</remarks>
    public async Task<Envelope<TargetsMetadata>> LoadTargetsAsync(
        string role, RoleKeys signers, IReadOnlyDictionary<string, VerificationKey> keys, RootMetadata root, SnapshotMetadata snapshot, CancellationToken cancellationToken)
    {
        if (!snapshot.Roles.TryGetValue(role, out MetaFile? listed)) throw TrustException.Malformed("snapshot.json", $"role '{role}' is not in it");
        if (Cached(role) is { } known && IsListed(known, listed) && known.IsSignedBy(signers, keys) && !HasExpired(known)) return known;

        string path = PathOf(root, role, listed);
        byte[] bytes = await store.FetchListedAsync(path, listed, MetadataFetcher.TargetsLimit, cancellationToken);
        Envelope<TargetsMetadata> next = MetadataFormat.ReadTargets(bytes, path);
        next.Verify(signers, keys);
        CheckVersion(next, listed);
        CheckExpiry(next);
        Accept(role, bytes);
        return next;
    }

    private static bool IsListed<T>(Envelope<T> file, MetaFile listed)
        where T : Signed =>
        file.Signed.Version == listed.Version && (listed.Length ?? file.Bytes.Length) == file.Bytes.Length && listed.Hashes?.Match(file.Bytes) != false;

    private static string PathOf(RootMetadata root, string role, MetaFile listed) =>
        root.ConsistentSnapshot ? StoreLayout.Metadata(role, listed.Version) : StoreLayout.Metadata(role);

    private static void CheckVersion<T>(Envelope<T> file, MetaFile listed)
        where T : Signed
    {
        if (file.Signed.Version != listed.Version) throw TrustException.Rollback(file.Name, $"it says that it is version {file.Signed.Version}");
    }

    private Envelope<T>? Trusted<T>(RootMetadata root, string role, Func<byte[], string, Envelope<T>> read)
        where T : Signed
    {
        Envelope<T>? file = directory.Read(role, read);
        return file is not null && file.IsSignedBy(root.Roles[role], root.Keys) ? file : null;
    }

    // Versions of targets are remembered in the snapshot, so these files are only a cache: a damaged one is fetched again.
    private Envelope<TargetsMetadata>? Cached(string role)
    {
        try
        {
            return directory.Read(role, MetadataFormat.ReadTargets);
        }
        catch (TrustException)
        {
            return null;
        }
    }

    private bool HasExpired<T>(Envelope<T> file)
        where T : Signed => !acceptExpired && now >= file.Signed.Expires;

    private void CheckExpiry<T>(Envelope<T> file)
        where T : Signed
    {
        if (HasExpired(file)) throw TrustException.Stale(file.Name, file.Signed.Expires);
    }

    private void Accept(string role, byte[] bytes)
    {
        directory.Write(role, bytes);
        Changed = true;
    }
}

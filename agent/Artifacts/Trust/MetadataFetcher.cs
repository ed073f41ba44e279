using Agent.Artifacts.Stores;

namespace Agent.Artifacts.Trust;

/// <summary>Gets small objects out of a hostile store, within a length and a deadline.</summary>
internal sealed class MetadataFetcher(IStoreReader store, TimeProvider time)
{
    public const int RootLimit = 512 * 1024, TimestampLimit = 16 * 1024, SnapshotLimit = 2 * 1024 * 1024, TargetsLimit = 5 * 1024 * 1024;

    public string Description => store.Description;

    /// <summary>The whole object; null bytes when it still has the ETag <paramref name="ifNoneMatch"/>.</summary>
    /// <exception cref="StoreObjectMissingException">There is no such object.</exception>
    /// <exception cref="OperatorException">Too long, too slow, or the store cannot be reached.</exception>
    public async Task<(byte[]? Bytes, string? ETag)> FetchAsync(string path, long limit, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        using var slow = new CancellationTokenSource(BoundedReader.Grace, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, slow.Token);
        StoreObject? found;
        try
        {
            found = await store.OpenAsync(path, 0, ifNoneMatch, either.Token);
        }
        catch (OperationCanceledException) when (slow.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw TrustException.Slow(path);
        }
        if (found is null) return (null, ifNoneMatch);
        await using (found) return (await BoundedReader.ReadAsync(found.Content, limit, path, time, cancellationToken), found.ETag);
    }

    /// <summary>A metadata file that a parent names: its length and hashes are checked here.</summary>
    /// <param name="cap">For a parent that gives no length, or a larger one.</param>
    public async Task<byte[]> FetchListedAsync(string path, MetaFile listed, long cap, CancellationToken cancellationToken)
    {
        if (listed.Length > cap) throw TrustException.Length(path, $"{listed.Length} bytes are announced, {cap} are allowed");
        byte[] bytes = await FetchExistingAsync(path, listed.Length ?? cap, cancellationToken);
        Check(bytes, path, listed.Length, listed.Hashes);
        return bytes;
    }

    /// <summary>A target, verified.</summary>
    public async Task<byte[]> FetchTargetAsync(string path, TargetInfo target, CancellationToken cancellationToken)
    {
        byte[] bytes = await FetchExistingAsync(path, target.Length, cancellationToken);
        Check(bytes, path, target.Length, target.Hashes);
        return bytes;
    }

    private async Task<byte[]> FetchExistingAsync(string path, long limit, CancellationToken cancellationToken)
    {
        try
        {
            return (await FetchAsync(path, limit, null, cancellationToken)).Bytes!;
        }
        catch (StoreObjectMissingException)
        {
            throw TrustException.Missing(store.Description, path);
        }
    }

    private static void Check(byte[] bytes, string path, long? length, ContentHashes? hashes)
    {
        if (length is { } signed && bytes.Length != signed) throw TrustException.Length(path, $"{bytes.Length} bytes instead of {signed}");
        if (hashes is not null && !hashes.Match(bytes)) throw TrustException.Hash(path);
    }
}

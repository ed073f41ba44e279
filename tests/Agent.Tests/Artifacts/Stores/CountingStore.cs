using Agent.Artifacts.Stores;

namespace Agent.Tests.Artifacts.Stores;

/// <summary>Counts what is read of the packs of a store, and can cut them.</summary>
internal sealed class CountingStore(IStoreReader inner) : IStoreReader
{
    /// <summary>Bytes of packs that were read.</summary>
    public long PackBytes { get; private set; }

    /// <summary>How often a pack was opened, and from where on.</summary>
    public List<long> PackOffsets { get; } = [];

    /// <summary>Paths of all that was opened.</summary>
    public HashSet<string> Opened { get; } = [];

    /// <summary>Bytes of packs after which every read and every request fails; null: none.</summary>
    public long? DiesAfter { get; set; }

    /// <summary>Put around the content of packs.</summary>
    public Func<Stream, Stream> Around { get; set; } = stream => stream;

    public string Description => inner.Description;

    public async Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) =>
        Count(path, offset, await inner.OpenAsync(path, offset, ifNoneMatch, cancellationToken));

    public async Task<StoreObject> OpenRangeAsync(string path, long offset, long length, CancellationToken cancellationToken) =>
        Count(path, offset, await inner.OpenRangeAsync(path, offset, length, cancellationToken))!;

    private StoreObject? Count(string path, long offset, StoreObject? opened)
    {
        Opened.Add(path);
        if (opened is null || !path.StartsWith("blobs/", StringComparison.Ordinal)) return opened;
        if (PackBytes >= DiesAfter) throw HttpStore.Unreachable("the store is gone", null);
        PackOffsets.Add(offset);
        return opened with { Content = Around(new Counted(opened.Content, this)) };
    }

    private sealed class Counted(Stream inner, CountingStore store) : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (store.DiesAfter is { } limit) buffer = buffer[..(int)Math.Min(buffer.Length, limit - store.PackBytes)];
            if (buffer.Length == 0) throw new IOException("the connection is cut");
            int read = await inner.ReadAsync(buffer, cancellationToken);
            store.PackBytes += read;
            return read;
        }

        protected override void Dispose(bool disposing)
        {
            inner.Dispose();
            base.Dispose(disposing);
        }
    }
}

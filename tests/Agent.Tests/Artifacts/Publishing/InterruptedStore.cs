using Agent.Artifacts.Stores;

namespace Agent.Tests.Artifacts.Publishing;

/// <summary>A store whose publisher dies at one write: before it, or after it and before the answer.</summary>
/// <param name="survives">Writes that go well.</param>
internal sealed class InterruptedStore(IStoreWriter inner, int survives, bool after) : IStoreWriter
{
    /// <summary>Whether that write was reached.</summary>
    public bool Happened { get; private set; }

    public int Writes { get; private set; }

    public string Description => inner.Description;

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) =>
        inner.OpenAsync(path, offset, ifNoneMatch, cancellationToken);

    public Task PutAsync(string path, Stream content, CancellationToken cancellationToken) => WriteAsync(async () =>
    {
        await inner.PutAsync(path, content, cancellationToken);
        return true;
    });

    public Task<bool> ReplaceAsync(string path, byte[] content, byte[]? expected, CancellationToken cancellationToken) =>
        WriteAsync(() => inner.ReplaceAsync(path, content, expected, cancellationToken));

    public IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken) => inner.ListAsync(prefix, cancellationToken);

    private async Task<bool> WriteAsync(Func<Task<bool>> write)
    {
        bool dies = Writes++ == survives;
        if (dies && !after) throw Death();
        bool result = await write();
        return dies ? throw Death() : result;
    }

    private InterruptedException Death()
    {
        Happened = true;
        return new InterruptedException();
    }
}

internal sealed class InterruptedException() : Exception("the publisher dies");

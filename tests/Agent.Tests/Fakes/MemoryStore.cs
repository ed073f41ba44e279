using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.Artifacts.Stores;

namespace Agent.Tests.Fakes;

/// <summary>A store in memory that can be cut off, lie and be raced.</summary>
internal sealed class MemoryStore : IStoreWriter
{
    public ConcurrentDictionary<string, byte[]> Objects { get; private init; } = [];

    /// <summary>Paths asked for since the last <c>Clear</c>.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>Gets path and stored bytes (null: missing), gives what is served.</summary>
    public Func<string, byte[]?, Stream?>? Serve { get; set; }

    /// <summary>Writes that still work; the one after them fails as if the publisher had died. Null: all.</summary>
    public int? WritesLeft { get; set; }

    /// <summary>Runs once, before the next replacement.</summary>
    public Func<Task>? BeforeReplace { get; set; }

    public bool GivesETags { get; set; } = true;

    public string Description => "memory";

    public MemoryStore Copy() => new() { Objects = new ConcurrentDictionary<string, byte[]>(Objects) };

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken)
    {
        Requests.Enqueue(path);
        byte[]? stored = Objects.GetValueOrDefault(path);
        if (Serve is not null)
            return Task.FromResult<StoreObject?>(Serve(path, stored) is { } served ? new StoreObject(served, 0, null) : throw new StoreObjectMissingException(Description, path));
        if (stored is null) throw new StoreObjectMissingException(Description, path);
        string? etag = GivesETags ? Digest.Of(stored).Hex : null;
        if (etag is not null && etag == ifNoneMatch) return Task.FromResult<StoreObject?>(null);
        return Task.FromResult<StoreObject?>(new StoreObject(new MemoryStream(stored[(int)offset..]), offset, etag));
    }

    public async Task PutAsync(string path, Stream content, CancellationToken cancellationToken)
    {
        CountWrite();
        using var memory = new MemoryStream();
        await content.CopyToAsync(memory, cancellationToken);
        Objects.TryAdd(path, memory.ToArray());
    }

    public async Task<bool> ReplaceAsync(string path, byte[] content, byte[]? expected, CancellationToken cancellationToken)
    {
        if (BeforeReplace is { } first)
        {
            BeforeReplace = null;
            await first();
        }
        CountWrite();
        if (expected is null) return Objects.TryAdd(path, content);
        return Objects.TryGetValue(path, out byte[]? present) && present.AsSpan().SequenceEqual(expected) && Objects.TryUpdate(path, content, present);
    }

    public async IAsyncEnumerable<string> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        foreach (string path in Objects.Keys.Where(path => path.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal)) yield return path;
    }

    private void CountWrite()
    {
        if (WritesLeft is { } left && (WritesLeft = left - 1) < 0) throw new OperatorException(ExitCode.Unreachable, "the store is gone", "try again");
    }
}

namespace Agent.Artifacts.Stores;

/// <summary>What a GET brought back.</summary>
/// <param name="Content">Bytes from the asked offset on; the caller disposes it.</param>
/// <param name="Offset">Where <paramref name="Content"/> begins: the asked offset, or 0 where the store cannot give ranges.</param>
/// <param name="ETag">Validator for the next conditional request; null where the store has none.</param>
internal sealed record StoreObject(Stream Content, long Offset, string? ETag) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Content.DisposeAsync();
}

/// <summary>A store to read from. Never trusted: the caller bounds and verifies everything.</summary>
internal interface IStoreReader
{
    /// <summary>For people and logs; without credentials.</summary>
    string Description { get; }

    /// <summary>Opens the object at a relative path.</summary>
    /// <param name="path">Segments joined by <c>/</c>; the store quotes what its medium needs.</param>
    /// <param name="offset">First byte wanted; ranges are an optimisation (see <see cref="StoreObject.Offset"/>).</param>
    /// <param name="ifNoneMatch">An ETag: null is returned when the object still has it.</param>
    /// <returns>Null when <paramref name="ifNoneMatch"/> still holds.</returns>
    /// <exception cref="StoreObjectMissingException">There is no such object.</exception>
    /// <exception cref="OperatorException">The store cannot be reached or answers with an error (<see cref="ExitCode.Unreachable"/>).</exception>
    Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken);

    /// <summary>Opens a part of an object. A store that cannot may send more after it, or all from byte 0.</summary>
    /// <param name="length">Bytes wanted, at least 1.</param>
    /// <exception cref="StoreObjectMissingException">There is no such object.</exception>
    /// <exception cref="OperatorException">As <see cref="OpenAsync"/>.</exception>
    async Task<StoreObject> OpenRangeAsync(string path, long offset, long length, CancellationToken cancellationToken) =>
        (await OpenAsync(path, offset, ifNoneMatch: null, cancellationToken))!;
}

/// <summary>A store to publish to.</summary>
internal interface IStoreWriter : IStoreReader
{
    /// <summary>Writes an object that never changes; nothing when it is there already.</summary>
    Task PutAsync(string path, Stream content, CancellationToken cancellationToken);

    /// <summary>Replaces timestamp.json, and only that, if it still has <paramref name="expected"/> as content.</summary>
    /// <param name="expected">Null: it must not exist.</param>
    /// <returns>False when somebody else was quicker.</returns>
    Task<bool> ReplaceAsync(string path, byte[] content, byte[]? expected, CancellationToken cancellationToken);

    /// <summary>Paths of all objects below a prefix.</summary>
    IAsyncEnumerable<string> ListAsync(string prefix, CancellationToken cancellationToken);
}

/// <summary>A store that also keeps what nobody but its owner may read.</summary>
/// <remarks>A prefix ends with <c>/</c>, or is empty: then the whole store is private. One writer at a time for each. All throw <see cref="OperatorException"/> (<see cref="ExitCode.Unreachable"/>) where the store is away.</remarks>
internal interface IPrivateStore : IStoreReader
{
    /// <summary>Makes a place private.</summary>
    /// <returns>Bytes that fit in; null: the store does not say.</returns>
    /// <exception cref="OperatorException">It cannot be written to, or others could read what is put there (<see cref="ExitCode.Refused"/>).</exception>
    Task<long?> PreparePrivateAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>Writes an object, or replaces it: it is there whole, or as it was.</summary>
    /// <param name="write">Fills it, on a thread of its own; what it throws is thrown.</param>
    /// <exception cref="IOException">There is no room left.</exception>
    Task PutPrivateAsync(string path, Action<Stream> write, CancellationToken cancellationToken);

    /// <summary>Bytes that fit in now; null: the store does not say.</summary>
    long? FreeBytes(string prefix);

    /// <summary>Names of the objects directly below a prefix, in no order.</summary>
    Task<IReadOnlyList<string>> ListPrivateAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>Removes an object; nothing where it is gone.</summary>
    Task RemoveAsync(string path, CancellationToken cancellationToken);

    /// <summary>Removes what interrupted writes left below a prefix. Nobody may write there meanwhile.</summary>
    Task RemoveLeftoversAsync(string prefix, CancellationToken cancellationToken);
}

internal sealed class StoreObjectMissingException(string store, string path) : Exception($"{store} has no {path}");

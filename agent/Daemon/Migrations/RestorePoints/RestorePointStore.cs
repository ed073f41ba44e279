using System.Security.Cryptography;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>An app's restore points in a store, for nobody else to read: ID.dump.zst, then ID.json, which makes it one.</summary>
/// <param name="prefix">Where in the store they lie; empty: it is theirs alone.</param>
/// <param name="work">A directory of this host, for what a restore needs beside the dump.</param>
internal sealed class RestorePointStore(IPrivateStore objects, string prefix, string work, IDisk disk, TimeProvider time)
{
    private const string MetadataSuffix = ".json", DumpSuffix = ".dump.zst";
    private const int LargestMetadata = 1 << 16;

    /// <summary>Bytes that a dump leaves free: the agent's own journal lies on that disk too, as a rule.</summary>
    public const long Reserve = 64 << 20;

    /// <summary>For people: the directory, or the place in the store.</summary>
    public string Where => prefix.Length == 0 ? objects.Description : $"{objects.Description.TrimEnd('/')}/{prefix.TrimEnd('/')}";

    /// <summary>A directory of this host, which need not be there yet.</summary>
    public string Work => work;

    /// <summary>In a directory that is theirs alone.</summary>
    public static RestorePointStore In(string directory, IDisk disk, TimeProvider time) => new(new DirectoryStore(directory, disk, time), "", Path.Combine(directory, ".restore"), disk, time);

    /// <param name="data">The agent's.</param>
    /// <param name="host">This one's name: hosts may share a store.</param>
    public static RestorePointStore Of(IDisk disk, string data, AppName app, string host, RestorePointOptions? options, TimeProvider time)
    {
        string own = Path.Combine(data, "restore-points");
        if (options?.Store is not { } location) return In(Path.Combine(options?.Directory ?? own, app.Value), disk, time);
        return new RestorePointStore(Stores.OpenPrivate(location, disk, time), $"restore-points/{app}/{host}/", Path.Combine(own, app.Value, ".restore"), disk, time);
    }

    /// <summary>For people.</summary>
    public string DumpPath(RestorePoint point) => $"{Where}/{point.Id}{DumpSuffix}";

    /// <summary>Newest first. What is not whole is not there.</summary>
    /// <exception cref="OperatorException">The store is away (<see cref="ExitCode.Unreachable"/>).</exception>
    public async Task<IReadOnlyList<RestorePoint>> ListAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<string> names = await objects.ListPrivateAsync(prefix, cancellationToken);
        var points = new List<RestorePoint>();
        foreach (string name in names.Where(name => name.EndsWith(MetadataSuffix, StringComparison.Ordinal)))
            if (await ReadAsync(name, cancellationToken) is { } point && (point.Name is not null || names.Contains(point.Id + DumpSuffix))) points.Add(point);
        return [.. points.OrderByDescending(point => point.At).ThenByDescending(point => point.Id, StringComparer.Ordinal)];
    }

    /// <param name="id">As typed; empty: the newest.</param>
    /// <exception cref="OperatorException">There is none (<see cref="ExitCode.Usage"/>), or the store is away.</exception>
    public async Task<RestorePoint> FindAsync(string id, CancellationToken cancellationToken)
    {
        IReadOnlyList<RestorePoint> all = await ListAsync(cancellationToken);
        return all.FirstOrDefault(point => id.Length == 0 || point.Id == id) ?? throw new OperatorException(
            ExitCode.Usage, id.Length == 0 ? $"there is no restore point in {Where}" : $"there is no restore point '{id}' in {Where}",
            all.Count == 0 ? "take one: agentctl db backup" : "list them: agentctl db list");
    }

    /// <returns><paramref name="wanted"/>, or that with a number where it is taken.</returns>
    public async Task<string> FreeIdAsync(string wanted, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> names = await objects.ListPrivateAsync(prefix, cancellationToken);
        string id = wanted;
        for (int next = 2; names.Contains(id + MetadataSuffix) || names.Contains(id + DumpSuffix); next++) id = $"{wanted}-{next}";
        return id;
    }

    /// <summary>Room for a dump of about <paramref name="size"/> bytes, that nobody else can read.</summary>
    /// <exception cref="OperatorException">There is less, or others could read it (<see cref="ExitCode.Refused"/>); the store is away.</exception>
    public async Task PrepareAsync(long size, CancellationToken cancellationToken)
    {
        long? free = await objects.PreparePrivateAsync(prefix, cancellationToken) - Reserve;
        if (free < size)
            throw new OperatorException(
                ExitCode.Refused, $"a restore point may take {Megabytes(size)} MB, and {Where} has room for {Megabytes(Math.Max(free.Value, 0))} MB",
                "make room there, keep fewer restore points, or name a directory on another disk in database: restore_points: directory");
    }

    /// <summary>Writes a dump, which is not listed before it is whole.</summary>
    /// <param name="write">Fills the file, on a thread of its own; what it throws leaves nothing behind.</param>
    /// <returns>The point with its size and checksum, listed from now on.</returns>
    public async Task<RestorePoint> WriteAsync(RestorePoint point, Action<Stream> write, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = 0;
        await objects.PutPrivateAsync(
            prefix + point.Id + DumpSuffix, file =>
            {
                using var hashed = new HashingStream(file, hash, () => objects.FreeBytes(prefix));
                write(hashed);
                size = hashed.Length;
            }, cancellationToken);
        return await AddAsync(point with { Size = size, Sha256 = Convert.ToHexStringLower(hash.GetHashAndReset()) }, cancellationToken);
    }

    /// <summary>Lists a point whose contents are where they belong.</summary>
    public async Task<RestorePoint> AddAsync(RestorePoint point, CancellationToken cancellationToken)
    {
        byte[] metadata = JsonSerializer.SerializeToUtf8Bytes(point, RestorePointJson.Default.RestorePoint);
        await objects.PutPrivateAsync(prefix + point.Id + MetadataSuffix, file => file.Write(metadata), cancellationToken);
        return point;
    }

    /// <summary>Removes what interrupted takes left. Not while one is under way.</summary>
    public async Task RemoveLeftoversAsync(CancellationToken cancellationToken)
    {
        await objects.RemoveLeftoversAsync(prefix, cancellationToken);
        IReadOnlyList<string> names = await objects.ListPrivateAsync(prefix, cancellationToken);
        foreach (string name in names)
            if (name.EndsWith(DumpSuffix, StringComparison.Ordinal) && !names.Contains(name[..^DumpSuffix.Length] + MetadataSuffix)) await objects.RemoveAsync(prefix + name, cancellationToken);
    }

    /// <summary>Removes what interrupted restores left on this host. Not while one is under way.</summary>
    public void RemoveWork() => disk.RemoveDurable(work);

    /// <summary>Why each stays; null: it goes at the next take.</summary>
    /// <param name="deployment">One under way, whose points stay whatever the limits say; null: none.</param>
    public async Task<IReadOnlyList<(RestorePoint Point, string? Because)>> ReasonsAsync(RestorePointOptions options, string? deployment, CancellationToken cancellationToken)
    {
        long sum = 0;
        return
        [
            .. (await ListAsync(cancellationToken)).Select((point, index) =>
            {
                sum += point.Size;
                bool goes = index >= options.Keep || time.GetUtcNow() - point.At > options.MaxAge || sum > options.MaxSize;
                return (point, index == 0 ? "newest"
                    : deployment is not null && point.Deployment == deployment ? $"{deployment} is under way"
                    : goes ? null : $"{index + 1} of {options.Keep}");
            }),
        ];
    }

    /// <summary>Removes what the operator's limits do not keep.</summary>
    /// <returns>Their ids.</returns>
    public async Task<IReadOnlyList<string>> RetireAsync(RestorePointOptions options, string? deployment, CancellationToken cancellationToken)
    {
        RestorePoint[] gone = [.. (await ReasonsAsync(options, deployment, cancellationToken)).Where(kept => kept.Because is null).Select(kept => kept.Point)];
        foreach (RestorePoint point in gone)
        {
            await objects.RemoveAsync(prefix + point.Id + MetadataSuffix, cancellationToken);   // from now on it is a leftover
            await objects.RemoveAsync(prefix + point.Id + DumpSuffix, cancellationToken);
        }
        return [.. gone.Select(point => point.Id)];
    }

    /// <summary>Decompresses a dump, synchronously: its readers have threads of their own.</summary>
    /// <param name="reached">Takes the bytes of the file read so far; null: nobody wants them.</param>
    /// <exception cref="OperatorException">It is damaged (<see cref="ExitCode.Refused"/>); what was written until then is worth nothing.</exception>
    public void Read(RestorePoint point, Action<ReadOnlyMemory<byte>> write, Action<long>? reached, CancellationToken cancellationToken)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            using var file = new HashingStream(OpenAsync(point, cancellationToken).GetAwaiter().GetResult(), hash, null);
            Zstd.Decompress(
                file, chunk =>
                {
                    write(chunk);
                    reached?.Invoke(file.Length);
                }, cancellationToken);
            if (Convert.ToHexStringLower(hash.GetHashAndReset()) != point.Sha256) throw new InvalidDataException("its SHA-256 is another");
        }
        catch (InvalidDataException e)
        {
            throw Damaged(point, e.Message);
        }
    }

    /// <summary>Reads the whole file, and compares its checksum.</summary>
    /// <exception cref="OperatorException">It is damaged (<see cref="ExitCode.Refused"/>).</exception>
    public async Task CheckAsync(RestorePoint point, CancellationToken cancellationToken)
    {
        await using Stream file = await OpenAsync(point, cancellationToken);
        if (Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken)) != point.Sha256) throw Damaged(point, "its SHA-256 is another");
    }

    private OperatorException Damaged(RestorePoint point, string why) => new(
        ExitCode.Refused, $"restore point {point.Id} is damaged: {DumpPath(point)}: {why}", "look at the disk (dmesg, smartctl), and use another: agentctl db list");

    private async Task<Stream> OpenAsync(RestorePoint point, CancellationToken cancellationToken)
    {
        try
        {
            return (await objects.OpenAsync(prefix + point.Id + DumpSuffix, 0, ifNoneMatch: null, cancellationToken))!.Content;
        }
        catch (StoreObjectMissingException)
        {
            throw Damaged(point, "it is gone");
        }
    }

    private async Task<RestorePoint?> ReadAsync(string name, CancellationToken cancellationToken)
    {
        try
        {
            await using StoreObject found = (await objects.OpenAsync(prefix + name, 0, ifNoneMatch: null, cancellationToken))!;
            byte[] metadata = new byte[LargestMetadata];
            int length = await found.Content.ReadAtLeastAsync(metadata, metadata.Length, throwOnEndOfStream: false, cancellationToken);
            RestorePoint? point = JsonSerializer.Deserialize(metadata.AsSpan(0, length), RestorePointJson.Default.RestorePoint);
            return point is not null && point.Id + MetadataSuffix == name ? point : null;
        }
        catch (Exception e) when (e is IOException or JsonException or StoreObjectMissingException)
        {
            return null;
        }
    }

    private static long Megabytes(long bytes) => (bytes + 999_999) / 1_000_000;
}

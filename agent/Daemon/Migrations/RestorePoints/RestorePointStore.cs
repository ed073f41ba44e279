using System.Security.Cryptography;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>An app's restore points in a directory of their own (mode 700): ID.dump.zst, then ID.json, which makes it one.</summary>
internal sealed class RestorePointStore(IDisk disk, string directory, TimeProvider time)
{
    private const string MetadataSuffix = ".json", DumpSuffix = ".dump.zst";

    public string Directory => directory;

    /// <param name="data">The agent's.</param>
    public static RestorePointStore Of(IDisk disk, string data, AppName app, RestorePointOptions? options, TimeProvider time) =>
        new(disk, Path.Combine(options?.Directory ?? Path.Combine(data, "restore-points"), app.Value), time);

    public string DumpPath(RestorePoint point) => Path.Combine(directory, point.Id + DumpSuffix);

    /// <summary>Newest first. What is not whole is not there.</summary>
    public IReadOnlyList<RestorePoint> List() =>
    [
        .. disk.List(directory).Where(name => name.EndsWith(MetadataSuffix, StringComparison.Ordinal)).Select(Read).OfType<RestorePoint>()
            .OrderByDescending(point => point.At).ThenByDescending(point => point.Id, StringComparer.Ordinal),
    ];

    /// <param name="id">As typed; empty: the newest.</param>
    /// <exception cref="OperatorException">There is none (<see cref="ExitCode.Usage"/>).</exception>
    public RestorePoint Find(string id)
    {
        IReadOnlyList<RestorePoint> all = List();
        return all.FirstOrDefault(point => id.Length == 0 || point.Id == id) ?? throw new OperatorException(
            ExitCode.Usage, id.Length == 0 ? $"there is no restore point in {directory}" : $"there is no restore point '{id}' in {directory}",
            all.Count == 0 ? "take one: agentctl db backup" : "list them: agentctl db list");
    }

    /// <returns><paramref name="wanted"/>, or that with a number where it is taken.</returns>
    public string FreeId(string wanted)
    {
        string id = wanted;
        for (int next = 2; disk.Exists(Path.Combine(directory, id + MetadataSuffix)) || disk.Exists(Path.Combine(directory, id + DumpSuffix)); next++) id = $"{wanted}-{next}";
        return id;
    }

    /// <summary>Room for a dump of about <paramref name="size"/> bytes.</summary>
    /// <exception cref="OperatorException">There is less (<see cref="ExitCode.Refused"/>).</exception>
    public void Prepare(long size)
    {
        disk.MakeDirectories(directory, DurableOperations.Mode700);
        // A dump is everything that the app knows.
        if (Environment.IsPrivilegedProcess && disk.Status(directory)?.Owner != 0)
            throw new OperatorException(ExitCode.Refused, $"{directory} does not belong to root, and restore points hold all that the app knows", $"chown root: {directory}");
        disk.SetMode(directory, DurableOperations.Mode700);
        long free = disk.FreeBytes(directory) - Reserve;
        if (free < size)
            throw new OperatorException(
                ExitCode.Refused, $"a restore point may take {Megabytes(size)} MB, and {directory} has room for {Megabytes(Math.Max(free, 0))} MB",
                "make room there, keep fewer restore points, or name a directory on another disk in database: restore_points: directory");
    }

    /// <summary>Writes a dump: under another name until it is whole and synced.</summary>
    /// <param name="write">Fills the file; what it throws leaves nothing behind.</param>
    /// <returns>The point with its size and checksum, listed from now on.</returns>
    public RestorePoint Write(RestorePoint point, Action<Stream> write)
    {
        string path = DumpPath(point), beside = path + DurableOperations.TemporarySuffix;
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            long size = 0;
            disk.WriteFile(beside, DurableOperations.Mode600, file =>
            {
                using var hashed = new HashingStream(file, hash, () => disk.FreeBytes(directory));
                write(hashed);
                size = hashed.Length;
            });
            disk.SyncFile(beside);
            disk.Rename(beside, path);
            disk.SyncDirectory(directory);
            return Add(point with { Size = size, Sha256 = Convert.ToHexStringLower(hash.GetHashAndReset()) });
        }
        catch
        {
            disk.RemoveFile(beside);
            throw;
        }
    }

    /// <summary>Lists a point whose contents are where they belong.</summary>
    public RestorePoint Add(RestorePoint point)
    {
        disk.WriteAtomic(Path.Combine(directory, point.Id + MetadataSuffix), JsonSerializer.SerializeToUtf8Bytes(point, RestorePointJson.Default.RestorePoint), DurableOperations.Mode600);
        return point;
    }

    /// <summary>Removes what interrupted takes left. Not while one is under way.</summary>
    public void RemoveLeftovers()
    {
        disk.RemoveLeftovers(directory);
        foreach (string name in disk.List(directory))
            if (name.EndsWith(DumpSuffix, StringComparison.Ordinal) && !disk.Exists(Path.Combine(directory, name[..^DumpSuffix.Length] + MetadataSuffix)))
                disk.RemoveDurable(Path.Combine(directory, name));
    }

    /// <summary>Why each stays; null: it goes at the next take.</summary>
    /// <param name="deployment">One under way, whose points stay whatever the limits say; null: none.</param>
    public IReadOnlyList<(RestorePoint Point, string? Because)> Reasons(RestorePointOptions options, string? deployment)
    {
        long sum = 0;
        return
        [
            .. List().Select((point, index) =>
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
    public IReadOnlyList<string> Retire(RestorePointOptions options, string? deployment)
    {
        RestorePoint[] gone = [.. Reasons(options, deployment).Where(kept => kept.Because is null).Select(kept => kept.Point)];
        foreach (RestorePoint point in gone)
        {
            disk.RemoveDurable(Path.Combine(directory, point.Id + MetadataSuffix));   // from now on it is a leftover
            disk.RemoveDurable(DumpPath(point));
        }
        return [.. gone.Select(point => point.Id)];
    }

    /// <summary>Decompresses a dump.</summary>
    /// <param name="reached">Takes the bytes of the file read so far; null: nobody wants them.</param>
    /// <exception cref="OperatorException">It is damaged (<see cref="ExitCode.Refused"/>); what was written until then is worth nothing.</exception>
    public void Read(RestorePoint point, Action<ReadOnlyMemory<byte>> write, Action<long>? reached, CancellationToken cancellationToken)
    {
        try
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            using var file = new HashingStream(disk.OpenRead(DumpPath(point)), hash, null);
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
        await using Stream file = disk.OpenRead(DumpPath(point));
        if (Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken)) != point.Sha256) throw Damaged(point, "its SHA-256 is another");
    }

    private OperatorException Damaged(RestorePoint point, string why) => new(
        ExitCode.Refused, $"restore point {point.Id} is damaged: {DumpPath(point)}: {why}", "look at the disk (dmesg, smartctl), and use another: agentctl db list");

    private RestorePoint? Read(string name)
    {
        try
        {
            RestorePoint? point = JsonSerializer.Deserialize(disk.ReadAll(Path.Combine(directory, name)), RestorePointJson.Default.RestorePoint);
            if (point is null || point.Id + MetadataSuffix != name) return null;
            return point.Name is not null || disk.Status(DumpPath(point))?.Type == FileStatus.FileType.File ? point : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Bytes that a dump leaves free: the agent's own journal lies on that disk too, as a rule.</summary>
    public const long Reserve = 64 << 20;

    private static long Megabytes(long bytes) => (bytes + 999_999) / 1_000_000;
}

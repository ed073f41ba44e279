using System.Text.Json;
using System.Text.Json.Serialization;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

/// <summary>What a caller brings along.</summary>
/// <param name="Unsigned">Without signatures: the manifest is what the caller says. Whoever lets this happen has asked whether it may.</param>
/// <param name="By">Who brings it: <c>uid 1000 (ann)</c>.</param>
internal sealed record Push(AppName App, ReleaseVersion Version, bool Unsigned, string By);

/// <summary>
/// Releases that callers brought along, until they are deployed. What they bring is believed as little as a store: it is verified by the same
/// metadata and memory against rollback, and lies in <c>DATA/pushed/APP</c>. A file there says of each release whether all of it came; what no such
/// file names is swept, and so are the oldest.
/// </summary>
/// <param name="trust">Of this host, over any store.</param>
/// <param name="dataDirectory">Absolute.</param>
/// <param name="isInstalled">Whether a release was deployed here and still lies here: it is needed no more.</param>
internal sealed class PushedReleases(TrustClient trust, IDisk disk, string dataDirectory, Func<AppName, Digest, bool> isInstalled, TimeProvider time, ILogger<PushedReleases> logger)
{
    /// <summary>Releases of an app that are kept at once, with those of which only a part came.</summary>
    public const int Most = 3;

    /// <summary>For how long one is kept that was not deployed, and one that was not brought to its end.</summary>
    public static readonly TimeSpan WholeLife = TimeSpan.FromDays(7), PartLife = TimeSpan.FromDays(1);

    /// <summary>The metadata alone is small: while it is asked for, nobody else can ask what the store has.</summary>
    private static readonly TimeSpan MetadataLimit = TimeSpan.FromMinutes(1);

    private const string RecordSuffix = ".json";

    private readonly string root = Path.Combine(dataDirectory, "pushed");
    private readonly Lock gate = new();
    private readonly Dictionary<AppName, string> receiving = [];   // by whom
    private readonly Dictionary<AppName, Digest> inUse = [];       // by a deployment, until its sweep

    /// <summary>Asks a caller for what this host lacks of a release, and verifies it.</summary>
    /// <param name="store">The caller.</param>
    /// <param name="installed">Directories of installed releases of the app.</param>
    /// <param name="verified">Called when all is here, before the release can be deployed.</param>
    /// <exception cref="OperatorException">
    /// <see cref="ExitCode.Refused"/>: another push of the app is under way, no root of trust is pinned, a check failed, or there is no room;
    /// <see cref="ExitCode.Usage"/>: the caller has no such version; <see cref="ExitCode.Unreachable"/>: the caller does not answer.
    /// </exception>
    /// <exception cref="IOException">The disk does not take it.</exception>
    public async Task<PushedRelease> ReceiveAsync(
        Push push, IStoreReader store, IReadOnlyList<string> installed, Action<PushedRelease> verified, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        Begin(push);
        try
        {
            ReleaseId id = push.Unsigned
                ? await ReceiveUnsignedAsync(push, store, installed, progress, cancellationToken)
                : await ReceiveSignedAsync(push, store, installed, progress, cancellationToken);
            disk.SyncTree(DirectoryOf(push.App));
            // Somebody may have brought the same with its signatures: that is not taken back.
            if (push.Unsigned && Find(id.App, id.Digest) is { Unsigned: false } signed) push = push with { Unsigned = false, By = signed.By };
            var release = new PushedRelease(id, push.Unsigned, push.By);
            verified(release);
            Keep(id, push, whole: true);
            logger.Pushed(id.App, id.Version, push.By, id.Digest.Short, push.Unsigned ? ", unsigned" : "");
            return release;
        }
        finally
        {
            End(push.App);
        }
    }

    /// <summary>A release that was brought here whole; null: it was not, or is gone.</summary>
    public PushedRelease? Find(AppName app, Digest digest) =>
        Read(RecordPath(app, digest)) is { Whole: true } record ? Of(app, record) : null;

    /// <summary>A release of this version that was brought here whole and with its signatures; null: there is none. What is unsigned has no name that counts.</summary>
    public PushedRelease? Find(AppName app, ReleaseVersion version) => Records(app)
        .Where(record => record is { Whole: true, Unsigned: false } && record.Version.TrimStart('v') == version.Text.TrimStart('v'))
        .MaxBy(record => record.At) is { } record ? Of(app, record) : null;

    /// <summary>The release as it lies here, looked through once more. Kept until the next sweep.</summary>
    /// <returns>Null: it was not brought here.</returns>
    /// <exception cref="OperatorException">It is not whole any more (<see cref="ExitCode.Refused"/>).</exception>
    public FetchedRelease? Fetch(ReleaseId release, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (Find(release.App, release.Digest) is null) return null;
            inUse[release.App] = release.Digest;
        }
        string directory = DirectoryOf(release.App), path = ReleaseDownload.ManifestPath(directory, release.Digest);
        byte[]? stored = disk.Kind(path) == EntryKind.File ? disk.ReadAll(path) : null;
        if (stored is null || Digest.Of(stored) != release.Digest) throw Damaged();
        Manifest manifest = ReleaseDownload.Parse(release, stored);
        ObjectDirectory objects = ReleaseDownload.ObjectsOf(disk, directory);
        ManifestFile[] contents = ReleaseDownload.Contents(manifest);
        if (!Array.TrueForAll(contents, file => objects.Has(file, cancellationToken))) throw Damaged();
        return new FetchedRelease(release, manifest, path, contents.ToDictionary(FetchedRelease.ObjectKey, objects.PathOf));

        OperatorException Damaged() => new(ExitCode.Refused, $"{release}, which was pushed here, does not lie whole in {directory} any more", "push it again");
    }

    /// <summary>Removes what was deployed, is too old or too much, and what an interrupted push left. Idempotent.</summary>
    /// <exception cref="IOException">The disk does not let it.</exception>
    public void Sweep(AppName app)
    {
        lock (gate)
        {
            inUse.Remove(app);
            if (!receiving.ContainsKey(app)) Sweep(app, record => record.Whole && isInstalled(app, new Digest(record.Digest)));   // else at its end
        }
    }

    /// <summary>As <see cref="Sweep(AppName)"/>, of all apps; what the disk does not let it remove is left to the next one.</summary>
    public void SweepAll()
    {
        foreach (string name in disk.List(root))
        {
            try
            {
                Sweep(new AppName(name));
            }
            catch (Exception e) when (e is IOException or OperatorException)
            {
                logger.PushedNotSwept(root, e.Message);
            }
        }
    }

    private async Task<ReleaseId> ReceiveSignedAsync(Push push, IStoreReader store, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        if (!trust.IsPinned)
            throw new OperatorException(
                ExitCode.Refused, "no root of trust is pinned on this host, so nothing that is pushed can be verified",
                "copy the store's root.json to /etc/agentd/ and restart agentd; or, on a host for development, let named callers push --unsigned (unsigned_push in agentd.yaml)");
        using var source = new ArtifactSource(store, trust.Over(store), disk, dataDirectory, time, logger) { Downloads = root };
        ReleaseId id;
        using (var late = new CancellationTokenSource(MetadataLimit, time))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token))
        {
            try
            {
                id = await source.ResolveAsync(push.App, new Track.Exactly(push.Version), either.Token) ?? throw new OperatorException(
                    ExitCode.Usage, $"the store that you push from has no {push.App} {push.Version}", $"list what it has: agentctl store list --app {push.App}");
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new OperatorException(ExitCode.Unreachable, $"the signed metadata of {push.App} did not come within {MetadataLimit.TotalSeconds:0} s", "check the network, then push again", e);
            }
        }
        KeepPart(id, push);
        await source.FetchAsync(id, installed, progress, cancellationToken);
        return id;
    }

    // Every check but the signature.
    private async Task<ReleaseId> ReceiveUnsignedAsync(Push push, IStoreReader store, IReadOnlyList<string> installed, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        byte[] stored = await ReadManifestAsync(store, cancellationToken);
        var id = new ReleaseId(push.App, push.Version, Digest.Of(stored));
        Manifest manifest = ReleaseDownload.Parse(id, stored);
        KeepPart(id, push);
        string path = ReleaseDownload.ManifestPath(DirectoryOf(push.App), id.Digest);
        disk.WriteAtomic(path, stored);
        await new ReleaseDownload(store, disk, time, logger).RunAsync(id, manifest, path, installed, progress, cancellationToken);
        return id;
    }

    private async Task<byte[]> ReadManifestAsync(IStoreReader store, CancellationToken cancellationToken)
    {
        try
        {
            await using StoreObject found = (await store.OpenAsync(UnsignedBuild.ManifestObject, 0, ifNoneMatch: null, cancellationToken))!;
            return await BoundedReader.ReadAsync(found.Content, ManifestFormat.MaximumSize, UnsignedBuild.ManifestObject, time, cancellationToken);
        }
        catch (StoreObjectMissingException e)
        {
            throw new OperatorException(ExitCode.Usage, "the unsigned push has no manifest", "push a directory or an archive", e);
        }
    }

    private void Begin(Push push)
    {
        lock (gate)
        {
            if (receiving.TryGetValue(push.App, out string? first))
                throw new OperatorException(ExitCode.Refused, $"{push.App} is being pushed to this host already, by {first}", "wait for that push to end, then push again: what it brings is not sent twice");
            Sweep(push.App, _ => false);
            disk.MakeDirectories(DirectoryOf(push.App), DurableOperations.Mode700);
            receiving.Add(push.App, push.By);
        }
    }

    private void End(AppName app)
    {
        lock (gate)
        {
            receiving.Remove(app);
            try
            {
                Sweep(app, _ => false);
            }
            catch (IOException e)
            {
                logger.PushedNotSwept(DirectoryOf(app), e.Message);
            }
        }
    }

    private void Sweep(AppName app, Func<PushedRecord, bool> isDone)
    {
        string directory = DirectoryOf(app);
        if (!disk.Exists(directory)) return;
        DateTimeOffset now = time.GetUtcNow();
        PushedRecord[] kept =
        [
            .. Records(app).OrderByDescending(record => IsInUse(app, record)).ThenByDescending(record => record.At).Take(Most)
                .Where(record => IsInUse(app, record) || (now - record.At < (record.Whole ? WholeLife : PartLife) && !isDone(record))),
        ];
        if (kept.Length == 0)
        {
            disk.RemoveDurable(directory);
            return;
        }
        var names = new HashSet<string>(StringComparer.Ordinal) { "objects" };
        var objects = new HashSet<string>(StringComparer.Ordinal);
        foreach (PushedRecord record in kept)
        {
            string manifest = ReleaseDownload.ManifestPath(directory, new Digest(record.Digest));
            names.Add(record.Digest + RecordSuffix);
            names.Add(Path.GetFileName(manifest));
            if (!record.Whole) names.Add(Path.GetFileName(ReleaseDownload.PartsOf(directory)));
            objects.UnionWith(ContentsOf(manifest).Select(FetchedRelease.ObjectKey));
        }
        foreach (string name in disk.List(directory).Where(name => !names.Contains(name))) disk.RemoveTree(Path.Combine(directory, name));
        string contents = Path.Combine(directory, "objects");
        foreach (string name in disk.List(contents).Where(name => !objects.Contains(name))) disk.RemoveTree(Path.Combine(contents, name));
        disk.SyncDirectory(directory);
    }

    private ManifestFile[] ContentsOf(string manifest)
    {
        try
        {
            return disk.Kind(manifest) == EntryKind.File ? ReleaseDownload.Contents(ManifestFormat.Parse(disk.ReadAll(manifest))) : [];
        }
        catch (OperatorException)
        {
            return [];   // damaged: of no use
        }
    }

    private bool IsInUse(AppName app, PushedRecord record) => inUse.TryGetValue(app, out Digest? used) && used.Hex == record.Digest;

    private void KeepPart(ReleaseId id, Push push)
    {
        if (Find(id.App, id.Digest) is null) Keep(id, push, whole: false);
    }

    private void Keep(ReleaseId id, Push push, bool whole) => disk.WriteAtomic(
        RecordPath(id.App, id.Digest), JsonSerializer.SerializeToUtf8Bytes(new PushedRecord(id.Version.Text, id.Digest.Hex, push.Unsigned, push.By, time.GetUtcNow(), whole), PushedJson.Default.PushedRecord), DurableOperations.Mode600);

    private IEnumerable<PushedRecord> Records(AppName app) => disk.List(DirectoryOf(app)).Where(name => name.EndsWith(RecordSuffix, StringComparison.Ordinal))
        .Select(name => Read(Path.Combine(DirectoryOf(app), name))).OfType<PushedRecord>();

    /// <returns>Null: there is none, or it is damaged and so of no use.</returns>
    private PushedRecord? Read(string path)
    {
        if (disk.Kind(path) != EntryKind.File) return null;
        try
        {
            PushedRecord? record = JsonSerializer.Deserialize(disk.ReadAll(path), PushedJson.Default.PushedRecord);
            return record is not null && Path.GetFileName(path) == new Digest(record.Digest).Hex + RecordSuffix && ReleaseVersion.TryParse(record.Version, out _) ? record : null;
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            return null;
        }
    }

    private static PushedRelease Of(AppName app, PushedRecord record) =>
        new(new ReleaseId(app, new ReleaseVersion(record.Version), new Digest(record.Digest)), record.Unsigned, record.By);

    private string RecordPath(AppName app, Digest digest) => Path.Combine(DirectoryOf(app), digest.Hex + RecordSuffix);

    private string DirectoryOf(AppName app) => Path.Combine(root, app.Value);
}

/// <param name="Digest">Of the manifest, hexadecimal: also the file's name.</param>
/// <param name="Whole">All of it lies here and was verified; else a part, for the next push to go on with.</param>
internal sealed record PushedRecord(string Version, string Digest, bool Unsigned, string By, DateTimeOffset At, bool Whole);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(PushedRecord))]
internal sealed partial class PushedJson : JsonSerializerContext;

using System.Buffers;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Artifacts.Packs;
using Agent.Artifacts.Stores;
using Agent.Daemon.Deployments;
using Microsoft.Extensions.Logging;

namespace Agent.Daemon.Fetching;

/// <summary>
/// Brings frames from packs, frame by frame, and lays out their verified files: a cut or a crash costs one frame at most, and of a large one nothing,
/// since it is kept in a part file. Memory does not depend on sizes.
/// </summary>
internal sealed class PackDownload(IStoreReader store, IDisk disk, ObjectDirectory objects, string parts, TimeProvider time, ILogger logger)
{
    /// <summary>A compressed frame above this goes through a part file, for the next run to go on with.</summary>
    public const int InMemory = 1 << 20;

    private const int AppendSize = 256 << 10, MaximumReconnects = 20;
    private static readonly TimeSpan ReconnectDelay = TimeSpan.FromMilliseconds(500);

    private int reconnects;
    private TransferProgress transferred;

    /// <param name="files">What is wanted, each with a place; files of the same content and another mode may come.</param>
    /// <exception cref="OperatorException"><see cref="ExitCode.Unreachable"/>: the store is gone, or cuts again and again; <see cref="ExitCode.Refused"/>: its bytes are not those that the signed manifest names.</exception>
    public async Task RunAsync(IReadOnlyList<PackReference> packs, IEnumerable<ManifestFile> files, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        List<Frame> frames = [.. files.GroupBy(file => (file.Place!.Pack, file.Place.Offset), (_, inFrame) => new Frame([.. inFrame]))];
        transferred = new TransferProgress(0, frames.Sum(frame => frame.Place.Length));
        progress.Report(transferred);
        disk.MakeDirectories(parts, DurableOperations.Mode700);
        RemoveForeignParts(packs, frames);
        foreach (IGrouping<int, Frame> pack in frames.GroupBy(frame => frame.Place.Pack).OrderBy(pack => pack.Key))
        {
            Digest digest = packs[pack.Key].Sha256;
            Frame[] inOrder = [.. pack.OrderBy(frame => frame.Place.Offset)];
            await using var reader = new ObjectReader(store, StorePath.Blob(digest));
            for (int i = 0; i < inOrder.Length; i++)
            {
                await BringAsync(reader, digest, inOrder[i], RangeEnd(inOrder, i), progress, cancellationToken);
                transferred = transferred with { Done = transferred.Done + inOrder[i].Place.Length };
                progress.Report(transferred);
            }
        }
    }

    private async Task BringAsync(ObjectReader reader, Digest pack, Frame frame, long until, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        string part = PartOf(pack, frame);
        bool resumed = frame.IsLarge && disk.Exists(part);
        while (true)
        {
            byte[]? memory = frame.IsLarge ? null : ArrayPool<byte>.Shared.Rent((int)frame.Place.Length);
            try
            {
                await ReceiveAsync(reader, frame, until, memory, part, progress, cancellationToken);
                using Stream compressed = memory is null ? disk.OpenRead(part) : new MemoryStream(memory, 0, (int)frame.Place.Length, writable: false);
                FrameReader.Extract(disk, compressed, frame.Files, objects.PathOf, cancellationToken);
                disk.RemoveFile(part);
                return;
            }
            catch (InvalidDataException e)
            {
                disk.RemoveFile(part);
                if (!resumed)
                    throw new OperatorException(ExitCode.Refused, $"{StorePath.Blob(pack)} from {store.Description} is not what the signed manifest names: {e.Message}", "publish the release again; if nobody changed the store by accident, find out who did", e);
                // The part was from an earlier run, and may be torn: once more, all from the store.
                resumed = false;
                logger.PartDamaged(part);
            }
            finally
            {
                if (memory is not null) ArrayPool<byte>.Shared.Return(memory);
            }
        }
    }

    private async Task ReceiveAsync(ObjectReader reader, Frame frame, long until, byte[]? memory, string part, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        FramePlace place = frame.Place;
        while (true)
        {
            try
            {
                if (memory is null) await AppendAsync(reader, place, until, part, progress, cancellationToken);
                else
                {
                    await reader.SeekAsync(place.Offset, until, cancellationToken);
                    for (int have = 0; have < place.Length;)
                        have += await reader.ReadAsync(memory.AsMemory(have, (int)place.Length - have), cancellationToken);
                }
                return;
            }
            // Worth another request only where this one brought something; opening has its own retries.
            catch (OperatorException e) when (e.Code == ExitCode.Unreachable && reader.Received > 0 && reconnects < MaximumReconnects)
            {
                reconnects++;
                await reader.CloseAsync();
                logger.TransferCut(store.Description, e.Message);
                await Task.Delay(ReconnectDelay, time, cancellationToken);
            }
        }
    }

    private async Task AppendAsync(ObjectReader reader, FramePlace place, long until, string part, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        long have = LengthOf(part);
        if (have > place.Length)
        {
            disk.RemoveFile(part);
            have = 0;
        }
        if (have == place.Length) return;
        await reader.SeekAsync(place.Offset + have, until, cancellationToken);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(AppendSize);
        int filled = 0;
        try
        {
            while (have < place.Length)
            {
                int read = await reader.ReadAsync(buffer.AsMemory(filled, (int)Math.Min(AppendSize - filled, place.Length - have)), cancellationToken);
                filled += read;
                have += read;
                if (filled < AppendSize) continue;
                disk.Append(part, buffer.AsSpan(0, filled));
                filled = 0;
                progress.Report(transferred with { Done = transferred.Done + have });
            }
        }
        finally
        {
            // Also what came before a cut.
            if (filled > 0) disk.Append(part, buffer.AsSpan(0, filled));
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Frames that lie close together come with one request.
    private static long RangeEnd(Frame[] inOrder, int from)
    {
        long end = inOrder[from].End;
        for (int i = from + 1; i < inOrder.Length && inOrder[i].Place.Offset - end <= ObjectReader.CloseBy; i++) end = inOrder[i].End;
        return end;
    }

    // Parts of another release's download are of no use to this one.
    private void RemoveForeignParts(IReadOnlyList<PackReference> packs, List<Frame> frames)
    {
        HashSet<string> own = [.. frames.Where(frame => frame.IsLarge).Select(frame => Path.GetFileName(PartOf(packs[frame.Place.Pack].Sha256, frame)))];
        foreach (string name in disk.List(parts).Where(name => !own.Contains(name))) disk.RemoveTree(Path.Combine(parts, name));
    }

    private long LengthOf(string part)
    {
        if (disk.Kind(part) != EntryKind.File) return 0;
        using Stream stream = disk.OpenRead(part);
        return stream.Length;
    }

    private string PartOf(Digest pack, Frame frame) => Path.Combine(parts, $"{pack.Hex}-{frame.Place.Offset}.part");

    private sealed record Frame(IReadOnlyList<ManifestFile> Files)
    {
        public FramePlace Place => Files[0].Place!;

        public long End => Place.Offset + Place.Length;

        public bool IsLarge => Place.Length > InMemory;
    }
}

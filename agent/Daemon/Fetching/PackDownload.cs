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
/// Brings frames from packs and lays out their verified files, in order, while the next frames come and are checked. A cut costs one frame at
/// most, a crash those that are not laid out yet, and of a large one nothing, since it is kept in a part file. Memory does not depend on sizes.
/// </summary>
internal sealed class PackDownload(IStoreReader store, IDisk disk, ObjectDirectory objects, string parts, TimeProvider time, ILogger logger)
{
    /// <summary>A frame that is no larger is checked in memory, compressed and decompressed, before anything is written.</summary>
    private const int MostReceived = 1 << 20, MostDecompressed = (4 << 20) - 1;

    /// <summary>Frames that are checked while the next one comes; each takes both sizes, and in Brotli as much as the second again.</summary>
    private const int Ahead = 3;

    private const int AppendSize = 256 << 10, MaximumReconnects = 20;
    private static readonly TimeSpan ReconnectDelay = TimeSpan.FromMilliseconds(500);

    // Not the shared one, which would keep afterwards what a download needed.
    private readonly ArrayPool<byte> pool = ArrayPool<byte>.Create(MostDecompressed + 1, 2 * Ahead);
    private readonly Queue<(Frame Frame, Digest Pack, byte[] Received, byte[] Content, Task Verified)> ahead = new();
    private int reconnects;
    private TransferProgress transferred;

    /// <summary>Whether a frame goes through a part file, for the next run to go on with, and not through memory.</summary>
    public static bool IsLarge(FramePlace place) => place.Length > MostReceived || place.FrameSize > MostDecompressed;

    /// <param name="files">What is wanted, each with a place; files of the same content and another mode may come.</param>
    /// <exception cref="OperatorException"><see cref="ExitCode.Unreachable"/>: the store is gone, or cuts again and again; <see cref="ExitCode.Refused"/>: its bytes are not those that the signed manifest names.</exception>
    public async Task RunAsync(IReadOnlyList<PackReference> packs, IEnumerable<ManifestFile> files, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        List<Frame> frames = [.. files.GroupBy(file => (file.Place!.Pack, file.Place.Offset), (_, inFrame) => new Frame([.. inFrame]))];
        transferred = new TransferProgress(0, frames.Sum(frame => frame.Place.Length));
        progress.Report(transferred);
        disk.MakeDirectories(parts, DurableOperations.Mode700);
        RemoveForeignParts(packs, frames);
        try
        {
            foreach (IGrouping<int, Frame> pack in frames.GroupBy(frame => frame.Place.Pack).OrderBy(pack => pack.Key))
            {
                Digest digest = packs[pack.Key].Sha256;
                Frame[] inOrder = [.. pack.OrderBy(frame => frame.Place.Offset)];
                await using var reader = new ObjectReader(store, StorePath.Blob(digest));
                for (int i = 0; i < inOrder.Length; i++)
                {
                    await (IsLarge(inOrder[i].Place) ? BringLargeAsync(reader, digest, inOrder[i], RangeEnd(inOrder, i), progress, cancellationToken)
                        : BringAsync(reader, digest, inOrder[i], RangeEnd(inOrder, i), cancellationToken));
                    transferred = transferred with { Done = transferred.Done + inOrder[i].Place.Length };
                    progress.Report(transferred);
                }
            }
        }
        finally
        {
            // Also what came before a cut.
            await LayOutAsync(leave: 0);
        }
    }

    // What takes time is to decompress and to check; that needs no disk, and is done beside the rest.
    private async Task BringAsync(ObjectReader reader, Digest pack, Frame frame, long until, CancellationToken cancellationToken)
    {
        await LayOutAsync(leave: Ahead - 1);
        byte[] received = pool.Rent((int)frame.Place.Length), content = pool.Rent((int)frame.Place.FrameSize + 1);
        await ReceiveAsync(reader, async () =>
        {
            await reader.SeekAsync(frame.Place.Offset, until, cancellationToken);
            for (int have = 0; have < frame.Place.Length;)
                have += await reader.ReadAsync(received.AsMemory(have, (int)frame.Place.Length - have), cancellationToken);
        }, cancellationToken);
        Task verified = Task.Run(() => FrameReader.Verify(received.AsSpan(0, (int)frame.Place.Length), content, frame.Files), CancellationToken.None);
        ahead.Enqueue((frame, pack, received, content, verified));
    }

    // In order, until so many are left.
    private async Task LayOutAsync(int leave)
    {
        while (ahead.Count > leave)
        {
            (Frame frame, Digest pack, byte[] received, byte[] content, Task verified) = ahead.Dequeue();
            try
            {
                await verified;
                FrameReader.Write(disk, content, frame.Files, objects.PathOf);
            }
            catch (Exception e)
            {
                ahead.Clear();
                if (e is InvalidDataException invalid) throw Refused(pack, invalid);
                throw;
            }
            pool.Return(received);
            pool.Return(content);
        }
    }

    private async Task BringLargeAsync(ObjectReader reader, Digest pack, Frame frame, long until, IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        await LayOutAsync(leave: 0);
        string part = PartOf(pack, frame);
        bool resumed = disk.Exists(part);
        while (true)
        {
            try
            {
                await ReceiveAsync(reader, () => AppendAsync(reader, frame.Place, until, part, progress, cancellationToken), cancellationToken);
                using Stream compressed = disk.OpenRead(part);
                FrameReader.Extract(disk, compressed, frame.Files, objects.PathOf, cancellationToken);
                disk.RemoveFile(part);
                return;
            }
            catch (InvalidDataException e)
            {
                disk.RemoveFile(part);
                if (!resumed) throw Refused(pack, e);
                // The part was from an earlier run, and may be torn: once more, all from the store.
                resumed = false;
                logger.PartDamaged(part);
            }
        }
    }

    private OperatorException Refused(Digest pack, InvalidDataException e) =>
        new(ExitCode.Refused, $"{StorePath.Blob(pack)} from {store.Description} is not what the signed manifest names: {e.Message}", "publish the release again; if nobody changed the store by accident, find out who did", e);

    private async Task ReceiveAsync(ObjectReader reader, Func<Task> receive, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await receive();
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
        HashSet<string> own = [.. frames.Where(frame => IsLarge(frame.Place)).Select(frame => Path.GetFileName(PartOf(packs[frame.Place.Pack].Sha256, frame)))];
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
    }
}

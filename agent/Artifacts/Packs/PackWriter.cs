using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;

namespace Agent.Artifacts.Packs;

/// <summary>A pack that was written.</summary>
/// <param name="Places">Of every content in it; <see cref="FramePlace.Pack"/> is 0.</param>
internal sealed record WrittenPack(PackReference Reference, IReadOnlyDictionary<Digest, FramePlace> Places);

/// <summary>
/// Writes a pack: Brotli frames one after the other, nothing else. A file of 16 KiB or more is a frame of its own; smaller ones share
/// frames of about 256 KiB, in order of path, so that what changes together lies together. The same files give the same bytes.
/// </summary>
internal sealed class PackWriter(IDisk disk, string scratch)
{
    private const int OwnFrame = 16 << 10, SharedFrame = 256 << 10;

    /// <summary>Compressed frames below this wait for their turn in memory, larger ones in a scratch file.</summary>
    private const int InMemory = 4 << 20;

    /// <summary>Writes the pack of <paramref name="files"/> to <paramref name="path"/>; identical contents once, empty ones not at all.</summary>
    /// <param name="progress">Uncompressed bytes done.</param>
    /// <returns>Null, and no file, when there is nothing to pack.</returns>
    /// <exception cref="OperatorException">A file changed since it was hashed (<see cref="ExitCode.Refused"/>).</exception>
    public WrittenPack? Write(string path, IEnumerable<TreeFile> files, IProgress<long> progress, CancellationToken cancellationToken)
    {
        List<List<TreeFile>> frames = Plan(files);
        if (frames.Count == 0) return null;
        var places = new Dictionary<Digest, FramePlace>();
        long offset = 0, done = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var ahead = new Queue<(List<TreeFile> Frame, Task<Compressed> Work)>();
        int next = 0;
        try
        {
            disk.WriteFile(path, DurableOperations.Mode644, pack =>
            {
                while (true)
                {
                    for (; next < frames.Count && ahead.Count < Environment.ProcessorCount * 2; next++)
                    {
                        (int number, List<TreeFile> frame) = (next, frames[next]);
                        ahead.Enqueue((frame, Task.Run(() => Compress(frame, Path.Combine(scratch, $"frame-{number}"), stop.Token), stop.Token)));
                    }
                    if (!ahead.TryPeek(out var first)) break;
                    Compressed compressed = first.Work.GetAwaiter().GetResult();
                    ahead.Dequeue();
                    using (Stream bytes = compressed.Open(disk)) bytes.CopyTo(pack);
                    if (compressed.Spool is { } spool) disk.RemoveFile(spool);

                    long start = 0, size = first.Frame.Sum(file => file.Size);
                    foreach (TreeFile file in first.Frame)
                    {
                        places.Add(file.Sha256, new FramePlace(0, offset, compressed.Length, size, start));
                        start += file.Size;
                    }
                    offset += compressed.Length;
                    progress.Report(done += size);
                }
            });
        }
        catch
        {
            stop.Cancel();
            Task.WhenAll(ahead.Select(item => item.Work)).ContinueWith(static _ => { }, TaskScheduler.Default).GetAwaiter().GetResult();
            throw;
        }
        using Stream written = disk.OpenRead(path);
        return new WrittenPack(new PackReference(ReleaseTree.Hash(written, cancellationToken), offset), places);
    }

    private static List<List<TreeFile>> Plan(IEnumerable<TreeFile> files)
    {
        var frames = new List<List<TreeFile>>();
        List<TreeFile>? shared = null;
        long size = 0;
        foreach (TreeFile file in files.Where(file => file.Size > 0).DistinctBy(file => file.Sha256).OrderBy(file => Path.GetDirectoryName(file.Path), StringComparer.Ordinal).ThenBy(file => file.Path, StringComparer.Ordinal))
        {
            if (file.Size >= OwnFrame)
            {
                frames.Add([file]);
                continue;
            }
            if (shared is null || size + file.Size > SharedFrame)
            {
                frames.Add(shared = []);
                size = 0;
            }
            shared.Add(file);
            size += file.Size;
        }
        return frames;
    }

    private Compressed Compress(List<TreeFile> frame, string spool, CancellationToken cancellationToken)
    {
        long size = frame.Sum(file => file.Size);
        if (size < InMemory)
        {
            using var memory = new MemoryStream();
            CompressTo(memory);
            return new Compressed(memory.Length, memory.ToArray(), null);
        }
        long length = 0;
        disk.WriteFile(spool, DurableOperations.Mode600, output =>
        {
            CompressTo(output);
            length = output.Position;
        });
        return new Compressed(length, null, spool);

        void CompressTo(Stream output)
        {
            using var content = new CheckedContents(frame);
            if (Brotli.Compress(content, output, Brotli.QualityFor(size), cancellationToken) != size) throw CheckedContents.Changed(frame[0]);
        }
    }

    private sealed record Compressed(long Length, byte[]? Bytes, string? Spool)
    {
        public Stream Open(IDisk disk) => Bytes is { } bytes ? new MemoryStream(bytes, writable: false) : disk.OpenRead(Spool!);
    }
}

using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.State;

/// <summary>
/// The append-only journal: one record a line, <c>CRC NUMBER JSON</c>, where CRC is the CRC-32C of the rest of the line
/// in 8 hexadecimal digits and NUMBER counts from 1. A record is durable when <see cref="Append"/> returns.
/// </summary>
/// <remarks>
/// Each append is synced before the next, so only the last record can be torn: it is cut at start. A bad record anywhere else, or one that is
/// whole but wrong, is damage that no crash explains; then nothing is guessed. Not thread-safe.
/// </remarks>
internal sealed class Journal
{
    private readonly IDisk disk;
    private readonly string path;
    private long length;
    private long number;
    private bool damaged;
    private bool unsynced;

    private Journal(IDisk disk, string path)
    {
        this.disk = disk;
        this.path = path;
    }

    /// <summary>Reads a journal, cutting a torn tail; an empty one where there is none.</summary>
    /// <param name="cutBytes">Bytes of the torn tail; 0: it was whole.</param>
    /// <exception cref="OperatorException">A record before the tail is bad (<see cref="ExitCode.NeedsOperator"/>); its place is told.</exception>
    public static Journal Open(IDisk disk, string path, out IReadOnlyList<JournalRecord> records, out long cutBytes)
    {
        var journal = new Journal(disk, path);
        disk.RemoveFile(path + DurableOperations.TemporarySuffix);   // of a compaction that was cut
        byte[] content = disk.Exists(path) ? disk.ReadAll(path) : [];
        var read = new List<JournalRecord>();
        (long Offset, int Line)? bad = null;
        int line = 0;
        for (int start = 0, next; start < content.Length; start = next)
        {
            line++;
            int end = Array.IndexOf(content, (byte)'\n', start);
            next = end < 0 ? content.Length : end + 1;
            if (end < 0 || !IsIntact(content.AsSpan(start, end - start), out long found, out ReadOnlySpan<byte> json))
            {
                bad ??= (start, line);
                continue;
            }
            if (bad is not null || found != journal.number + 1 || Parse(json) is not { } record) throw Damaged(path, bad ?? (start, line));
            read.Add(record);
            journal.number++;
            journal.length = next;
        }
        // What a crash leaves of one append ends early, or has holes of zeros. A whole line without them was whole once.
        if (bad is { } last && content[^1] == '\n' && content.AsSpan((int)last.Offset).IndexOf("\0\0"u8) < 0) throw Damaged(path, last);
        cutBytes = content.Length - journal.length;
        if (cutBytes > 0)
        {
            disk.Truncate(path, journal.length);
            disk.SyncFile(path);
        }
        records = read;
        return journal;
    }

    /// <summary>Puts these records in place of all: written beside, synced and renamed, so that a power cut leaves the one journal or the other.</summary>
    /// <exception cref="IOException">The disk does not take it. The journal is as it was.</exception>
    public void Replace(IReadOnlyList<JournalRecord> records)
    {
        using var content = new MemoryStream();
        foreach ((int index, JournalRecord record) in records.Index()) content.Write(Line(index + 1, record));
        byte[] bytes = content.ToArray();
        try
        {
            disk.WriteAtomic(path, bytes, DurableOperations.Mode600);
            unsynced = false;
        }
        catch (IOException) when (Holds(bytes))
        {
            unsynced = true;
        }
        (length, number, damaged) = (bytes.Length, records.Count, false);
    }

    /// <exception cref="IOException">The disk does not take it. The record is not in the journal, and what lies half-written is cut before the next one.</exception>
    public void Append(JournalRecord record)
    {
        byte[] line = Line(number + 1, record);
        if (damaged)
        {
            disk.Truncate(path, length);
            disk.SyncFile(path);
        }
        if (unsynced)
        {
            disk.SyncDirectory(Path.GetDirectoryName(path)!);   // else a power cut could bring the journal before back
            unsynced = false;
        }
        damaged = true;
        disk.AppendDurable(path, line);
        damaged = false;
        length += line.Length;
        number++;
    }

    private static byte[] Line(long number, JournalRecord record)
    {
        byte[] body = Encoding.UTF8.GetBytes($"{number} {JsonSerializer.Serialize(record, JournalJson.Default.JournalRecord)}");
        return [.. Checksum(body), (byte)' ', .. body, (byte)'\n'];
    }

    // Where the rename went through and only the sync of the directory did not, the new journal is what the next start reads.
    private bool Holds(byte[] content)
    {
        try
        {
            return disk.ReadAll(path).AsSpan().SequenceEqual(content);
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static JournalRecord? Parse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, JournalJson.Default.JournalRecord);
        }
        catch (JsonException)
        {
            return null;   // of a newer agent, perhaps
        }
    }

    private static bool IsIntact(ReadOnlySpan<byte> line, out long number, out ReadOnlySpan<byte> json)
    {
        number = 0;
        json = default;
        if (line.Length < 12 || line[8] != ' ') return false;
        ReadOnlySpan<byte> body = line[9..];
        int space = body.IndexOf((byte)' ');
        if (space <= 0 || !line[..8].SequenceEqual(Checksum(body)) || !long.TryParse(body[..space], NumberStyles.None, CultureInfo.InvariantCulture, out number)) return false;
        json = body[(space + 1)..];
        return true;
    }

    private static byte[] Checksum(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes) crc = BitOperations.Crc32C(crc, b);
        return Encoding.ASCII.GetBytes((~crc).ToString("x8"));
    }

    private static OperatorException Damaged(string path, (long Offset, int Line) place) => new(
        ExitCode.NeedsOperator,
        $"the journal {path} is damaged: record {place.Line} at byte {place.Offset} cannot be read, and this is not a torn end",
        $"restore {path} from a backup, or keep what comes before the damage: copy the file away, then run 'truncate --size={place.Offset} {path}' and start agentd again");
}

using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Systemd;

/// <summary>The log lines of some units, and what systemd says of them. Belongs to the thread that made it.</summary>
internal sealed class JournalReader : IDisposable
{
    /// <summary>Characters of a message that are kept.</summary>
    public const int MessageLimit = 1000;

    /// <summary>Lines that can be asked for at once.</summary>
    public const int LineLimit = 10_000;

    // A character has 4 bytes at most, and a field begins with its name.
    private const int BytesRead = (4 * MessageLimit) + 64;

    private readonly HashSet<string> units;
    private nint journal;

    /// <exception cref="OperatorException">The journal cannot be read.</exception>
    public JournalReader(IReadOnlyList<UnitName> units)
    {
        this.units = [.. units.Select(u => u.Value)];
        try
        {
            Check(SdJournal.Open(out journal, SdJournal.LocalOnly));
            Check(SdJournal.SetDataThreshold(journal, BytesRead));
            foreach (string unit in this.units) Match(unit);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The last lines, oldest first.</summary>
    public IReadOnlyList<LogEntry> ReadLast(int lines, CancellationToken cancellationToken)
    {
        var entries = new List<LogEntry>();
        if (lines <= 0) return entries;
        for (bool more = SeekBack(Math.Min(lines, LineLimit)); more && entries.Count < lines; more = Check(SdJournal.Next(journal)) > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Current() is { } entry) entries.Add(entry);
        }
        return entries;
    }

    /// <summary>Writes the last lines and then each new one, until cancelled. Blocks the thread.</summary>
    public void Follow(int lines, ChannelWriter<LogEntry> writer, CancellationToken cancellationToken)
    {
        using var wake = new WakeUp();
        using CancellationTokenRegistration registration = cancellationToken.Register(wake.Signal);
        // Before seeking, so that what is added from here on is told.
        int descriptor = Check(SdJournal.GetDescriptor(journal));
        bool more = lines > 0 && SeekBack(Math.Min(lines, LineLimit));
        if (lines <= 0 && SeekBack(1)) more = Check(SdJournal.Next(journal)) > 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            for (; more && !cancellationToken.IsCancellationRequested; more = Check(SdJournal.Next(journal)) > 0)
                if (Current() is { } entry) Write(writer, entry, cancellationToken);
            Wait(descriptor, wake);
            more = Check(SdJournal.Next(journal)) > 0;
        }
        cancellationToken.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        if (journal != 0) SdJournal.Close(journal);
        journal = 0;
    }

    /// <summary>What may be shown: at most <see cref="MessageLimit"/> characters, on one line, nothing that steers a terminal.</summary>
    public static string Clean(ReadOnlySpan<byte> message)
    {
        var clean = new StringBuilder(Math.Min(message.Length, MessageLimit));
        foreach (Rune rune in Encoding.UTF8.GetString(message[..Math.Min(message.Length, BytesRead)]).EnumerateRunes())
        {
            Rune shown = rune.Value is '\t' or '\n' ? new Rune(' ') : rune;
            if (Rune.IsControl(shown)) continue;
            if (clean.Length + shown.Utf16SequenceLength > MessageLimit) break;
            clean.Append(shown);
        }
        return clean.ToString();
    }

    // As journalctl -u does: its own lines, systemd's about it, its core dumps, and what root's daemons say of it.
    private void Match(string unit)
    {
        string[][] alternatives =
        [
            [$"_SYSTEMD_UNIT={unit}"],
            ["_PID=1", $"UNIT={unit}"],
            ["MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1", "_UID=0", $"COREDUMP_UNIT={unit}"],
            ["_UID=0", $"OBJECT_SYSTEMD_UNIT={unit}"],
        ];
        foreach (string[] conditions in alternatives)
        {
            Check(SdJournal.AddDisjunction(journal));
            foreach (string condition in conditions) Check(SdJournal.AddMatch(journal, condition, 0));
        }
    }

    // Stands on the oldest of the last lines; where there is none, before whatever comes.
    private bool SeekBack(int lines)
    {
        Check(SdJournal.SeekTail(journal));
        if (Check(SdJournal.Back(journal, (ulong)lines)) > 0) return true;
        Check(SdJournal.SeekHead(journal));
        return false;
    }

    private static void Write(ChannelWriter<LogEntry> writer, LogEntry entry, CancellationToken cancellationToken)
    {
        // This thread is there to wait.
        while (!writer.TryWrite(entry))
            if (!writer.WaitToWriteAsync(cancellationToken).AsTask().GetAwaiter().GetResult()) return;
    }

    private void Wait(int descriptor, WakeUp wake)
    {
        Check(SdJournal.GetTimeout(journal, out ulong microseconds));
        Span<LibC.PollDescriptor> descriptors =
        [
            new() { Descriptor = wake.Descriptor, Events = LibC.PollIn },
            new() { Descriptor = descriptor, Events = (short)Check(SdJournal.GetEvents(journal)) },
        ];
        LibC.Poll(descriptors, microseconds == ulong.MaxValue ? -1 : 1000);
        Check(SdJournal.Process(journal));
    }

    /// <summary>The entry it stands on; null where it is damaged or has no message.</summary>
    private LogEntry? Current()
    {
        if (SdJournal.GetRealtime(journal, out ulong microseconds) < 0 || SdJournal.GetCursor(journal, out nint text) < 0) return null;
        string cursor = Marshal.PtrToStringUTF8(text) ?? "";
        LibC.Free(text);
        if (!TryGet("MESSAGE", out ReadOnlySpan<byte> message)) return null;
        string clean = Clean(message);
        return new LogEntry(DateTimeOffset.UnixEpoch.AddMicroseconds(microseconds), Unit(), Number("PRIORITY", 6), Number("_PID", 0), clean, cursor);
    }

    private string Unit()
    {
        foreach (string field in (ReadOnlySpan<string>)["_SYSTEMD_UNIT", "UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"])
            if (TryGet(field, out ReadOnlySpan<byte> value) && Encoding.UTF8.GetString(value) is var unit && units.Contains(unit)) return unit;
        return "";
    }

    private int Number(string field, int otherwise) =>
        TryGet(field, out ReadOnlySpan<byte> value) && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number : otherwise;

    private unsafe bool TryGet(string field, out ReadOnlySpan<byte> value)
    {
        value = default;
        // A field that is missing, or cannot be unpacked, is no reason to lose the line or the ones after it.
        if (SdJournal.GetData(journal, field, out nint data, out nuint size) < 0) return false;
        var whole = new ReadOnlySpan<byte>((void*)data, (int)nuint.Min(size, BytesRead));
        if (whole.Length <= field.Length) return false;
        value = whole[(field.Length + 1)..];
        return true;
    }

    private static int Check(int result) => result >= 0
        ? result
        : throw new OperatorException(ExitCode.Unreachable, $"the system's log cannot be read: {Marshal.GetPInvokeErrorMessage(-result)}",
            "check 'systemctl status systemd-journald', and that agentd runs as root");
}

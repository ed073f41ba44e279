using System.Runtime.InteropServices;

namespace Agent.Daemon.Systemd;

/// <summary>The part of libsystemd's sd-journal that is used here. Functions return a negative errno when they fail.</summary>
/// <remarks>Source: sd-journal(3): one thread for the whole life of each object.</remarks>
internal static partial class SdJournal
{
    private const string Library = "libsystemd.so.0";

    /// <summary>SD_JOURNAL_LOCAL_ONLY: this machine's. Also the files of users, where services of ordinary users are logged.</summary>
    public const int LocalOnly = 1;

    [LibraryImport(Library, EntryPoint = "sd_journal_open")]
    public static partial int Open(out nint journal, int flags);

    [LibraryImport(Library, EntryPoint = "sd_journal_close")]
    public static partial void Close(nint journal);

    [LibraryImport(Library, EntryPoint = "sd_journal_set_data_threshold")]
    public static partial int SetDataThreshold(nint journal, nuint bytes);

    /// <summary>FIELD=value. Matches of the same field are alternatives, of different fields conditions.</summary>
    /// <param name="size">0: up to the end of the text.</param>
    [LibraryImport(Library, EntryPoint = "sd_journal_add_match", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int AddMatch(nint journal, string match, nuint size);

    /// <summary>What follows is an alternative to what was added since the last one.</summary>
    [LibraryImport(Library, EntryPoint = "sd_journal_add_disjunction")]
    public static partial int AddDisjunction(nint journal);

    [LibraryImport(Library, EntryPoint = "sd_journal_seek_head")]
    public static partial int SeekHead(nint journal);

    [LibraryImport(Library, EntryPoint = "sd_journal_seek_tail")]
    public static partial int SeekTail(nint journal);

    /// <returns>By how many entries it went back.</returns>
    [LibraryImport(Library, EntryPoint = "sd_journal_previous_skip")]
    public static partial int Back(nint journal, ulong entries);

    /// <returns>0 at the end.</returns>
    [LibraryImport(Library, EntryPoint = "sd_journal_next")]
    public static partial int Next(nint journal);

    /// <summary>FIELD=value, not terminated, valid until the next call.</summary>
    [LibraryImport(Library, EntryPoint = "sd_journal_get_data", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetData(nint journal, string field, out nint data, out nuint size);

    [LibraryImport(Library, EntryPoint = "sd_journal_get_realtime_usec")]
    public static partial int GetRealtime(nint journal, out ulong microseconds);

    /// <summary>Text to be freed.</summary>
    [LibraryImport(Library, EntryPoint = "sd_journal_get_cursor")]
    public static partial int GetCursor(nint journal, out nint cursor);

    [LibraryImport(Library, EntryPoint = "sd_journal_get_fd")]
    public static partial int GetDescriptor(nint journal);

    [LibraryImport(Library, EntryPoint = "sd_journal_get_events")]
    public static partial int GetEvents(nint journal);

    /// <summary>As of sd-bus; not the largest value only where the journal lies on a file system that tells no changes.</summary>
    [LibraryImport(Library, EntryPoint = "sd_journal_get_timeout")]
    public static partial int GetTimeout(nint journal, out ulong microseconds);

    [LibraryImport(Library, EntryPoint = "sd_journal_process")]
    public static partial int Process(nint journal);
}

using System.Buffers;
using System.Text;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>What the data of a dump come to.</summary>
/// <param name="Rows">By table, as SQL names it: <c>public.orders</c>, <c>"Sales"."Order"</c>.</param>
internal sealed record DumpCounts(IReadOnlyDictionary<string, long> Rows, long LargeObjects)
{
    private const int Chunk = 1 << 17, LongestHeading = 1 << 16;

    /// <summary>Counts in the script that pg_restore --data-only makes: COPY ... FROM stdin; then a line a row; then <c>\.</c></summary>
    public static DumpCounts Of(Stream script)
    {
        var rows = new Dictionary<string, long>(StringComparer.Ordinal);
        long objects = 0, count = 0;
        string? table = null;
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Chunk);
        var line = new ArrayBufferWriter<byte>(256);   // the beginning of one
        try
        {
            for (int read; (read = script.Read(buffer)) > 0;)
            {
                ReadOnlySpan<byte> rest = buffer.AsSpan(0, read);
                while (!rest.IsEmpty)
                {
                    int end = rest.IndexOf((byte)'\n');
                    ReadOnlySpan<byte> part = end < 0 ? rest : rest[..end];
                    // Of data only the first bytes matter: whether it is the end of them.
                    int room = (table is null ? LongestHeading : 3) - line.WrittenCount;
                    if (room > 0) line.Write(part[..Math.Min(part.Length, room)]);
                    if (end < 0) break;
                    rest = rest[(end + 1)..];
                    EndLine();
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return new DumpCounts(rows, objects);

        void EndLine()
        {
            ReadOnlySpan<byte> text = line.WrittenSpan;
            if (table is not null)
            {
                if (!text.SequenceEqual(@"\."u8)) count++;
                else
                {
                    rows[table] = count;
                    table = null;
                }
            }
            else if (text.StartsWith("COPY "u8) && text.EndsWith(" FROM stdin;"u8))
            {
                table = TableOf(Encoding.UTF8.GetString(text[5..^12]));
                count = 0;
            }
            else if (text.StartsWith("SELECT pg_catalog.lo_open("u8)) objects++;
            line.ResetWrittenCount();
        }
    }

    // public.orders (id, note): up to the first parenthesis that no quotes hold.
    private static string TableOf(string heading)
    {
        bool quoted = false;
        for (int i = 0; i < heading.Length; i++)
        {
            if (heading[i] == '"') quoted = !quoted;
            else if (!quoted && heading[i] == '(') return heading[..i].TrimEnd();
        }
        return heading;
    }
}

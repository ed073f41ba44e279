using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>What a database beside the app's own is there for.</summary>
internal enum Beside
{
    /// <summary>A restore point is being put into it; it takes the place of the app's own.</summary>
    Restore,

    /// <summary>What was the app's own until a restore took its place.</summary>
    Before,

    /// <summary>To try something in.</summary>
    Scratch,
}

/// <summary>
/// Names of the databases that stand beside an app's own for a while: <c>shop_agentd_before_shop-12_3f9a1c</c>. The end tells the host, so that none sweeps what is another's;
/// which of them exist is all that is known of a restore. PostgreSQL cuts names at 63 bytes, so what is long is shortened to its beginning and a hash.
/// </summary>
internal sealed class BesideNames(string database, string host)
{
    private const int LongestDatabase = 24, LongestId = 15;   // 24 + "_agentd_restore_" + 15 + "_123456" = 62
    private const string MomentFormat = "yyyyMMdd'T'HHmmss";
    private readonly string mine = "_" + Hash(host);
    private readonly string stem = Shorten(database, LongestDatabase) + "_agentd_";

    /// <summary>An id of something that a person does.</summary>
    public static string IdOf(DateTimeOffset moment) => moment.UtcDateTime.ToString(MomentFormat, CultureInfo.InvariantCulture);

    /// <returns>Null: it is the id of a deployment.</returns>
    public static DateTimeOffset? MomentOf(string id) =>
        DateTimeOffset.TryParseExact(id, MomentFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset moment) ? moment : null;

    public string Of(Beside kind, string id) => $"{stem}{Word(kind)}{Shorten(id, LongestId)}{mine}";

    /// <returns>The id; null where this is no such database of this one, made by this host.</returns>
    public string? IdOf(Beside kind, string name)
    {
        string beginning = stem + Word(kind);
        return name.StartsWith(beginning, StringComparison.Ordinal) && name.EndsWith(mine, StringComparison.Ordinal) && name.Length > beginning.Length + mine.Length
            ? name[beginning.Length..^mine.Length]
            : null;
    }

    private static string Word(Beside kind) => kind switch
    {
        Beside.Restore => "restore_",
        Beside.Before => "before_",
        _ => "scratch_",
    };

    private static string Shorten(string text, int bytes)
    {
        if (Encoding.UTF8.GetByteCount(text) <= bytes) return text;
        string hash = Hash(text);
        var kept = new StringBuilder();
        int left = bytes - hash.Length;
        foreach (Rune rune in text.EnumerateRunes())
        {
            if ((left -= rune.Utf8SequenceLength) < 0) break;
            kept.Append(rune.ToString());
        }
        return kept.Append(hash).ToString();
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..6];
}

namespace Agent.Daemon.Migrations.Planning;

/// <summary>PostgreSQL's locks on tables, weakest first.</summary>
/// <remarks>Source: PostgreSQL's documentation, 13.3.1 Table-Level Locks. The numbers are those of lockdefs.h, which LOCK TABLE has in its tree.</remarks>
internal enum LockMode
{
    AccessShare = 1,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

internal static class LockModes
{
    /// <summary>As in the documentation: <c>ACCESS EXCLUSIVE</c>.</summary>
    public static string Words(this LockMode mode) => mode switch
    {
        LockMode.AccessShare => "ACCESS SHARE",
        LockMode.RowShare => "ROW SHARE",
        LockMode.RowExclusive => "ROW EXCLUSIVE",
        LockMode.ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
        LockMode.Share => "SHARE",
        LockMode.ShareRowExclusive => "SHARE ROW EXCLUSIVE",
        LockMode.Exclusive => "EXCLUSIVE",
        _ => "ACCESS EXCLUSIVE",
    };

    /// <param name="word">As pg_locks has it: <c>AccessExclusiveLock</c>.</param>
    public static LockMode? OfServer(string word) => word.EndsWith("Lock", StringComparison.Ordinal) && Enum.TryParse(word[..^4], out LockMode mode) ? mode : null;
}

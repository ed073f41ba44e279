using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations;

/// <summary>A file of SQL as it is to be run: its header, and its statements in order.</summary>
/// <param name="Phase">Of <c>-- agentd: phase=expand|contract</c>.</param>
/// <param name="InTransaction">False: <c>-- agentd: no-transaction</c>.</param>
/// <param name="LockTimeout">Of <c>-- agentd: lock_timeout=5s</c>; null: none is given.</param>
/// <param name="StatementTimeout">Of <c>-- agentd: statement_timeout=10m</c>; null: none is given.</param>
/// <param name="Reason">Of <c>-- agentd: reason=TEXT</c>; empty: none is given.</param>
internal sealed record SqlFile(
    Phase Phase, bool InTransaction, TimeSpan? LockTimeout, TimeSpan? StatementTimeout, string Reason, IReadOnlyList<SqlStatement> Statements)
{
    private const int LongestReason = 300;

    /// <summary>Reads a file's text; what is wrong goes to <paramref name="problems"/>, and the rest is as if it were not there.</summary>
    /// <param name="file">As people know it.</param>
    public static SqlFile Read(string text, string file, Problems problems)
    {
        (IReadOnlyList<ScannedStatement> scanned, IReadOnlyList<SqlComment> comments) = SqlScanner.Scan(text, file, problems);
        var read = new SqlFile(Phase.Unknown, true, null, null, "", []);
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (SqlComment comment in comments)
        {
            if (comment.Text.StartsWith("agentd:", StringComparison.Ordinal)) read = read.With(comment, seen, file, problems);
            else if (comment.Text is "+goose Down" or "+migrate Down" or "migrate:down")
                problems.Add(file, comment.Line, $"'{comment.Text}' begins the way back, which would run at once", "put what is below it into a file of its own that ends with .down.sql");
        }
        return read with { Statements = [.. Runnable(scanned, read.InTransaction, file, problems).Select(one => one.Statement)] };
    }

    private SqlFile With(SqlComment comment, HashSet<string> seen, string file, Problems problems)
    {
        string[] parts = comment.Text["agentd:".Length..].Split('=', 2, StringSplitOptions.TrimEntries);
        string key = parts[0];
        string? value = parts.Length > 1 ? parts[1] : null;
        SqlFile Wrong(string what, string instead)
        {
            problems.Add(file, comment.Line, what, instead);
            return this;
        }
        if (!comment.AtTop) return Wrong("'-- agentd:' stands below a statement", "put it at the top of the file");
        if (!seen.Add(key)) return Wrong($"{Plain(key)} is here twice", "keep one");
        switch (key)
        {
            case "no-transaction":
                return value is null ? this with { InTransaction = false } : Wrong("no-transaction has a value", "write '-- agentd: no-transaction'");
            case "phase":
                return value switch
                {
                    "expand" => this with { Phase = Phase.Expand },
                    "contract" => this with { Phase = Phase.Contract },
                    _ => Wrong($"phase is '{Plain(value ?? "")}'", "write expand or contract"),
                };
            case "lock_timeout" or "statement_timeout":
                if (!Values.TryParseDuration(value ?? "", out TimeSpan time) || time <= TimeSpan.Zero || time > TimeSpan.FromDays(1))
                    return Wrong($"{key} is '{Plain(value ?? "")}'", "write a whole number and a unit, up to 24h: 500ms, 10s, 2m or 1h");
                return key == "lock_timeout" ? this with { LockTimeout = time } : this with { StatementTimeout = time };
            case "reason":
                return value is { Length: > 0 and <= LongestReason } && !value.Any(char.IsControl)
                    ? this with { Reason = value }
                    : Wrong("reason has no text", $"write it in one line of at most {LongestReason} characters");
            default:
                return Wrong($"'{Plain(key)}' is not known", "write phase=expand, phase=contract, no-transaction, lock_timeout=5s, statement_timeout=10m or reason=TEXT");
        }
    }

    /// <summary>Without the pair that wraps a whole file into a transaction, which it is in anyway.</summary>
    private static IEnumerable<ScannedStatement> Runnable(IReadOnlyList<ScannedStatement> scanned, bool inTransaction, string file, Problems problems)
    {
        bool wrapped = inTransaction && scanned.Count > 1 && Begins(scanned[0].Words) && Ends(scanned[^1].Words);
        ScannedStatement[] rest = [.. wrapped ? scanned.Skip(1).SkipLast(1) : scanned];
        foreach (ScannedStatement one in rest)
        {
            int line = one.Statement.Line;
            string shown = string.Join(' ', one.Words.Take(3)).ToUpperInvariant();
            if (IsTransaction(one.Words))
            {
                problems.Add(file, line, $"{shown} is not for a migration, which has one transaction", inTransaction
                    ? "take it out, or split the file"
                    : "take it out: with no-transaction each statement stands by itself");
            }
            else if (inTransaction && NeedsNoTransaction(one.Words) is { } kind)
                problems.Add(file, line, $"{kind} cannot run in a transaction", "write '-- agentd: no-transaction' at the top, and keep the file to such statements");
            else if (one.Words is ["copy", ..] && one.Words.Zip(one.Words.Skip(1)).Contains(("to", "stdout")))
                problems.Add(file, line, "COPY ... TO stdout has nobody to read it", "take it out");
        }
        return rest;
    }

    private static bool Begins(IReadOnlyList<string> words) => words is ["begin"] or ["begin", "work" or "transaction"] or ["start", "transaction"];

    private static bool Ends(IReadOnlyList<string> words) => words is ["commit" or "end"] or ["commit" or "end", "work" or "transaction"];

    private static bool IsTransaction(IReadOnlyList<string> words) => words switch
    {
        ["rollback", "to", ..] or ["rollback", "work" or "transaction", "to", ..] => false,   // a savepoint
        ["begin" or "commit" or "end" or "rollback" or "abort", ..] or ["start", "transaction", ..] or ["prepare", "transaction", ..] => true,
        _ => false,
    };

    // Source: the pages of the commands; each calls PreventInTransactionBlock() in PostgreSQL.
    private static string? NeedsNoTransaction(IReadOnlyList<string> words) => words switch
    {
        ["create", "index", "concurrently", ..] or ["create", "unique", "index", "concurrently", ..] => "CREATE INDEX CONCURRENTLY",
        ["drop", "index", "concurrently", ..] => "DROP INDEX CONCURRENTLY",
        ["reindex", "schema" or "database" or "system", ..] => $"REINDEX {words[1].ToUpperInvariant()}",
        ["reindex", _, "concurrently", ..] => "REINDEX CONCURRENTLY",
        ["alter", "table", ..] when words.Contains("detach") && words[^1] == "concurrently" => "DETACH PARTITION CONCURRENTLY",
        ["vacuum", ..] => "VACUUM",
        ["cluster"] or ["cluster", "verbose"] => "CLUSTER of all tables",
        ["alter", "system", ..] => "ALTER SYSTEM",
        ["create" or "drop", "database" or "tablespace", ..] => $"{words[0]} {words[1]}".ToUpperInvariant(),
        ["alter", "database", _, "set", "tablespace", ..] or ["alter", "database", "set", "tablespace", ..] => "ALTER DATABASE ... SET TABLESPACE",
        ["create", "subscription", ..] => "CREATE SUBSCRIPTION",
        ["discard", "all"] => "DISCARD ALL",
        _ => null,
    };

    private static string Plain(string text) => string.Concat(text.Where(c => !char.IsControl(c)).Take(40));
}

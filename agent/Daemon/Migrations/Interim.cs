using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts.Durable;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>The simplest reading, until the real one is there.</summary>
internal static class Interim
{
    public static IReadOnlyList<MigrationFile> Files(IDisk disk, string directory) =>
    [
        .. disk.List(directory).Where(name => name.EndsWith(".sql", StringComparison.Ordinal) && !name.EndsWith(".down.sql", StringComparison.Ordinal))
            .Select(name => File(disk, directory, name)).OrderBy(file => long.Parse(file.Version, System.Globalization.CultureInfo.InvariantCulture)),
    ];

    public static MigrationFile File(IDisk disk, string directory, string name)
    {
        string path = Path.Combine(directory, name), text = disk.ReadText(path), down = path[..^4] + ".down.sql";
        string? Header(string key) => text.Split('\n').Where(line => line.StartsWith("-- agentd: " + key, StringComparison.Ordinal)).Select(line => line[("-- agentd: " + key).Length..].TrimStart('=')).FirstOrDefault();
        TimeSpan? Span(string key) => Header(key) is { } span ? TimeSpan.FromSeconds(double.Parse(span.TrimEnd('s'), System.Globalization.CultureInfo.InvariantCulture)) : null;
        return new MigrationFile(name, name.Split('_')[0], path, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text))),
            Header("phase") switch { "expand" => Phase.Expand, "contract" => Phase.Contract, _ => Phase.Unknown },
            Header("no-transaction") is null, Span("lock_timeout"), Span("statement_timeout"), "", disk.Exists(down) ? down : null);
    }

    public static IReadOnlyList<SqlStatement> Statements(string text, string file)
    {
        _ = file;
        var statements = new List<SqlStatement>();
        int line = 1;
        foreach (string raw in text.Split(";\n"))
        {
            string body = raw;
            while (body.StartsWith("--", StringComparison.Ordinal) || body.StartsWith('\n'))
            {
                int end = body.IndexOf('\n', StringComparison.Ordinal);
                body = end < 0 ? "" : body[(end + 1)..];
            }
            int skipped = raw[..^body.Length].Count(c => c == '\n');
            if (statements is [.., { Text: var before }] && before.EndsWith("FROM stdin", StringComparison.Ordinal) && statements[^1].CopyData is null)
            {
                int end = raw.IndexOf("\\.\n", StringComparison.Ordinal);
                statements[^1] = statements[^1] with { CopyData = raw[..end] };
                body = raw[(end + 3)..];
            }
            if (body.Trim().TrimEnd(';').Length > 0) statements.Add(new SqlStatement(body.Trim().TrimEnd(';'), line + skipped));
            line += raw.Count(c => c == '\n') + 1;
        }
        return statements;
    }

    public static async Task<NpgsqlConnection> OpenAsync(DatabaseAddress address, string applicationName, CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(address.ConnectionString)
        {
            Pooling = false,
            ApplicationName = applicationName,
            CommandTimeout = 0,
            Timeout = 15,
            KeepAlive = 30,
        }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        return connection;
    }
}

using System.Globalization;
using Npgsql;

namespace Agent.Daemon.Migrations.Administration;

/// <summary>Addresses as libpq and most drivers read them. Source: PostgreSQL's documentation, "Connection URIs".</summary>
internal static class DatabaseUrl
{
    /// <param name="parts">Host, port, user, password, database, and what is said of TLS; all else is left out.</param>
    public static string Of(NpgsqlConnectionStringBuilder parts)
    {
        static string Escape(string? text) => Uri.EscapeDataString(text ?? "");
        string host = parts.Host ?? "", port = parts.Port.ToString(CultureInfo.InvariantCulture);
        bool socket = host.StartsWith('/');
        var more = new List<string>();
        if (socket) more.AddRange([$"host={Escape(host)}", $"port={port}"]);
        if (parts.SslMode != SslMode.Prefer) more.Add($"sslmode={Word(parts.SslMode)}");
        if (parts.RootCertificate is { Length: > 0 } root) more.Add($"sslrootcert={Escape(root)}");
        string user = Escape(parts.Username) + (parts.Password is { Length: > 0 } password ? $":{Escape(password)}" : "");
        string server = socket ? "" : $"{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{port}";
        return $"postgres://{user}@{server}/{Escape(parts.Database)}{(more.Count > 0 ? "?" : "")}{string.Join('&', more)}";
    }

    private static string Word(SslMode mode) => mode switch
    {
        SslMode.Disable => "disable",
        SslMode.Allow => "allow",
        SslMode.Require => "require",
        SslMode.VerifyCA => "verify-ca",
        SslMode.VerifyFull => "verify-full",
        _ => "prefer",
    };
}

using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>How to reach a database, as libpq's users expect it. Holds a password: never to be logged, journaled or shown whole.</summary>
/// <param name="ConnectionString">For Npgsql.</param>
internal sealed record DatabaseAddress(string ConnectionString)
{
    /// <summary>The database's name.</summary>
    public string Name => new NpgsqlConnectionStringBuilder(ConnectionString).Database ?? "";

    /// <summary>For people and logs: <c>postgres://shop@db.example:5432/shop</c>, never a password.</summary>
    public string Shown
    {
        get
        {
            var parts = new NpgsqlConnectionStringBuilder(ConnectionString);
            return $"postgres://{parts.Username}@{parts.Host}:{parts.Port}/{parts.Database}";
        }
    }

    /// <summary>The variables that make pg_dump, pg_restore and psql reach the same: PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, ... For a child's own environment only.</summary>
    public IReadOnlyDictionary<string, string> ToolEnvironment
    {
        get
        {
            var parts = new NpgsqlConnectionStringBuilder(ConnectionString);
            return new Dictionary<string, string>
            {
                ["PGHOST"] = parts.Host ?? "",
                ["PGPORT"] = parts.Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
                ["PGUSER"] = parts.Username ?? "",
                ["PGPASSWORD"] = parts.Password ?? "",
                ["PGDATABASE"] = parts.Database ?? "",
            };
        }
    }

    /// <summary>Another database of the same server.</summary>
    public DatabaseAddress WithDatabase(string name) => new(new NpgsqlConnectionStringBuilder(ConnectionString) { Database = name }.ConnectionString);

    /// <param name="environment">Of the app.</param>
    /// <param name="secrets">Of the app; they win.</param>
    /// <exception cref="OperatorException">There is no address, or it is wrong; no value is told (<see cref="ExitCode.Refused"/>).</exception>
    public static DatabaseAddress Of(DatabaseOptions options, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string> secrets)
    {
        if ((secrets.GetValueOrDefault(options.Url) ?? environment.GetValueOrDefault(options.Url)) is not { } text)
            throw new OperatorException(ExitCode.Refused, $"neither the secrets nor the environment have {options.Url}", $"write {options.Url}=postgres://USER:PASSWORD@HOST/NAME into the secrets file");
        var url = new Uri(text);
        string[] user = url.UserInfo.Split(':', 2);
        return new DatabaseAddress(new NpgsqlConnectionStringBuilder
        {
            Host = url.Host,
            Port = url.Port > 0 ? url.Port : 5432,
            Username = Uri.UnescapeDataString(user[0]),
            Password = user.Length > 1 ? Uri.UnescapeDataString(user[1]) : null,
            Database = url.AbsolutePath.Trim('/'),
        }.ConnectionString);
    }
}

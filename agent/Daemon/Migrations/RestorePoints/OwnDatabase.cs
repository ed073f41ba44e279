using static Agent.Daemon.Migrations.RestorePoints.ServerSession;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>What an app's database is besides its contents, which a dump does not hold.</summary>
/// <param name="Locale">The LOCALE_PROVIDER and LC_... clauses.</param>
/// <param name="Tablespace">Null: the server's default.</param>
/// <param name="ExtensionsOfOthers">Extensions in it that only a superuser can make.</param>
internal sealed record OwnDatabase(
    string Owner, string Encoding, string Locale, string? Tablespace, int ConnectionLimit, bool HasGrants, IReadOnlyList<DatabaseGrant> Grants, IReadOnlyList<DatabaseSetting> Settings,
    IReadOnlyList<string> ExtensionsOfOthers)
{
    /// <remarks>Sources: pg_database, pg_db_role_setting of PostgreSQL 12 to 18; the columns that not all have are asked for where they are.</remarks>
    public static async Task<OwnDatabase> ReadAsync(ServerSession session, CancellationToken cancellationToken)
    {
        string icu = session.Major switch
        {
            >= 17 => "datlocprovider::text, datlocale, daticurules",
            16 => "datlocprovider::text, daticulocale, daticurules",
            15 => "datlocprovider::text, daticulocale, NULL::text",
            _ => "'c', NULL::text, NULL::text",
        };
        OwnDatabase own = (await session.QueryAsync(
            $"""
            SELECT pg_catalog.pg_get_userbyid(datdba)::text, pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, t.spcname::text, datconnlimit, datacl IS NOT NULL, {icu}
            FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE datname = current_database()
            """,
            row => new OwnDatabase(
                row.GetString(0), row.GetString(1), LocaleOf(row.GetString(2), row.GetString(3), row.GetString(7), row.IsDBNull(8) ? null : row.GetString(8), row.IsDBNull(9) ? null : row.GetString(9)),
                row.GetString(4) is not "pg_default" and var space ? space : null, row.GetInt32(5), row.GetBoolean(6), [], [], []), cancellationToken))[0];
        return own with
        {
            Grants = await session.QueryAsync(
                """
                SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee)::text END, a.privilege_type::text, a.is_grantable
                FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a WHERE d.datname = current_database() AND a.grantee <> d.datdba
                """,
                row => new DatabaseGrant(row.IsDBNull(0) ? null : row.GetString(0), row.GetString(1), row.GetBoolean(2)), cancellationToken),
            Settings = await session.QueryAsync(
                """
                SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole)::text END, c
                FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c WHERE d.datname = current_database()
                """,
                row => new DatabaseSetting(row.IsDBNull(0) ? null : row.GetString(0), row.GetString(1).Split('=', 2)[0], row.GetString(1).Split('=', 2)[1]), cancellationToken),
            // Where it is trusted, the dump makes it.
            ExtensionsOfOthers = await session.QueryAsync(
                $"""
                SELECT e.extname::text FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_available_extension_versions a ON a.name = e.extname AND a.version = e.extversion
                JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE a.superuser AND {(session.Major >= 13 ? "NOT a.trusted" : "true")} AND n.nspname IN ('public', 'pg_catalog') AND e.extname <> 'plpgsql'
                """,
                row => row.GetString(0), cancellationToken),
        };
    }

    public string CreateStatement(string name) =>
        $"CREATE DATABASE {Quote(name)} OWNER {Quote(Owner)} TEMPLATE template0 ENCODING {Literal(Encoding)} {Locale}{(Tablespace is null ? "" : $" TABLESPACE {Quote(Tablespace)}")} CONNECTION LIMIT {ConnectionLimit}";

    /// <summary>Gives a database the rights and settings of this one.</summary>
    public IEnumerable<string> LikenStatements(string name)
    {
        string target = Quote(name);
        if (HasGrants) yield return $"REVOKE ALL ON DATABASE {target} FROM PUBLIC";
        foreach (DatabaseGrant grant in Grants)
            yield return $"GRANT {grant.Privilege} ON DATABASE {target} TO {(grant.To is null ? "PUBLIC" : Quote(grant.To))}{(grant.Grantable ? " WITH GRANT OPTION" : "")}";
        foreach (DatabaseSetting setting in Settings)
        {
            // So that no list of values has to be quoted as its kind wants it.
            yield return $"SELECT pg_catalog.set_config({Literal(setting.Name)}, {Literal(setting.Value)}, false)";
            yield return $"ALTER {(setting.Role is null ? "" : $"ROLE {Quote(setting.Role)} IN ")}DATABASE {target} SET {string.Join('.', setting.Name.Split('.').Select(Quote))} FROM CURRENT";
        }
    }

    private static string LocaleOf(string collate, string type, string provider, string? locale, string? rules) =>
        $"LC_COLLATE {Literal(collate)} LC_CTYPE {Literal(type)}" + provider switch
        {
            "i" => $" LOCALE_PROVIDER icu ICU_LOCALE {Literal(locale!)}{(rules is null ? "" : $" ICU_RULES {Literal(rules)}")}",
            "b" => $" LOCALE_PROVIDER builtin BUILTIN_LOCALE {Literal(locale!)}",
            _ => "",
        };
}

/// <param name="To">Null: everybody.</param>
internal sealed record DatabaseGrant(string? To, string Privilege, bool Grantable);

/// <param name="Role">Null: everybody's.</param>
internal sealed record DatabaseSetting(string? Role, string Name, string Value);

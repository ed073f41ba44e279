using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>
/// A number that changes when somebody changes the schema, or what migration tools write down: so a command that found nothing to do is seen to
/// have done nothing.
/// </summary>
internal static class SchemaFingerprint
{
    // As Ecto and Rails and golang-migrate, Entity Framework, Knex, Prisma, Django, Flyway, Alembic, Sequelize, Goose, Liquibase and Laravel name it.
    private static readonly string[] Histories =
    [
        "schema_migrations", "__EFMigrationsHistory", "knex_migrations", "_prisma_migrations", "django_migrations", "flyway_schema_history", "alembic_version",
        "SequelizeMeta", "goose_db_version", "databasechangelog", "migrations",
    ];

    // What the schema is made of, a line each.
    private const string Parts = """
        WITH own AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'agentd') AND nspname NOT LIKE 'pg\_t%'),
        parts(line) AS (
            SELECT 'schema ' || nspname FROM own
            UNION ALL SELECT pg_catalog.format('relation %I.%I %s %s', own.nspname, c.relname, c.relkind, c.reloptions) FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relkind <> 'i'
            UNION ALL SELECT pg_catalog.format('column %I.%I.%I %s %s %s %s', own.nspname, c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
                FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN own ON own.oid = c.relnamespace
                LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
            UNION ALL SELECT pg_catalog.format('constraint %I.%s %I %s %s', own.nspname, k.conrelid::pg_catalog.regclass, k.conname, k.convalidated, pg_catalog.pg_get_constraintdef(k.oid)) FROM pg_catalog.pg_constraint k JOIN own ON own.oid = k.connamespace
            UNION ALL SELECT pg_catalog.format('index %I.%I %s %s', own.nspname, c.relname, i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid)) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN own ON own.oid = c.relnamespace
            UNION ALL SELECT pg_catalog.format('function %I.%I(%s) %s', own.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), CASE WHEN p.prokind = 'a' THEN p.prokind::text ELSE pg_catalog.pg_get_functiondef(p.oid) END) FROM pg_catalog.pg_proc p JOIN own ON own.oid = p.pronamespace
            UNION ALL SELECT pg_catalog.format('view %I.%I %s', own.nspname, c.relname, pg_catalog.pg_get_viewdef(c.oid)) FROM pg_catalog.pg_class c JOIN own ON own.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')
            UNION ALL SELECT pg_catalog.format('trigger %I.%I %s %s', own.nspname, c.relname, t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid)) FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN own ON own.oid = c.relnamespace WHERE NOT t.tgisinternal
            UNION ALL SELECT pg_catalog.format('type %I.%I %s %s', own.nspname, t.typname, t.typtype, t.typbasetype) FROM pg_catalog.pg_type t JOIN own ON own.oid = t.typnamespace WHERE t.typtype IN ('e', 'd', 'r', 'c') AND t.typelem = 0
            UNION ALL SELECT pg_catalog.format('label %s %s %I', e.enumtypid::pg_catalog.regtype, e.enumsortorder, e.enumlabel) FROM pg_catalog.pg_enum e
            UNION ALL SELECT pg_catalog.format('policy %s %I %s %s', p.polrelid::pg_catalog.regclass, p.polname, pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) FROM pg_catalog.pg_policy p
            UNION ALL SELECT pg_catalog.format('extension %I %s', extname, extversion) FROM pg_catalog.pg_extension)
        """;

    private const string Catalog = $"""{Parts} SELECT pg_catalog.md5(pg_catalog.string_agg(line, E'\n' ORDER BY line COLLATE "C")) FROM parts""";

    /// <summary>Lines that are read of a schema.</summary>
    private const int MostLines = 200_000;

    /// <summary>What the schema is made of, in order: <c>column public.orders.note text f</c>.</summary>
    public static async Task<IReadOnlyList<string>> LinesAsync(Ledger ledger, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = ledger.Command($"""{Parts} SELECT pg_catalog.left(pg_catalog.regexp_replace(line, '\s+', ' ', 'g'), 2000) FROM parts ORDER BY 1 LIMIT {MostLines}""");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var lines = new List<string>();
        while (await reader.ReadAsync(cancellationToken)) lines.Add(reader.GetString(0));
        return lines;
    }

    public static async Task<string> OfAsync(Ledger ledger, CancellationToken cancellationToken)
    {
        var tables = new List<string>();
        await using (NpgsqlCommand command = ledger.Command(
            """
            SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relname = ANY ($1) AND c.relkind IN ('r', 'p') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY c.relname COLLATE "C", n.nspname COLLATE "C"
            """, (object)Histories))
        await using (NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken))
            while (await reader.ReadAsync(cancellationToken)) tables.Add(reader.GetString(0));
        string rows = string.Concat(tables.Select(table => $" || COALESCE((SELECT pg_catalog.md5(pg_catalog.string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM {table} t), 'empty')"));
        await using NpgsqlCommand whole = ledger.Command($"SELECT pg_catalog.md5(({Catalog}){rows})");
        return (string)(await whole.ExecuteScalarAsync(cancellationToken))!;
    }
}

using Agent.Daemon.Migrations.Planning;
using Agent.Tests.Fakes;
using Npgsql;

namespace Agent.Tests.Migrations.Planning;

public sealed class LockTests(PostgresServer server)
{
    private static readonly string[] Made =
    [
        "CREATE TABLE customers (id int PRIMARY KEY, name text)",
        "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, note varchar(20), price numeric(10,2), state text CONSTRAINT state_is_short CHECK (length(state) < 9))",
        "CREATE TABLE items (id int, order_id int CONSTRAINT items_order REFERENCES orders, amount int)",
        "CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at)",
        "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
        "CREATE TABLE parts_2 (id int, at date)",
        "CREATE TABLE lonely (id int, other int)",
        "CREATE UNIQUE INDEX lonely_other ON lonely (other)",
        "CREATE INDEX orders_note ON orders (note)",
        "CREATE VIEW open_orders AS SELECT id FROM orders",
        "CREATE MATERIALIZED VIEW totals AS SELECT id FROM orders",
        "CREATE UNIQUE INDEX totals_id ON totals (id)",
        "CREATE SEQUENCE numbers",
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE FUNCTION close_all(x int) RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE lonely SET other = x; DELETE FROM items; END'",
        "CREATE FUNCTION count_all() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM parts_2'",
        "CREATE TRIGGER touched AFTER UPDATE ON items EXECUTE FUNCTION touch()",
        "ALTER TABLE items ADD CONSTRAINT amount_there CHECK (amount IS NOT NULL) NOT VALID",
        "CREATE POLICY all_of_them ON lonely",
    ];

    // Each runs in a transaction by itself, which is rolled back.
    private static readonly string[] Statements =
    [
        "SELECT * FROM orders",
        "SELECT * FROM lonely FOR UPDATE",
        "WITH x AS (DELETE FROM lonely RETURNING id) SELECT * FROM x, customers",
        "INSERT INTO lonely SELECT id, 1 FROM customers",
        "UPDATE lonely SET other = 1 FROM customers WHERE customers.id = lonely.id",
        "MERGE INTO lonely USING customers ON lonely.id = customers.id WHEN MATCHED THEN DELETE",
        "DELETE FROM items",
        "TRUNCATE lonely",
        "TRUNCATE orders CASCADE",
        "LOCK TABLE lonely",
        "LOCK TABLE lonely IN SHARE MODE",
        "CREATE INDEX new_index ON orders (price)",
        "CREATE TABLE copies AS SELECT * FROM orders",
        "CREATE TABLE fresh (customer int REFERENCES customers, LIKE lonely)",
        "CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2028-01-01') TO ('2029-01-01')",
        "CREATE TABLE heirs () INHERITS (lonely)",
        "CREATE VIEW v AS SELECT id FROM lonely",
        "CREATE OR REPLACE VIEW open_orders AS SELECT id FROM orders",
        "CREATE MATERIALIZED VIEW m AS SELECT id FROM lonely",
        "REFRESH MATERIALIZED VIEW totals",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY totals",
        "CREATE TRIGGER t AFTER INSERT ON lonely EXECUTE FUNCTION touch()",
        "CREATE RULE r AS ON INSERT TO lonely DO INSTEAD NOTHING",
        "CREATE POLICY p ON lonely",
        "ALTER POLICY all_of_them ON lonely USING (true)",
        "CREATE STATISTICS s ON id, other FROM lonely",
        "COMMENT ON TABLE lonely IS 'x'",
        "COMMENT ON COLUMN lonely.id IS 'x'",
        "GRANT SELECT ON lonely TO public",
        "DROP TABLE lonely",
        "DROP TABLE items",
        "DROP TABLE items, lonely",
        "DROP VIEW open_orders",
        "DROP MATERIALIZED VIEW totals",
        "DROP SEQUENCE numbers",
        "DROP INDEX orders_note",
        "DROP TRIGGER touched ON items",
        "DROP POLICY all_of_them ON lonely",
        "ANALYZE lonely",
        "CLUSTER lonely USING lonely_other",
        "REINDEX TABLE lonely",
        "ALTER TABLE orders ADD COLUMN extra text",
        "ALTER TABLE orders ADD COLUMN extra int REFERENCES customers",
        "ALTER TABLE lonely ADD COLUMN at timestamptz DEFAULT clock_timestamp()",
        "ALTER TABLE orders ALTER COLUMN note SET DEFAULT 'x'",
        "ALTER TABLE orders ALTER COLUMN price TYPE numeric(12,2)",
        "ALTER TABLE lonely ALTER COLUMN other TYPE bigint",
        "ALTER TABLE lonely ALTER COLUMN other SET NOT NULL",
        "ALTER TABLE lonely ALTER COLUMN other SET STATISTICS 100",
        "ALTER TABLE lonely DROP COLUMN other",
        "ALTER TABLE lonely ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES customers",
        "ALTER TABLE lonely ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES customers NOT VALID",
        "ALTER TABLE lonely ADD CONSTRAINT c CHECK (id > 0) NOT VALID",
        "ALTER TABLE lonely ADD UNIQUE (id)",
        "ALTER TABLE lonely ADD CONSTRAINT u UNIQUE USING INDEX lonely_other",
        "ALTER TABLE items VALIDATE CONSTRAINT amount_there",
        "ALTER TABLE items DROP CONSTRAINT items_order",
        "ALTER TABLE orders DROP CONSTRAINT state_is_short",
        "ALTER TABLE items DISABLE TRIGGER USER",
        "ALTER TABLE lonely ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE lonely SET (fillfactor = 70)",
        "ALTER TABLE lonely SET (user_catalog_table = true)",
        "ALTER TABLE lonely SET UNLOGGED",
        "ALTER TABLE lonely CLUSTER ON lonely_other",
        "ALTER TABLE lonely RENAME COLUMN other TO another",
        "ALTER TABLE lonely RENAME TO alone",
        "ALTER INDEX orders_note RENAME TO n",
        "ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "ALTER TABLE parts DETACH PARTITION parts_1",
        "ALTER SEQUENCE numbers INCREMENT 2",
        "ALTER TYPE mood ADD VALUE 'bad'",
        "SELECT close_all(1)",
        "SELECT count_all()",
        "DO $$ BEGIN IF EXISTS (SELECT 1 FROM lonely) THEN RAISE NOTICE 'x'; END IF; PERFORM count_all(); EXECUTE 'LOCK TABLE customers'; END $$",
    ];

    [Fact]
    public async Task The_locks_of_each_statement_are_those_that_the_server_takes()
    {
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        string database = await server.NewDatabaseAsync();
        await server.ExecuteAsync(database, Made);
        await using var connection = new NpgsqlConnection(server.Superuser(database));
        await connection.OpenAsync(cancellationToken);
        Catalog catalog = await CatalogReader.ReadAsync(connection, Statements, cancellationToken);
        var wrong = new List<string>();
        foreach (string sql in Statements)
        {
            string planned = string.Join(", ", Planned.Of(sql, catalog)[0].Locks.Where(one => !one.IsNew).Select(one => $"{one.Table} {one.Mode}").Order(StringComparer.Ordinal));
            string taken;
            try
            {
                taken = await TakenAsync(connection, sql, cancellationToken);
            }
            catch (PostgresException e)
            {
                taken = $"nothing: {e.Message}";
            }
            if (planned != taken) wrong.Add($"{sql}\n  planned: {planned}\n  taken:   {taken}");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    // The strongest of each table that was there before.
    private static async Task<string> TakenAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        var known = new Dictionary<uint, string>();
        await using (var command = new NpgsqlCommand("SELECT oid, relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')", connection))
        await using (NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken))
            while (await reader.ReadAsync(cancellationToken)) known[reader.GetFieldValue<uint>(0)] = reader.GetString(1);
        await using (var command = new NpgsqlCommand(sql, connection)) await command.ExecuteNonQueryAsync(cancellationToken);
        var taken = new Dictionary<string, LockMode>();
        await using (var command = new NpgsqlCommand("SELECT relation, mode FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation IS NOT NULL", connection))
        await using (NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken))
            while (await reader.ReadAsync(cancellationToken))
            {
                if (!known.TryGetValue(reader.GetFieldValue<uint>(0), out string? table)) continue;
                LockMode mode = LockModes.OfServer(reader.GetString(1))!.Value;
                if (mode > taken.GetValueOrDefault(table)) taken[table] = mode;
            }
        await transaction.RollbackAsync(cancellationToken);
        return string.Join(", ", taken.Select(pair => $"{pair.Key} {pair.Value}").Order(StringComparer.Ordinal));
    }
}

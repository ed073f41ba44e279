namespace Agent.Tests.Migrations.Planning;

public sealed class OnlyAddsTests
{
    [Theory]
    [InlineData("CREATE TABLE t (id int PRIMARY KEY, o int REFERENCES orders); CREATE INDEX i ON t (o); INSERT INTO t VALUES (1, now())")]
    [InlineData("CREATE INDEX CONCURRENTLY i ON orders (note)")]
    [InlineData("ALTER TABLE orders ADD COLUMN note text, ADD COLUMN n int NOT NULL DEFAULT 0")]
    [InlineData("CREATE VIEW v AS SELECT * FROM orders; CREATE SEQUENCE s; CREATE SCHEMA x; CREATE TYPE m AS ENUM ('a'); COMMENT ON TABLE orders IS 'x'; GRANT SELECT ON orders TO reader")]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")]
    [InlineData("CREATE TABLE t (id int); ALTER TABLE t ALTER COLUMN id SET NOT NULL; CREATE UNIQUE INDEX i ON t (id); UPDATE t SET id = 1")]
    [InlineData("CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM orders")]
    public void Sees_that_a_file_only_adds(string sql) => Assert.True(Planned.Planner.OnlyAdds(sql));

    [Theory]
    [InlineData("CREATE TABLE t (id int); DROP TABLE orders")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int NOT NULL")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int DEFAULT random()")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int UNIQUE")]
    [InlineData("ALTER TABLE orders ADD COLUMN a int, DROP COLUMN b")]
    [InlineData("ALTER TABLE orders ALTER COLUMN note SET NOT NULL")]
    [InlineData("CREATE TRIGGER t AFTER INSERT ON orders EXECUTE FUNCTION f()")]
    [InlineData("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")]
    [InlineData("CREATE OR REPLACE VIEW v AS SELECT 1")]
    [InlineData("CREATE UNIQUE INDEX i ON orders (note)")]
    [InlineData("ALTER TYPE mood ADD VALUE 'bad'")]
    [InlineData("INSERT INTO orders VALUES (1)")]
    [InlineData("UPDATE orders SET note = 'x'")]
    [InlineData("WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone")]
    [InlineData("CREATE TABLE t (id int); WITH gone AS (DELETE FROM orders RETURNING id) INSERT INTO t SELECT id FROM gone")]
    [InlineData("CREATE TABLE t AS SELECT 1; TRUNCATE orders")]
    [InlineData("SELECT delete_everything()")]
    [InlineData("DO $$ BEGIN NULL; END $$")]
    [InlineData("REVOKE SELECT ON orders FROM reader")]
    [InlineData("CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING")]
    public void Sees_that_a_file_does_more(string sql) => Assert.False(Planned.Planner.OnlyAdds(sql));

    [Theory]
    [InlineData("CREATE EXTENSION postgis")]
    [InlineData("this is no SQL")]
    [InlineData("CREATE TABLE t (id int); INSERT INTO t SELECT delete_everything()")]
    [InlineData("CREATE TABLE t AS SELECT delete_everything()")]
    public void Does_not_guess(string sql) => Assert.Null(Planned.Planner.OnlyAdds(sql));
}

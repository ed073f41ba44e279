using Agent.Daemon.Migrations;
using Agent.Daemon.Migrations.Planning;

namespace Agent.Tests.Migrations.Planning;

public sealed class TrapTests
{
    private static readonly TableFacts Orders = new(
        new SqlName("public", "orders"), 'r', 1_200_000_000, 9_000_000,
        [new("id", "integer"), new("note", "character varying(20)"), new("price", "numeric(10,2)"), new("body", "text")],
        [new("note_there", 'c', true, "CHECK ((note IS NOT NULL))", default)], []);

    private static readonly Catalog Known = new(
        [Orders, Orders with { Name = new SqlName("public", "empty"), Bytes = 0, Rows = 0, Constraints = [] }], new Dictionary<SqlName, SqlName> { [new("public", "orders_note")] = new("public", "orders") }, [],
        new HashSet<string> { "gen_random_uuid", "clock_timestamp" });

    [Theory]
    [InlineData("CREATE INDEX i ON orders (note)", "writes to orders wait until the index is built")]
    [InlineData("ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT clock_timestamp()", "clock_timestamp() gives another value for each row")]
    [InlineData("ALTER TABLE orders ADD COLUMN u uuid DEFAULT gen_random_uuid() NOT NULL", "gen_random_uuid() gives another value for each row")]
    [InlineData("ALTER TABLE orders ADD COLUMN n bigserial", "to number orders.n")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int GENERATED ALWAYS AS IDENTITY", "to number orders.n")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int GENERATED ALWAYS AS (id + 1) STORED", "to compute orders.n")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int NOT NULL", "it fails where orders has rows")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int UNIQUE", "is built while reads and writes of orders wait")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int CHECK (n > 0)", "all rows of orders are checked")]
    [InlineData("ALTER TABLE orders ALTER COLUMN id TYPE bigint", "orders.id changes from integer to bigint")]
    [InlineData("ALTER TABLE orders ALTER COLUMN note TYPE varchar(10)", "from character varying(20) to character varying(10)")]
    [InlineData("ALTER TABLE orders ALTER COLUMN price TYPE numeric(12,4)", "from numeric(10,2) to numeric(12,4)")]
    [InlineData("ALTER TABLE orders ALTER COLUMN body TYPE text USING lower(body)", "written anew")]
    [InlineData("ALTER TABLE orders ALTER COLUMN price SET NOT NULL", "all rows of orders are read to see that price is never null")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES other", "writes to orders and other wait")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT c CHECK (price > 0)", "all rows of orders are checked while reads and writes wait")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT u UNIQUE (note)", "the index of u is built while reads and writes of orders wait")]
    [InlineData("ALTER TABLE orders ADD PRIMARY KEY (id)", "the index of the constraint is built")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT c CHECK (price > 0) NOT VALID;\nALTER TABLE orders VALIDATE CONSTRAINT c", "NOT VALID gained nothing")]
    [InlineData("ALTER TABLE orders RENAME COLUMN note TO remark", "the release that runs still reads orders.note")]
    [InlineData("ALTER TABLE orders RENAME TO purchases", "the release that runs still reads orders")]
    [InlineData("ALTER TABLE orders SET SCHEMA old", "the release that runs looks for orders")]
    [InlineData("ALTER TABLE orders DROP COLUMN note", "the release that runs still reads orders.note")]
    [InlineData("DROP TABLE orders", "the release that runs still uses orders")]
    [InlineData("DROP INDEX orders_note", "reads and writes of orders wait behind DROP INDEX")]
    [InlineData("VACUUM FULL orders", "VACUUM FULL writes orders anew")]
    [InlineData("VACUUM (FULL true) orders", "VACUUM FULL writes orders anew")]
    [InlineData("CLUSTER orders USING orders_note", "CLUSTER writes orders anew")]
    [InlineData("REINDEX TABLE orders", "writes to orders, and reads that use the index")]
    [InlineData("REINDEX INDEX orders_note", "writes to orders, and reads that use the index")]
    [InlineData("LOCK TABLE orders", "LOCK TABLE keeps everybody away from orders")]
    [InlineData("LOCK TABLE orders IN EXCLUSIVE MODE", "LOCK TABLE keeps writes away from orders")]
    [InlineData("UPDATE orders SET note = 'x'", "UPDATE without WHERE touches every row of orders")]
    [InlineData("DELETE FROM orders", "DELETE without WHERE touches every row of orders")]
    [InlineData("TRUNCATE orders", "TRUNCATE throws all rows of orders away")]
    [InlineData("ALTER TABLE orders DISABLE TRIGGER ALL", "foreign keys are triggers")]
    [InlineData("ALTER TABLE orders SET UNLOGGED", "SET UNLOGGED writes orders anew")]
    [InlineData("ALTER TABLE orders SET TABLESPACE fast", "SET TABLESPACE writes orders anew")]
    [InlineData("ALTER TYPE mood ADD VALUE 'bad';\nUPDATE empty SET note = 'bad' WHERE id = 1", "'bad' was added to an enum in the same transaction")]
    [InlineData("ALTER TYPE mood RENAME VALUE 'a' TO 'b'", "the release that runs still knows 'a'")]
    [InlineData("REFRESH MATERIALIZED VIEW totals", "reads of totals wait")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int;\nUPDATE orders SET n = 1 WHERE id < 10;\nINSERT INTO empty SELECT * FROM orders", "stays locked for reads and writes by line 1")]
    [InlineData("DO $$ BEGIN UPDATE orders SET note = 'x'; END $$", "UPDATE without WHERE touches every row of orders")]
    [InlineData("DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$", "the release that runs still uses orders")]
    [InlineData("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM orders';\nSELECT f()", "DELETE without WHERE touches every row of orders")]
    [InlineData("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN 1; END';\nSELECT f()", "DELETE without WHERE touches every row of orders")]
    [InlineData("CREATE FUNCTION f() RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN RETURN NEXT 1; RETURN QUERY DELETE FROM orders RETURNING id; END';\nSELECT f()", "DELETE without WHERE touches every row of orders")]
    [InlineData("CREATE FUNCTION f(a int) RETURNS TABLE (b int) LANGUAGE plpgsql AS 'BEGIN RETURN QUERY DELETE FROM orders RETURNING id; END';\nSELECT * FROM f(1)", "DELETE without WHERE touches every row of orders")]
    public void Warns(string sql, string warning) => Assert.Contains(Planned.Warnings(sql, Known), what => what.Contains(warning, StringComparison.Ordinal));

    [Theory]
    [InlineData("CREATE INDEX i ON empty (note)")]
    [InlineData("ALTER TABLE orders ADD COLUMN n int")]
    [InlineData("ALTER TABLE orders ADD COLUMN n text DEFAULT 'x' NOT NULL")]
    [InlineData("ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT now()")]
    [InlineData("ALTER TABLE orders ADD COLUMN k int REFERENCES other")]
    [InlineData("ALTER TABLE orders ALTER COLUMN note TYPE varchar(40)")]
    [InlineData("ALTER TABLE orders ALTER COLUMN note TYPE text")]
    [InlineData("ALTER TABLE orders ALTER COLUMN price TYPE numeric(12,2)")]
    [InlineData("ALTER TABLE orders ALTER COLUMN note SET NOT NULL")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES other NOT VALID")]
    [InlineData("ALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX orders_note")]
    [InlineData("ALTER TABLE orders VALIDATE CONSTRAINT c")]
    [InlineData("UPDATE orders SET note = 'x' WHERE id = 1")]
    [InlineData("CREATE TABLE t (id int);\nCREATE INDEX i ON t (id);\nALTER TABLE t ADD COLUMN n bigserial;\nALTER TABLE t ALTER COLUMN id SET NOT NULL;\nUPDATE t SET id = 1;\nALTER TABLE t RENAME TO u;\nDROP TABLE u")]
    [InlineData("CREATE TYPE mood AS ENUM ('a');\nALTER TYPE mood ADD VALUE 'bad';\nINSERT INTO empty (note) VALUES ('bad')")]
    [InlineData("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'DELETE FROM orders'")]
    public void Leaves_what_is_no_trap_alone(string sql) => Assert.Empty(Planned.Warnings(sql, Known));

    [Fact]
    public void A_contracting_file_runs_when_nobody_reads_what_it_takes_away()
    {
        Assert.Empty(Planned.Warnings("ALTER TABLE orders DROP COLUMN note;\nDROP TABLE empty;\nALTER TABLE orders RENAME COLUMN body TO text", Known, "Contract"));
        Assert.NotEmpty(Planned.Warnings("CREATE INDEX i ON orders (note)", Known, "Contract"));
    }

    [Fact]
    public void In_a_file_without_a_transaction_nothing_is_held_from_one_statement_to_the_next()
    {
        const string Sql = "ALTER TABLE orders ADD CONSTRAINT c CHECK (price > 0) NOT VALID;\nALTER TABLE orders VALIDATE CONSTRAINT c;\nALTER TYPE mood ADD VALUE 'bad';\nUPDATE orders SET note = 'bad' WHERE id = 1";
        Assert.Empty(Planned.Warnings(Sql, Known, inTransaction: false));
        Assert.Equal(2, Planned.Warnings(Sql, Known).Count());
    }

    [Fact]
    public void A_table_of_an_earlier_pending_file_is_no_trap()
    {
        IReadOnlyList<FilePlan> plans = Planned.Planner.Plan(
            [Planned.File("1_a.sql", "CREATE TABLE t (id int)"), Planned.File("2_b.sql", "CREATE INDEX i ON t (id)")], Known, TestContext.Current.CancellationToken);
        StatementPlan index = Assert.Single(plans[1].Statements);
        Assert.Empty(index.Traps);
        Assert.True(Assert.Single(index.Locks).IsNew);
    }

    [Fact]
    public void Without_a_database_it_takes_the_worst_for_given()
    {
        Assert.NotEmpty(Planned.Warnings("CREATE INDEX i ON orders (note)"));
        Assert.NotEmpty(Planned.Warnings("ALTER TABLE orders ALTER COLUMN note TYPE text"));
    }

    [Theory]
    [InlineData("DO $$ BEGIN EXECUTE 'DROP TABLE ' || name; END $$", "a DO block: EXECUTE of a computed string")]
    [InlineData("DO $$ BEGIN EXECUTE format('DROP TABLE %I', name); END $$", "a DO block: EXECUTE of a computed string")]
    [InlineData("DO LANGUAGE plpython3u 'print(1)'", "a DO block in plpython3u")]
    [InlineData("DO $$ BEGIN syntax err; END $$", "a DO block: syntax error at or near \"syntax\"")]
    [InlineData("CREATE EXTENSION postgis", "the script of extension postgis")]
    [InlineData("SELEC 1", "syntax error at or near \"SELEC\"")]
    [InlineData("ALTER SUBSCRIPTION s DISABLE", "what locks ALTER SUBSCRIPTION takes is not known here")]
    public void Says_what_it_could_not_look_into(string sql, string unseen) => Assert.Equal(unseen, Planned.Of(sql, Known)[0].Unseen);

    [Fact]
    public void A_summary_is_one_line_and_tells_no_password()
    {
        StatementPlan plan = Planned.Of("ALTER ROLE shop\n   PASSWORD 'it''s secret'   LOGIN")[0];
        Assert.Equal("ALTER ROLE shop PASSWORD '...' LOGIN", plan.Summary);
        Assert.Equal(200, Planned.Of($"SELECT '{new string('x', 5000)}'")[0].Summary.Length);
    }

    [Fact]
    public void Without_the_parser_statements_are_listed_and_not_looked_into()
    {
        Assert.Null(SqlParser.Load(["/nonexistent", AppContext.BaseDirectory]));
        var planner = new MigrationPlanner(null);
        StatementPlan plan = planner.Plan([Planned.File("1_a.sql", "DROP TABLE orders")], Known, TestContext.Current.CancellationToken)[0].Statements[0];
        Assert.False(planner.LooksInside);
        Assert.Equal("DROP TABLE orders", plan.Summary);
        Assert.Empty(plan.Traps);
        Assert.Null(planner.OnlyAdds("CREATE TABLE t (id int)"));
    }
}

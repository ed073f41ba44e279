using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;

namespace Agent.Tests.Migrations;

public class SqlFileTests
{
    [Fact]
    public void Reads_the_header()
    {
        SqlFile file = Read("-- Orders.\n\n/* MIT */\n-- agentd: phase=contract\n--agentd:no-transaction\n-- agentd: lock_timeout=500ms\n-- agentd: statement_timeout = 10m\n-- agentd: reason=nobody reads a=b\nSELECT 1;");
        Assert.Equal((Phase.Contract, false, TimeSpan.FromMilliseconds(500), TimeSpan.FromMinutes(10), "nobody reads a=b"), (file.Phase, file.InTransaction, file.LockTimeout, file.StatementTimeout, file.Reason));
        Assert.Equal(new SqlStatement("SELECT 1", 9), Assert.Single(file.Statements));
    }

    [Fact]
    public void Has_a_transaction_and_no_phase_unless_it_says_so()
    {
        SqlFile file = Read("SELECT 1");
        Assert.Equal((Phase.Unknown, true, null, null, ""), (file.Phase, file.InTransaction, file.LockTimeout, file.StatementTimeout, file.Reason));
    }

    [Theory]
    [InlineData("-- agentd: phase=sideways\nSELECT 1", ":1: phase is 'sideways'; write expand or contract")]
    [InlineData("-- agentd: phase\nSELECT 1", ":1: phase is ''")]
    [InlineData("-- agentd: fase=expand\nSELECT 1", ":1: 'fase' is not known; write phase=expand")]
    [InlineData("-- agentd: no-transaction=yes\nSELECT 1", ":1: no-transaction has a value")]
    [InlineData("-- agentd: lock_timeout=5\nSELECT 1", ":1: lock_timeout is '5'")]
    [InlineData("-- agentd: lock_timeout=0s\nSELECT 1", ":1: lock_timeout is '0s'")]
    [InlineData("-- agentd: statement_timeout=25h\nSELECT 1", ":1: statement_timeout is '25h'")]
    [InlineData("-- agentd: reason=\nSELECT 1", ":1: reason has no text")]
    [InlineData("-- agentd: phase=expand\n-- agentd: phase=contract\nSELECT 1", ":2: phase is here twice")]
    [InlineData("SELECT 1;\n-- agentd: phase=contract\n", ":2: '-- agentd:' stands below a statement")]
    [InlineData("-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;", ":3: '+goose Down' begins the way back")]
    [InlineData("-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;", ":3: 'migrate:down' begins the way back")]
    public void Refuses_headers(string text, string problem) => Assert.Contains(problem, Told(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("BEGIN; SELECT 1; COMMIT;")]
    [InlineData("begin transaction; SELECT 1; end work;")]
    [InlineData("-- x\nSTART TRANSACTION;\nSELECT 1;\nCOMMIT;\n")]
    public void A_pair_around_all_is_left_out(string text) => Assert.Equal("SELECT 1", Assert.Single(Read(text).Statements).Text);

    [Theory]
    [InlineData("SELECT 1;\nCOMMIT;\nSELECT 2", ":2: COMMIT is not for a migration")]
    [InlineData("BEGIN; SELECT 1;\nCOMMIT;\nBEGIN; SELECT 2; COMMIT", ":2: COMMIT is not")]
    [InlineData("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT", ":1: BEGIN ISOLATION LEVEL is not")]
    [InlineData("ROLLBACK", ":1: ROLLBACK is not")]
    [InlineData("ABORT", ":1: ABORT is not")]
    [InlineData("PREPARE TRANSACTION 'x'", ":1: PREPARE TRANSACTION is not")]
    [InlineData("\\set a COMMIT\n:a", ":2: COMMIT is not")]
    [InlineData("-- agentd: no-transaction\nBEGIN; VACUUM; COMMIT", "with no-transaction each statement stands by itself")]
    [InlineData("COPY t TO stdout", ":1: COPY ... TO stdout")]
    public void Refuses_transactions_of_its_own(string text, string problem) => Assert.Contains(problem, Told(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("SAVEPOINT a; SELECT 1; ROLLBACK TO a; ROLLBACK TO SAVEPOINT a; ROLLBACK WORK TO a; RELEASE a")]
    [InlineData("ALTER TYPE t ADD VALUE 'x'; REFRESH MATERIALIZED VIEW CONCURRENTLY v; REINDEX TABLE t; CLUSTER t; CREATE INDEX ON t (a)")]
    [InlineData("CREATE TABLE commit (a int); SET lock_timeout = 0; PREPARE p AS SELECT 1; ALTER TABLE t DETACH PARTITION u")]
    public void Lets_the_rest_pass(string text) => Assert.NotEmpty(Read(text).Statements);

    [Theory]
    [InlineData("CREATE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX CONCURRENTLY")]
    [InlineData("create unique index /* x */ concurrently if not exists i on t (a)", "CREATE INDEX CONCURRENTLY")]
    [InlineData("DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY")]
    [InlineData("REINDEX INDEX CONCURRENTLY i", "REINDEX CONCURRENTLY")]
    [InlineData("REINDEX (VERBOSE) TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY")]
    [InlineData("REINDEX SCHEMA s", "REINDEX SCHEMA")]
    [InlineData("ALTER TABLE a.t DETACH PARTITION u CONCURRENTLY", "DETACH PARTITION CONCURRENTLY")]
    [InlineData("VACUUM (ANALYZE) t", "VACUUM")]
    [InlineData("CLUSTER", "CLUSTER of all tables")]
    [InlineData("ALTER SYSTEM SET x = 1", "ALTER SYSTEM")]
    [InlineData("CREATE DATABASE x", "CREATE DATABASE")]
    [InlineData("DISCARD ALL", "DISCARD ALL")]
    public void What_cannot_run_in_a_transaction_asks_for_the_header(string statement, string kind)
    {
        Assert.Contains($":2: {kind} cannot run in a transaction; write '-- agentd: no-transaction' at the top", Told($"SELECT 1;\n{statement};"), StringComparison.Ordinal);
        Assert.Equal(statement, Assert.Single(Read($"-- agentd: no-transaction\n{statement};").Statements).Text);
    }

    private static SqlFile Read(string text)
    {
        var problems = new Problems();
        SqlFile file = SqlFile.Read(text, "0001_a.sql", problems);
        problems.ThrowIfAny(ExitCode.Refused, "");
        return file;
    }

    private static string Told(string text) => Assert.Throws<OperatorException>(() => Read(text)).Message;
}

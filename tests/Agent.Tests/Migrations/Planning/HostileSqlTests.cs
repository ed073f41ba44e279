using Agent.Daemon.Migrations.Planning;

namespace Agent.Tests.Migrations.Planning;

public sealed class HostileSqlTests
{
    private static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

    // The deepest trees that fit into the longest text. A parser that runs out of stack ends the process.
    public static TheoryData<string> Deep => new(
        "SELECT 1" + Repeat("+1", 131_000), "SELECT " + Repeat("(", 200_000), "SELECT " + Repeat("-", 100) + Repeat("(", 4000) + "1" + Repeat(")", 4000), "SELECT 1" + Repeat("::int", 50_000), "SELECT 1" + Repeat(" UNION SELECT 1", 17_000),
        "SELECT " + Repeat("NOT ", 60_000) + "true", "SELECT " + Repeat("(SELECT ", 30_000), "SELECT 1 FROM a" + Repeat(" JOIN a ON 1", 20_000), "SELECT " + Repeat("ARRAY[", 40_000), "SELECT a" + Repeat(".a", 120_000),
        "SELECT 1" + Repeat(" COLLATE x", 25_000), "SELECT 1" + Repeat(" ISNULL", 36_000), "SELECT " + Repeat("CASE WHEN ", 25_000), "SELECT f(" + Repeat("f(", 100_000), "SELECT a" + Repeat("[1]", 80_000), "SELECT 1" + Repeat(" OR 1", 50_000),
        "DO $$ BEGIN " + Repeat("BEGIN ", 40_000) + "END $$", "DO $$ BEGIN " + Repeat("IF 1 THEN ", 25_000) + "END $$", "DO $$ BEGIN x := 1" + Repeat("+1", 131_000) + "; END $$", "DO $$ BEGIN " + Repeat("x := 1; ", 30_000) + "END $$");

    [Theory]
    [MemberData(nameof(Deep))]
    public void A_deep_tree_is_refused_or_read_and_ends_nothing(string sql)
    {
        Assert.True(sql.Length <= SqlParser.LongestText);
        Assert.NotEmpty(Planned.Of(sql));
    }

    [Fact]
    public void What_is_too_long_is_not_looked_into() => Assert.Equal("it is longer than 256 KiB", Planned.Of($"SELECT '{new string('x', SqlParser.LongestText)}'")[0].Unseen);

    [Fact]
    public void A_zero_byte_hides_nothing() => Assert.Equal("it holds a zero byte", Planned.Of("SELECT 1\0; DROP TABLE orders")[0].Unseen);

    [Fact]
    public void Half_a_character_is_no_trouble() => Assert.Single(Planned.Of("SELECT '\uD800'"));

    [Fact]
    public void Functions_that_call_each_other_end()
    {
        string sql = string.Join(";\n", Enumerable.Range(0, 40).Select(i => $"CREATE FUNCTION f{i}() RETURNS void LANGUAGE sql AS 'SELECT f{(i + 1) % 40}(), f{(i + 2) % 40}()'")) + ";\nSELECT f0()";
        Assert.Contains("too much within another", Planned.Of(sql)[^1].Unseen, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocks_within_blocks_end()
    {
        string sql = "DROP TABLE t";
        for (int i = 0; i < 200; i++) sql = $"DO $t{i}$ BEGIN EXECUTE $e{i}${sql}$e{i}$; END $t{i}$";
        Assert.Contains("too much within another", Planned.Of(sql)[0].Unseen, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_bytes_are_an_answer()
    {
        var random = new Random(7);
        string[] words = ["SELECT", "ALTER", "TABLE", "t", "(", ")", "'", "$$", "DO", "BEGIN", "END", ";", "ADD", "COLUMN", "int", ",", "\"", "E'\\", "--", "/*", "CREATE", "INDEX", "ON", "U&'", "é", "\u202e", "1", "::", "[", "DROP", "AS", "EXECUTE"];
        for (int i = 0; i < 300; i++)
        {
            string sql = string.Join(' ', Enumerable.Range(0, random.Next(1, 20)).Select(_ => words[random.Next(words.Length)]));
            Assert.Single(Planned.Planner.Plan([Planned.File("1_a.sql", "x") with { Statements = [new(sql, 1)] }], Catalog.Unknown, TestContext.Current.CancellationToken)[0].Statements);
        }
    }
}

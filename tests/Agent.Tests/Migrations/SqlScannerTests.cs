using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Migrations;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Migrations;

public class SqlScannerTests
{
    [Theory]
    [InlineData("")]
    [InlineData(" \n-- nothing\n/* at /* all */ */ ;; ")]
    [InlineData("SELECT 1", "SELECT 1")]
    [InlineData("SELECT 1; SELECT 2;", "SELECT 1", "SELECT 2")]
    [InlineData("-- before\nSELECT 1 -- in\n, 2 -- after\n;", "SELECT 1 -- in\n, 2")]
    [InlineData("SELECT ';', 'it''s;', E'\\';', e'\\\\', U&'d\\0061;', B'1;', X'f;', N';', \"a;\"\"b\", U&\"c;\" ; SELECT 2", "SELECT ';', 'it''s;', E'\\';', e'\\\\', U&'d\\0061;', B'1;', X'f;', N';', \"a;\"\"b\", U&\"c;\"", "SELECT 2")]
    [InlineData(@"SELECT 'c:\'; SELECT 2", @"SELECT 'c:\'", "SELECT 2")]
    [InlineData(@"SELECT nameE'\'; SELECT 2", @"SELECT nameE'\'", "SELECT 2")]
    [InlineData("SELECT E'a' -- more\n  '\\';' ; SELECT 2", "SELECT E'a' -- more\n  '\\';'", "SELECT 2")]
    [InlineData("SELECT E'a' '\\'; SELECT 2", "SELECT E'a' '\\'", "SELECT 2")]
    [InlineData("DO $$ BEGIN; END $$; SELECT $a$ $$ ; $b$ $a$, $1, a$b$c; SELECT $ä1$;$ä1$", "DO $$ BEGIN; END $$", "SELECT $a$ $$ ; $b$ $a$, $1, a$b$c", "SELECT $ä1$;$ä1$")]
    [InlineData("SELECT 1 /* ; /* ' */ ; */ + 2 ;", "SELECT 1 /* ; /* ' */ ; */ + 2")]
    [InlineData("SELECT a<--;\n b;", "SELECT a<--;\n b")]
    [InlineData("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3")]
    [InlineData("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END; SELECT 3", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END", "SELECT 3")]
    [InlineData("create or replace procedure p(a int) begin atomic insert into t values (a); end; SELECT 3", "create or replace procedure p(a int) begin atomic insert into t values (a); end", "SELECT 3")]
    [InlineData("SELECT 1 AS begin; SELECT 2 AS end;", "SELECT 1 AS begin", "SELECT 2 AS end")]
    public void Splits_as_PostgreSQL_reads(string text, params string[] statements) => Assert.Equal(statements, Texts(text));

    [Theory]
    [InlineData("\\set a 1\nSELECT :a", "SELECT 1")]
    [InlineData("\\set a shop orders\nSELECT :a, :'a', :\"a\"", "SELECT shoporders, 'shoporders', \"shoporders\"")]
    [InlineData("\\set a 'it''s \\'x\\' \\x41\\n'\nSELECT :'a'", "SELECT 'it''s ''x'' A\n'")]
    [InlineData("\\set a 'c:\\\\'\nSELECT :'a'", "SELECT  E'c:\\\\'")]
    [InlineData("\\set a '\"'\nSELECT :\"a\"", "SELECT \"\"\"\"")]
    [InlineData("\\set a 1\n\\set b :a 2\nSELECT :b", "SELECT 12")]
    [InlineData("\\set a 1\nSELECT ':a', $$:a$$, \":a\", x::a, f(y := 1), z[2:3], q[:a::a], 1::a -- :a", "SELECT ':a', $$:a$$, \":a\", x::a, f(y := 1), z[2:3], q[1::a], 1::a")]
    [InlineData("\\set a 1\nSELECT :{?a}, :{?b}", "SELECT TRUE, FALSE")]
    [InlineData("\\set a 1\n\\unset a\nSELECT :a, :'a'", "SELECT :a, :'a'")]
    [InlineData("\\set s _2026\nCREATE TABLE t:s (a int)", "CREATE TABLE t_2026 (a int)")]
    [InlineData("\\set a\nSELECT 1 :a", "SELECT 1")]
    [InlineData("\\set ON_ERROR_STOP on\n\\timing\n\\echo it's here; really\n\\pset pager off\n\\x on\n\\restrict key\nSELECT 1", "SELECT 1")]
    [InlineData("SELECT 1\n\\echo half\n+ 2;", "SELECT 1 \n+ 2")]
    public void Does_what_psql_does(string text, params string[] statements) => Assert.Equal(statements, Texts(text));

    [Fact]
    public void Tells_the_line_of_the_first_word() =>
        Assert.Equal([1, 3, 6], Scan("SELECT 1;\n-- x\nSELECT\n2; /*\n\n*/ SELECT 3").Select(one => one.Statement.Line));

    [Fact]
    public void Gives_copy_its_data()
    {
        IReadOnlyList<ScannedStatement> found = Scan("COPY t (a, b) FROM stdin;  -- data\n1\t'\n;\t\\N\n\\.\nCOPY public.u FROM STDIN WITH (FORMAT csv);\r\n\\.\r\nSELECT 1");
        Assert.Equal([new SqlStatement("COPY t (a, b) FROM stdin", 1, "1\t'\n;\t\\N\n"), new SqlStatement("COPY public.u FROM STDIN WITH (FORMAT csv)", 5, ""), new SqlStatement("SELECT 1", 7)], found.Select(one => one.Statement));
    }

    [Theory]
    [InlineData("SELECT 1;\nSELECT 'open;\n", ":2: a string begins here")]
    [InlineData("SELECT\n\"open;\n", ":2: a quoted name begins here")]
    [InlineData("SELECT E'a\\'", ":1: a string begins here")]
    [InlineData("SELECT 1;\n/* /* */\n", ":2: a comment begins here")]
    [InlineData("DO $do$ $$ $do $;\n", ":1: a text begins here with $do$")]
    [InlineData("SELECT 1;\nSELECT (1;\nSELECT 2;", ":2: '(' is never closed")]
    [InlineData("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;", ":1: BEGIN ATOMIC has no END")]
    [InlineData("COPY t FROM stdin;\n1\n", ":1: COPY ... FROM stdin has no end")]
    [InlineData("COPY t FROM stdin", ":1: COPY ... FROM stdin has no end")]
    [InlineData("COPY t FROM stdin; SELECT 1;\n\\.\n", ":1: something stands between")]
    [InlineData("\n\\i other.sql", ":2: \\i reads another file; write its statements here")]
    [InlineData("\\ir other.sql", ":1: \\ir reads another file")]
    [InlineData("\\copy t from 'x'", "write COPY ... FROM stdin;")]
    [InlineData("SELECT 'x' \\gexec", ":1: \\gexec runs")]
    [InlineData("\\if true", ":1: \\if decides")]
    [InlineData("\\connect shop", ":1: \\connect goes")]
    [InlineData("\\! rm", ":1: \\! leaves")]
    [InlineData("SELECT 1 \\; SELECT 2;", ":1: \\; ends")]
    [InlineData("\\.", ":1: \\. ends no data")]
    [InlineData("\\frobnicate", ":1: \\frobnicate is a command of psql that is not known")]
    [InlineData("\\", ":1: \\ is a command")]
    [InlineData("\\set a `date`", ":1: \\set cannot be read")]
    [InlineData("\\set a 'open", ":1: \\set cannot be read")]
    [InlineData("\\set a '\\xff'", ":1: \\set cannot be read")]
    [InlineData("\\set a-b 1", ":1: \\set names no variable")]
    [InlineData("\\set ON_ERROR_STOP off", ":1: ON_ERROR_STOP is off")]
    [InlineData("\\encoding LATIN1", ":1: \\encoding")]
    [InlineData("\\set a '1; DROP TABLE t'\nSELECT :a", ":2: is not one statement")]
    [InlineData("\\set a ''''\nSELECT :a", ":2: is not one statement")]
    [InlineData("\\set a ' -- x'\nSELECT 1 :a", ":2: is not one statement")]
    [InlineData("SELECT 1,\n'\0'", ":2: holds a NUL")]
    public void Refuses_with_file_and_line(string text, string problem)
    {
        var problems = new Problems();
        SqlScanner.Scan(text, "0001_a.sql", problems);
        Assert.Contains(problem, Told(problems), StringComparison.Ordinal);
        Assert.StartsWith("0001_a.sql:", Told(problems), StringComparison.Ordinal);
    }

    [Fact]
    public void Words_are_those_that_are_sent() => Assert.Equal(["commit", "work"], Scan("\\set a mit\ncom:a work").Single().Words);

    [Fact]
    public void Any_statements_that_are_rendered_come_back() => Prop.ForAll(Files().ToArbitrary(), pieces =>
    {
        var text = new StringBuilder();
        foreach ((string before, string statement) in pieces) text.Append(before).Append(statement).Append(';');
        return Texts(text.ToString()).SequenceEqual(pieces.Select(piece => piece.Statement));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Any_text_is_split_without_loss_or_told() => Prop.ForAll(Hostile().ToArbitrary(), text =>
    {
        var problems = new Problems();
        IReadOnlyList<ScannedStatement> found = SqlScanner.Scan(text, "a.sql", problems).Statements;
        if (problems.Count > 0) return true;
        if (text.Contains('\\', StringComparison.Ordinal)) return true;   // of psql, or data
        int at = 0;
        foreach (ScannedStatement one in found)
        {
            // The same characters may stand in a comment before it.
            int start = text.IndexOf(one.Statement.Text, at, StringComparison.Ordinal);
            while (start >= 0 && !Is(text[at..(start + one.Statement.Text.Length)], one.Statement.Text)) start = text.IndexOf(one.Statement.Text, start + 1, StringComparison.Ordinal);
            if (start < 0) return false;
            at = start + one.Statement.Text.Length;
        }
        return Is(text[at..]);

        static bool Is(string part, params string[] statements)
        {
            var problems = new Problems();
            return SqlScanner.Scan(part, "a.sql", problems).Statements.Select(one => one.Statement.Text).SequenceEqual(statements) && problems.Count == 0;
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    // No clock: where the time grew with the square of the length, these would take hours.
    [Theory]
    [InlineData("$a ")]
    [InlineData("E'a'\n")]
    [InlineData("(")]
    [InlineData("/*")]
    [InlineData("-- agentd: phase=expand\n")]
    [InlineData("\\i x\n")]
    [InlineData(":a")]
    [InlineData("'';")]
    [InlineData("$1$")]
    [InlineData("COPY t FROM stdin;\n\\.\n")]
    [InlineData("\\set a :a:a\n")]
    public void Reads_10_MiB_of_anything(string piece)
    {
        var problems = new Problems();
        SqlScanner.Scan("\\set a xxxxxxxxx\n" + new StringBuilder().Insert(0, piece, (10 << 20) / piece.Length), "a.sql", problems);
        Assert.InRange(problems.Count, 0, 20);
    }

    private static Gen<(string Before, string Statement)[]> Files()
    {
        string[] tokens =
        [
            "SELECT", "a", "\"b;\"\"\"", "';'", "'it''s'", "E'\\';'", "$$;$$", "$x$ $$;' $x$", "(", ")", "1", "2.5e3", "+", "-", "*", "::", ":=", "[1:2]", "/* ; */", "/* /* ' */ */", "-- ;'\n", "CASE", "END",
            "begin", "create", "function", "U&'\\0061;'", "ä", "$1", "e", "u&", "<", ">",
        ];
        string[] spaces = [" ", "\n", "\t", "-- ' ;\n", "/* ; $$ */", " \r\n "];
        Gen<string> statement =
            from some in Gen.Elements(tokens).ArrayOf()
            let balanced = Balanced(some)
            select "SELECT " + string.Join(' ', balanced) + "x";
        Gen<string> before = Gen.Elements(spaces).ArrayOf().Select(string.Concat);
        return before.Zip(statement).ArrayOf();
    }

    private static IEnumerable<string> Balanced(string[] tokens)
    {
        int open = 0;
        foreach (string token in tokens)
        {
            if (token == ")" && open-- <= 0)
            {
                open = 0;
                continue;
            }
            if (token == "(") open++;
            yield return token;
        }
        for (; open > 0; open--) yield return ")";
    }

    private static Gen<string> Hostile() =>
        Gen.Elements("'", "\"", "$$", "$a$", "$", "E'", "\\", "\\.", "\n", ";", "(", ")", "--", "/*", "*/", ":", ":a", ":'a'", "\\set a ", "COPY t FROM stdin", "CREATE FUNCTION", "BEGIN", "END", "CASE", " ", "x", "1", "\0", "ä", "U&", "\r", "{?")
            .ArrayOf().Select(string.Concat);

    private static string[] Texts(string text) => [.. Scan(text).Select(one => one.Statement.Text)];

    private static IReadOnlyList<ScannedStatement> Scan(string text)
    {
        var problems = new Problems();
        IReadOnlyList<ScannedStatement> found = SqlScanner.Scan(text, "0001_a.sql", problems).Statements;
        problems.ThrowIfAny(ExitCode.Refused, "");
        return found;
    }

    private static string Told(Problems problems) => Assert.Throws<OperatorException>(() => problems.ThrowIfAny(ExitCode.Refused, "")).Message;
}

using System.Text;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Migrations;

/// <summary>A statement, and the words by which its kind is told.</summary>
/// <param name="Words">Its first unquoted words outside of parentheses, in lower case; at most <see cref="SqlScanner.MostWords"/>.</param>
internal sealed record ScannedStatement(SqlStatement Statement, IReadOnlyList<string> Words);

/// <summary>A comment of one line that is meant for a program: <c>-- agentd: ...</c>, <c>-- +goose ...</c>, <c>-- migrate:...</c>.</summary>
/// <param name="Text">Without the dashes and the white space around it.</param>
/// <param name="AtTop">It stands before the first statement.</param>
internal sealed record SqlComment(int Line, string Text, bool AtTop);

/// <summary>
/// Splits a file into its statements by PostgreSQL's lexical rules (standard_conforming_strings on), fills psql variables in, and refuses psql commands
/// that cannot be had. Takes time and memory by the file's length.
/// </summary>
/// <remarks>Source: psqlscan.l and scan.l of PostgreSQL 15; the rule by which BEGIN ATOMIC ... END is told is psql's own.</remarks>
internal sealed class SqlScanner
{
    public const int MostWords = 16;

    // Nobody reads more problems of one file, and no file needs more comments that mean something.
    private const int MostProblems = 20, MostComments = 1000;

    private readonly string text;
    private readonly string file;
    private readonly Problems problems;
    private readonly PsqlVariables? variables;
    private readonly List<ScannedStatement> statements = [];
    private readonly List<SqlComment> comments = [];

    // The file: where we are.
    private int at;
    private int line = 1, found;
    private bool broken;

    // The statement: what we have of it.
    private readonly StringBuilder filled = new();
    private int copied, end, first;
    private readonly List<string> words = [];
    private readonly List<int> open = [];
    private string previous = "";
    private int begun;
    private bool copyFromInput, substituted;

    /// <param name="variables">Null: the text is one statement, with the variables filled in.</param>
    private SqlScanner(string text, string file, Problems problems, PsqlVariables? variables) => (this.text, this.file, this.problems, this.variables) = (text, file, problems, variables);

    /// <param name="file">As people know it, for <paramref name="problems"/>.</param>
    /// <returns>What could be read; where something was added to <paramref name="problems"/>, not all.</returns>
    public static (IReadOnlyList<ScannedStatement> Statements, IReadOnlyList<SqlComment> Comments) Scan(string text, string file, Problems problems)
    {
        var scanner = new SqlScanner(text, file, problems, new PsqlVariables());
        scanner.Run();
        return (scanner.statements, scanner.comments);
    }

    private char Here(int ahead = 0) => at + ahead < text.Length ? text[at + ahead] : '\0';

    private bool Starts(string what) => string.CompareOrdinal(text, at, what, 0, what.Length) == 0;

    private void Wrong(int where, string what, string instead)
    {
        problems.Add(file, where, what, instead);
        broken |= ++found == MostProblems;
    }

    private void Run()
    {
        if (text.IndexOf('\0', StringComparison.Ordinal) is >= 0 and var nul) Broken(text.AsSpan(0, nul).Count('\n') + 1, "holds a NUL, which PostgreSQL does not take", "take it out");
        while (at < text.Length && !broken)
        {
            char c = text[at];
            if (IsSpace(c)) Pass(at + 1);
            else if (Starts("--")) LineComment();
            else if (Starts("/*")) BlockComment();
            else if (c == '\\') Command();
            else if (c == ';' && open.Count == 0 && begun == 0) Finish();
            else Token(c);
        }
        if (broken) return;
        if (first > 0 && open.Count > 0) Wrong(open[0], "'(' is never closed", "close it, or take it out");
        else if (first > 0 && begun > 0) Wrong(first, "BEGIN ATOMIC has no END", "end the body with END");
        else if (first > 0) EndStatement();
    }

    // Takes a token into the statement.
    private void Token(char c)
    {
        if (first == 0) (first, copied) = (line, at);
        string before = previous;
        previous = "";
        int start = at;
        if (IsIdentifierStart(c))
        {
            int length = 1;
            while (IsIdentifierPart(Here(length))) length++;
            if (c is 'e' or 'E' && length == 1 && Here(1) == '\'') Quoted(2, '\'', escapes: true);
            else if (c is 'u' or 'U' && length == 1 && Here(1) == '&' && Here(2) is '\'' or '"') Quoted(3, Here(2), escapes: false);
            else if (c is 'b' or 'B' or 'x' or 'X' or 'n' or 'N' && length == 1 && Here(1) == '\'') Quoted(2, '\'', escapes: false);
            else
            {
                Pass(at + length);
                Word(text[start..at].ToLowerInvariant(), before);
            }
        }
        else if (c is '\'' or '"') Quoted(1, c, escapes: false);
        else if (c == '$') Dollar();
        else if (c == ':') Colon();
        else if (char.IsAsciiDigit(c))
        {
            int length = 1;
            while (char.IsAsciiDigit(Here(length))) length++;
            Pass(at + length);
        }
        else
        {
            if (c == '(') open.Add(line);
            else if (c == ')' && open.Count > 0) open.RemoveAt(open.Count - 1);
            Pass(at + 1);
        }
        end = at;
    }

    // psql's heuristic: only in CREATE [OR REPLACE] FUNCTION or PROCEDURE does BEGIN open a body, and CASE in it takes an END as well.
    private void Word(string word, string before)
    {
        previous = word;
        if (open.Count > 0) return;
        if (words.Count < MostWords) words.Add(word);
        if (words is ["copy", ..] && before == "from" && word == "stdin") copyFromInput = true;
        if (words is not (["create", "function" or "procedure", ..] or ["create", "or", "replace", "function" or "procedure", ..])) return;
        if (word == "begin" || (word == "case" && begun > 0)) begun++;
        else if (word == "end" && begun > 0) begun--;
    }

    /// <param name="prefix">Characters up to and with the opening quote.</param>
    private void Quoted(int prefix, char quote, bool escapes)
    {
        int start = line;
        for (int i = at + prefix; i < text.Length; i++)
        {
            if (escapes && text[i] == '\\') i++;
            else if (text[i] != quote) continue;
            else if (i + 1 < text.Length && text[i + 1] == quote) i++;
            else if (escapes && Continuation(i + 1) is { } next) i = next;
            else
            {
                Pass(i + 1);
                return;
            }
        }
        Broken(start, quote == '"' ? "a quoted name begins here and does not end" : "a string begins here and does not end", $"close it with {quote}");
    }

    // A string goes on behind white space with a line feed in it, and keeps its kind.
    private int? Continuation(int i)
    {
        bool feed = false;
        for (; i < text.Length; i++)
        {
            if (text[i] is '\n' or '\r') feed = true;
            else if (text[i] == '-' && i + 1 < text.Length && text[i + 1] == '-') i = EndOfLine(i) - 1;
            else if (!IsSpace(text[i])) return feed && text[i] == '\'' ? i : null;
        }
        return null;
    }

    private void Dollar()
    {
        int length = 1;
        if (Here(1) != '$' && !IsIdentifierStart(Here(1)))
        {
            Pass(at + 1);
            return;
        }
        while (Here(length) != '$' && IsIdentifierPart(Here(length))) length++;
        if (Here(length) != '$')
        {
            Pass(at + 1);
            return;
        }
        string tag = text.Substring(at, length + 1);
        int close = text.IndexOf(tag, at + tag.Length, StringComparison.Ordinal);
        if (close < 0) Broken(line, $"a text begins here with {Shown(tag)} and does not end", $"close it with {Shown(tag)}");
        else Pass(close + tag.Length);
    }

    private void Colon()
    {
        if (Here(1) is ':' or '=')
        {
            Pass(at + 2);
            return;
        }
        if (variables?.Reference(text, at) is not var (value, length))
        {
            Pass(at + 1);
            return;
        }
        filled.Append(text, copied, at - copied).Append(value);
        substituted = true;
        Pass(at + length);
        copied = at;
        if (!variables.Take(value.Length)) Broken(line, $"variables add more than {PsqlVariables.MostCharacters >> 20} MiB to the file", "write the values in their places");
    }

    private void LineComment()
    {
        int stop = EndOfLine(at);
        string comment = text[(at + 2)..stop].Trim();
        if (comment.StartsWith("agentd:", StringComparison.Ordinal) || comment.StartsWith('+') || comment.StartsWith("migrate:", StringComparison.Ordinal))
            comments.Add(new SqlComment(line, comment, first == 0 && statements.Count == 0));
        Pass(stop);
        if (comments.Count > MostComments) Broken(line, "holds too many comments for programs", "keep those at the top");
    }

    private void BlockComment()
    {
        int depth = 0;
        for (int i = at; i + 1 < text.Length; i++)
        {
            if (text[i] == '/' && text[i + 1] == '*')
            {
                depth++;
                i++;
            }
            else if (text[i] == '*' && text[i + 1] == '/')
            {
                depth--;
                i++;
                if (depth > 0) continue;
                Pass(i + 1);
                return;
            }
        }
        Broken(line, "a comment begins here and does not end", "close it with */, once for each /* in it");
    }

    private void Command()
    {
        int stop = EndOfLine(at);
        if (variables is null) Wrong(line, "holds a backslash", "take it out");
        else if (variables.Command(text[(at + 1)..stop]) is var (what, instead)) Wrong(line, what, instead);
        if (first > 0)
        {
            filled.Append(text, copied, end - copied).Append(' ');
            copied = end = stop;
            substituted = true;
        }
        Pass(stop);
    }

    private void Finish()
    {
        Pass(at + 1);
        if (first > 0) EndStatement();
    }

    private void EndStatement()
    {
        int start = first;
        string statement = filled.Append(text, copied, end - copied).ToString().TrimEnd(' ');
        if (substituted) ReadFilled(statement);
        string? data = !copyFromInput ? null : variables is null ? "" : CopyData(start);
        statements.Add(new ScannedStatement(new SqlStatement(statement, start, data), [.. words]));
        filled.Clear();
        words.Clear();
        open.Clear();
        (first, begun, previous, copyFromInput, substituted) = (0, 0, "", false, false);
    }

    // What a variable holds may end a statement, or make it another one.
    private void ReadFilled(string statement)
    {
        var inner = new SqlScanner(statement, file, new Problems(), variables: null);
        inner.Run();
        if (inner.found > 0 || inner.statements is not [var only] || only.Statement.Text != statement || only.Statement.CopyData is null == copyFromInput)
            Wrong(first, "is not one statement when its variables are filled in", "write what they hold in their places");
        else
        {
            words.Clear();
            words.AddRange(only.Words);
        }
    }

    private string? CopyData(int statement)
    {
        int stop = EndOfLine(at);
        string rest = text[at..stop].Trim();
        if (rest.Length > 0 && !rest.StartsWith("--", StringComparison.Ordinal)) Wrong(line, "something stands between COPY ... FROM stdin; and its data", "begin the data in the next line");
        int data = text.IndexOf('\n', at) + 1;
        for (int i = data; data > 0 && i < text.Length;)
        {
            int feed = text.IndexOf('\n', i);
            if (feed < 0) feed = text.Length;
            if (text.AsSpan(i, feed - i).TrimEnd('\r') is "\\.")
            {
                Pass(feed);
                return text[data..i];
            }
            i = feed + 1;
        }
        Broken(statement, "COPY ... FROM stdin has no end of its data", "write the data below it, and \\. in a line of its own behind");
        return null;
    }

    private void Broken(int where, string what, string instead)
    {
        Wrong(where, what, instead);
        broken = true;
    }

    // Goes on at a place, counting lines.
    private void Pass(int to)
    {
        line += text.AsSpan(at, to - at).Count('\n');
        at = to;
    }

    private int EndOfLine(int from)
    {
        int stop = text.AsSpan(from).IndexOfAny('\n', '\r');
        return stop < 0 ? text.Length : from + stop;
    }

    private static string Shown(string tag) => tag.Length <= 66 ? tag : tag[..64] + "...";

    internal static bool IsSpace(char c) => c is ' ' or '\t' or '\n' or '\r' or '\f' or '\v';

    internal static bool IsIdentifierStart(char c) => char.IsAsciiLetter(c) || c == '_' || c >= '\u0080';

    private static bool IsIdentifierPart(char c) => IsIdentifierStart(c) || char.IsAsciiDigit(c) || c == '$';
}

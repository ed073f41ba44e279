using System.Text;

namespace Agent.Daemon.Migrations;

/// <summary>psql's commands in a file: variables are set and filled in, what only shows something is passed over, all else is refused.</summary>
/// <remarks>Source: psql(1), "Meta-Commands" and "SQL Interpolation"; psqlscanslash.l.</remarks>
internal sealed class PsqlVariables
{
    /// <summary>That variables may add to one file.</summary>
    public const int MostCharacters = 16 << 20;

    private const int LongestValue = 64 << 10;

    // They show something, or choose how it is shown; \restrict is pg_dump's, and forbids what is refused here anyway.
    private static readonly string[] Display = ["echo", "qecho", "warn", "timing", "pset", "x", "a", "t", "f", "H", "html", "C", "T", "conninfo", "errverbose", "restrict", "unrestrict"];

    private readonly Dictionary<string, string> values = new(StringComparer.Ordinal);
    private int filled;

    /// <summary>Counts what was filled in.</summary>
    /// <returns>False: it is too much.</returns>
    public bool Take(int characters) => (filled += characters) <= MostCharacters;

    /// <summary>What stands for <c>:NAME</c>, <c>:'NAME'</c>, <c>:"NAME"</c> or <c>:{?NAME}</c>.</summary>
    /// <param name="at">Of the colon.</param>
    /// <returns>The text to put there, and the length of what it replaces; null: it is no variable that was set, and stays.</returns>
    public (string Value, int Length)? Reference(string text, int at)
    {
        char kind = at + 1 < text.Length ? text[at + 1] : '\0';
        int start = kind switch { '\'' or '"' => at + 2, '{' => at + 3, _ => at + 1 };
        if (kind == '{' && (at + 2 >= text.Length || text[at + 2] != '?')) return null;
        int stop = start;
        while (stop < text.Length && IsNamePart(text[stop])) stop++;
        if (stop == start) return null;
        if (kind is '\'' or '"' or '{' && (stop >= text.Length || text[stop] != (kind == '{' ? '}' : kind))) return null;
        string name = text[start..stop];
        bool known = values.TryGetValue(name, out string? value);
        if (kind == '{') return (known ? "TRUE" : "FALSE", stop + 1 - at);
        if (!known) return null;
        return kind switch
        {
            '\'' => (Literal(value!), stop + 1 - at),
            '"' => ('"' + value!.Replace("\"", "\"\"", StringComparison.Ordinal) + '"', stop + 1 - at),
            _ => (value!, stop - at),
        };
    }

    /// <summary>Does what a command says.</summary>
    /// <param name="text">What follows the backslash, to the end of the line.</param>
    /// <returns>Null: it was done; else what is wrong, and what to write instead.</returns>
    public (string What, string Instead)? Command(string text)
    {
        int length = 0;
        while (length < text.Length && !SqlScanner.IsSpace(text[length]) && text[length] != '\\') length++;
        if (length == 0 && text.Length > 0) length = 1;
        string name = text[..length], rest = text[length..];
        return name switch
        {
            "set" => Set(rest),
            "unset" => Unset(rest),
            "encoding" => rest.Trim().Trim('\'').ToUpperInvariant() is "" or "UTF8" or "UTF-8" or "UNICODE" ? null : ("\\encoding names another encoding", "save the file as UTF-8"),
            _ when Display.Contains(name) => null,
            "i" or "include" or "ir" or "include_relative" => ($"\\{name} reads another file", "write its statements here, or make it a migration of its own"),
            "copy" => ("\\copy is psql's own", "write COPY ... FROM stdin; with the data below it, and \\. behind"),
            "gexec" => ("\\gexec runs what a query gives", "write a DO block that EXECUTEs it"),
            "gset" => ("\\gset keeps what a query gives", "write a DO block with variables"),
            "if" or "elif" or "else" or "endif" => ($"\\{name} decides in psql", "decide in SQL: IF EXISTS, or a DO block"),
            "c" or "connect" => ($"\\{name} goes to another database", "a migration stays in the app's database; take it out"),
            "!" or "o" or "out" or "w" or "write" or "cd" => ($"\\{name} leaves the database", "do that in a hook"),
            "g" or "gx" or "gdesc" or "crosstabview" or "watch" or ";" => ($"\\{name} ends a statement in psql", "end it with ;"),
            "q" or "quit" => ($"\\{name} would leave the rest out", "take it and the rest out"),
            "prompt" or "password" => ($"\\{name} asks a person", "write the value in the file"),
            "." => ("\\. ends no data here", "take it out"),
            _ => ($"\\{Shown(name)} is a command of psql that is not known here", "write it in SQL, or take it out"),
        };
    }

    private (string What, string Instead)? Set(string rest)
    {
        if (Words(rest) is not { } words) return ("\\set cannot be read", "write \\set NAME VALUE or \\set NAME 'VALUE' in a line of its own, without backquotes");
        if (words.Count == 0) return null;
        string name = words[0], value = string.Concat(words.Skip(1));
        if (name.Length == 0 || !name.All(IsNamePart)) return ("\\set names no variable", "use letters, digits and '_'");
        if (value.Length > LongestValue) return ($"\\set gives {Shown(name)} more than {LongestValue >> 10} KiB", "write the value in its place");
        bool off = value.ToLowerInvariant() is "off" or "false" or "no" or "0";
        if (name == "ON_ERROR_STOP" && off) return ("ON_ERROR_STOP is off", "a migration runs whole or not at all; take it out");
        if (name == "ON_ERROR_ROLLBACK" && !off && value != "interactive") return ("ON_ERROR_ROLLBACK goes on after an error", "a migration runs whole or not at all; take it out");
        if (!Take(value.Length)) return ($"variables add more than {MostCharacters >> 20} MiB to the file", "write the values in their places");
        values[name] = value;
        return null;
    }

    private (string What, string Instead)? Unset(string rest)
    {
        if (Words(rest) is not [var name]) return ("\\unset names no variable", "write \\unset NAME in a line of its own");
        values.Remove(name);
        return null;
    }

    /// <summary>The arguments of a command; null where there is something in them that psql would do and we do not.</summary>
    private List<string>? Words(string text)
    {
        var words = new List<string>();
        StringBuilder? word = null;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (SqlScanner.IsSpace(c))
            {
                if (word is not null) words.Add(word.ToString());
                word = null;
                continue;
            }
            word ??= new StringBuilder();
            if (word.Length > LongestValue) break;
            if (c is '\\' or '`') return null;
            if (c == '\'')
            {
                if (SingleQuoted(text, i + 1, word) is not { } close) return null;
                i = close;
            }
            else if (c == '"')
            {
                int close = text.IndexOf('"', i + 1);
                if (close < 0) return null;
                word.Append(text, i, close + 1 - i);   // they stay: an identifier's quotes
                i = close;
            }
            else if (c == ':' && Reference(text, i) is var (value, length))
            {
                word.Append(value);
                i += length - 1;
            }
            else word.Append(c);
        }
        if (word is not null) words.Add(word.ToString());
        return words;
    }

    /// <returns>Where the closing quote stands.</returns>
    private static int? SingleQuoted(string text, int i, StringBuilder value)
    {
        for (; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\'' && i + 1 < text.Length && text[i + 1] == '\'') value.Append(text[i++]);
            else if (c == '\'') return i;
            else if (c != '\\') value.Append(c);
            else if (++i == text.Length || Escape(text, i, value) is not { } last) return null;
            else i = last;
        }
        return null;
    }

    /// <returns>Where the last character of the escape stands; null: it is no character by itself.</returns>
    private static int? Escape(string text, int i, StringBuilder value)
    {
        bool hexadecimal = text[i] == 'x';
        if (!hexadecimal && text[i] is not (>= '0' and <= '7'))
        {
            value.Append(text[i] switch { 'n' => '\n', 't' => '\t', 'b' => '\b', 'r' => '\r', 'f' => '\f', var c => c });
            return i;
        }
        int start = hexadecimal ? i + 1 : i, length = 0, number = 0;
        while (length < (hexadecimal ? 2 : 3) && start + length < text.Length && (hexadecimal ? char.IsAsciiHexDigit(text[start + length]) : text[start + length] is >= '0' and <= '7'))
            number = (number * (hexadecimal ? 16 : 8)) + Convert.ToInt32(text[start + length++].ToString(), 16);
        if (number is 0 or > 0x7F) return null;
        value.Append((char)number);
        return start + length - 1;
    }

    // As PQescapeLiteral: a backslash makes it an E'' string.
    private static string Literal(string value)
    {
        string doubled = value.Replace("'", "''", StringComparison.Ordinal);
        return value.Contains('\\', StringComparison.Ordinal) ? $" E'{doubled.Replace("\\", @"\\", StringComparison.Ordinal)}'" : $"'{doubled}'";
    }

    private static bool IsNamePart(char c) => char.IsAsciiLetterOrDigit(c) || c == '_' || c >= '\u0080';

    private static string Shown(string name) => string.Concat(name.Where(c => !char.IsControl(c)).Take(20));
}

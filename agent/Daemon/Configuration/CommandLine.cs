using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>
/// A program of the release and its arguments, in systemd's own syntax: quotes, backslash escapes and <c>$VARIABLE</c> mean what
/// systemd.service(5), "Command lines", says. Checked here, so that a mistake is told before a unit is written.
/// </summary>
internal static partial class CommandLine
{
    /// <returns>The command, without surrounding blanks.</returns>
    /// <exception cref="OperatorException">It is empty, leaves the release, or systemd would not take it as one command (<see cref="ExitCode.Usage"/>).</exception>
    public static string Check(string text) => Check(text, mayBeAbsolute: false);

    /// <summary>As the other one; the program may also be one of the host where <paramref name="mayBeAbsolute"/> says so.</summary>
    public static string Check(string text, bool mayBeAbsolute)
    {
        string command = text.Trim(' ');
        if (command.Length == 0) throw Wrong("the command is empty", "write the program and its arguments: bin/shop --port 8080");
        if (command.Length > 8192) throw Wrong("the command is longer than 8,192 characters", "put the arguments into a file of the release");
        if (command.Any(c => char.IsControl(c) || c is '\u2028' or '\u2029')) throw Wrong("the command holds a line break or control character", "write it in one line");
        string program = command.Split(' ', 2)[0];
        if (program.StartsWith('/') && mayBeAbsolute) program = program[1..];
        else if (program.StartsWith('/')) throw Wrong($"{program} is not inside the release", "write the path from the top of the release: bin/shop");
        if (!ProgramPattern().IsMatch(program)) throw Wrong($"'{program}' is not a program's path", "use letters, digits and . _ + / @ -, without quotes or prefixes");
        if (program.Split('/').Any(part => part is "" or "." or "..")) throw Wrong($"{program} is not a plain path", "write it without '.', '..' and '//'");
        Scan(command);
        return command;
    }

    // Source: extract_first_word() of systemd as service units use it: quotes may begin anywhere in a word, escapes work inside and
    // outside of quotes, an unknown escape or an open quote makes the unit bad, a word of a lone semicolon begins another command.
    private static void Scan(string command)
    {
        char quote = '\0';
        for (int i = 0; i < command.Length; i++)
        {
            char c = command[i];
            if (c == '\\')
            {
                Match escape = EscapePattern().Match(command, i);
                if (!escape.Success) throw Wrong("a backslash in the command begins no escape that systemd knows", @"write \\ for a backslash");
                i += escape.Length - 1;
            }
            else if (quote != '\0') quote = c == quote ? '\0' : quote;
            else if (c is '"' or '\'') quote = c;
            else if (c == ';' && (i == 0 || command[i - 1] == ' ') && (i + 1 == command.Length || command[i + 1] == ' '))
                throw Wrong("a lone ';' in the command would begin another one", @"write \; to pass it on");
        }
        if (quote != '\0') throw Wrong($"a quote ({quote}) in the command is not closed", $"close it, or write \\{quote}");
    }

    private static OperatorException Wrong(string what, string remedy) => new(ExitCode.Usage, what, remedy);

    [GeneratedRegex(@"\A[A-Za-z0-9_.][A-Za-z0-9_.+/@-]*\z")]
    private static partial Regex ProgramPattern();

    // Octal and hexadecimal escapes could smuggle in a NUL, which systemd refuses too.
    [GeneratedRegex(@"\G\\(?:[abfnrtvs\\""';]|x(?!00)[0-9A-Fa-f]{2}|(?!000)[0-3][0-7]{2}|u(?!0000)[0-9A-Fa-f]{4}|U(?!00000000)[0-9A-Fa-f]{8})")]
    private static partial Regex EscapePattern();
}

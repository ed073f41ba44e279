using System.Text;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.Configuration;

/// <summary>
/// Reads NAME=VALUE lines as systemd's EnvironmentFile= does, or not at all: what people, shells and systemd would read in different ways
/// is refused. Source: systemd.exec(5), EnvironmentFile=, and parse_env_file_internal() of systemd 252.
/// </summary>
/// <remarks>No message holds any part of a line but a name that is one: the rest may be a secret.</remarks>
internal static class SecretsFile
{
    // MAX_ARG_STRLEN of the kernel, with the NUL: execve(2) fails for a longer NAME=VALUE.
    private const int MaximumEntry = (128 << 10) - 1;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads a file that is root's (the agent's own where it does not run as root) and that nobody else can read; empty where <paramref name="problems"/> tells why not.</summary>
    public static IReadOnlyDictionary<string, string> Load(IDisk disk, string file, Problems problems)
    {
        var none = new Dictionary<string, string>();
        if (disk.Status(file) is not { } status)
        {
            problems.Add(file, 0, "is not there, or cannot be looked at", "make it with mode 600, or name another in secrets");
            return none;
        }
        // The type first: opening a fifo would wait for ever.
        if (status.Type != FileStatus.FileType.File)
        {
            problems.Add(file, 0, status.Type == FileStatus.FileType.Link ? "is a link" : "is no file", "put the file itself there, or name its own path in secrets");
            return none;
        }
        if (Environment.IsPrivilegedProcess && status.Owner != 0) problems.Add(file, 0, "does not belong to root", $"run 'chown root: {file}'");
        if ((status.Mode & ~(DurableOperations.Mode700)) != 0) problems.Add(file, 0, "is open to others than its owner", $"run 'chmod 600 {file}'");
        try
        {
            using Stream stream = disk.OpenRead(file);
            byte[] buffer = new byte[Yaml.MaximumBytes + 1];
            int length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            if (length <= Yaml.MaximumBytes) return Parse(Strict.GetString(buffer, 0, length), file, problems);
            problems.Add(file, 0, "is larger than 1 MiB", "secrets are a few lines; give what is larger as a credential");
        }
        catch (DecoderFallbackException)
        {
            problems.Add(file, 0, "is not UTF-8", "save it as UTF-8");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add(file, 0, $"cannot be read: {e.Message}", "see its owner and mode");
        }
        return none;
    }

    /// <returns>The lines that are right.</returns>
    public static IReadOnlyDictionary<string, string> Parse(string text, string file, Problems problems)
    {
        var secrets = new Dictionary<string, string>(StringComparer.Ordinal);
        var lines = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((int index, string raw) in text.Split('\n').Index())
        {
            int line = index + 1;
            void Wrong(string what, string instead) => problems.Add(file, line, what, instead);
            string content = raw.EndsWith('\r') ? raw[..^1] : raw;
            string trimmed = content.Trim(' ', '\t');
            if (trimmed.Length == 0) continue;
            if (trimmed[0] is '#' or ';')
            {
                // Up to systemd 253 such a line takes the next one along.
                if (trimmed.Contains('\\', StringComparison.Ordinal)) Wrong("is a remark with a backslash, which may take the next line along", "take the backslash out");
                continue;
            }
            if (trimmed.Any(c => char.IsControl(c) && c != '\t'))
            {
                Wrong("holds a control character", "give the value as a credential, which may hold anything");
                continue;
            }
            int equals = trimmed.IndexOf('=', StringComparison.Ordinal);
            string name = equals < 0 ? "" : trimmed[..equals];
            if (!Names.IsVariable(name)) Wrong("is not NAME=VALUE", "use letters, digits and '_' for the name, and no blank before '='");
            else if (!lines.TryAdd(name, line)) Wrong($"{name} is here twice, first in line {lines[name]}", "keep one");
            else if (Value(trimmed[(equals + 1)..], (what, instead) => Wrong($"{name} {what}", instead)) is not { } value) continue;
            else if (Encoding.UTF8.GetByteCount(name) + 1 + Encoding.UTF8.GetByteCount(value) > MaximumEntry) Wrong($"{name} is longer than 128 KiB", "give it as a credential");
            else secrets[name] = value;
        }
        return secrets;
    }

    /// <param name="text">What follows the <c>=</c>, without blanks at its end.</param>
    private static string? Value(string text, Action<string, string> wrong)
    {
        if (text.Length == 0) return "";
        if (text[0] is ' ' or '\t')
        {
            wrong("has a blank after '='", "take it out, or put the value into single quotes");
            return null;
        }
        if (text[0] is not ('"' or '\''))
        {
            if (text.AsSpan().ContainsAny("\"'\\"))
            {
                wrong("holds a quote or backslash, but is not in quotes", "put the value into single quotes");
                return null;
            }
            return text;
        }
        char quote = text[0];
        var value = new StringBuilder();
        for (int i = 1; i < text.Length; i++)
        {
            char c = text[i];
            if (c == quote)
            {
                if (i == text.Length - 1) return value.ToString();
                wrong("goes on after its closing quote", "put the whole value into one pair of quotes");
                return null;
            }
            if (c == '\\' && quote == '"')
            {
                if (i + 1 == text.Length || text[i + 1] is not ('"' or '\\' or '`' or '$'))
                {
                    wrong("holds a backslash that escapes nothing", "write \\\\ for a backslash, or put the value into single quotes");
                    return null;
                }
                c = text[++i];
            }
            value.Append(c);
        }
        wrong("has an open quote", "close it in the same line; give a text of several lines as a credential");
        return null;
    }
}

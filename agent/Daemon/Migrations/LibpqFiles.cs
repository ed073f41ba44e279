using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;

namespace Agent.Daemon.Migrations;

/// <summary>The files in which libpq's users keep how to reach databases: of the agent's own user, and of the host.</summary>
/// <param name="home">Of the agent's user.</param>
/// <param name="system">PGSYSCONFDIR: <c>/etc/postgresql-common</c> with Debian.</param>
/// <remarks>Source: "The Connection Service File", "The Password File" and "SSL Support" of libpq's documentation.</remarks>
internal sealed class LibpqFiles(IDisk disk, string home, string system)
{
    private const int MostBytes = 1 << 20;

    public static LibpqFiles OfThisHost { get; } = new(new Disk(), Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), "/etc/postgresql-common");

    /// <summary>A file in the agent's user's <c>~/.postgresql</c>; null where it is not there.</summary>
    public string? Default(string name)
    {
        string path = Path.Combine(home, ".postgresql", name);
        return disk.Kind(path) is EntryKind.File or EntryKind.Link ? path : null;
    }

    public bool Exists(string path) => disk.Kind(path) is EntryKind.File or EntryKind.Link;

    /// <summary>The parameters of a service.</summary>
    /// <param name="file">Named by the operator; null: the usual ones.</param>
    /// <exception cref="OperatorException">There is no such service, or its file is wrong (<see cref="ExitCode.Refused"/>).</exception>
    public IReadOnlyDictionary<string, string> Service(string name, string? file)
    {
        string[] files = file is null ? [Path.Combine(home, ".pg_service.conf"), Path.Combine(system, "pg_service.conf")] : [file, Path.Combine(system, "pg_service.conf")];
        foreach (string path in files)
        {
            if (disk.Kind(path) == EntryKind.Missing || Section(path, name) is not { } found) continue;
            return found;
        }
        throw new OperatorException(ExitCode.Refused, $"there is no service [{Shown(name)}] in {string.Join(" or ", files)}", "write it there, or correct the name in PGSERVICE or service=");
    }

    private Dictionary<string, string>? Section(string path, string name)
    {
        Dictionary<string, string>? found = null;
        foreach ((int index, string raw) in Lines(path).Index())
        {
            string line = raw.Trim();
            if (line.Length == 0 || line[0] == '#') continue;
            if (line[0] == '[')
            {
                if (found is not null) return found;
                if (line == $"[{name}]") found = new Dictionary<string, string>(StringComparer.Ordinal);
                continue;
            }
            if (found is null) continue;
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            string key = equals < 0 ? "" : line[..equals];
            if (key.Length == 0 || key is "service" or "servicefile") throw new OperatorException(ExitCode.Refused, $"{path}:{index + 1}: is no PARAMETER=VALUE", "write one, without blanks around '='");
            found.TryAdd(key, line[(equals + 1)..]);
        }
        return found;
    }

    /// <summary>Null: the password file has none for it, or is open to others; the latter goes to <paramref name="warnings"/>.</summary>
    /// <param name="file">Named by the operator; null: <c>~/.pgpass</c>.</param>
    /// <param name="host">A name, an address, or the directory of a Unix socket.</param>
    public string? Password(string? file, string host, string port, string database, string user, List<string> warnings)
    {
        string path = file ?? Path.Combine(home, ".pgpass");
        if (disk.Status(path) is not { } status) return null;
        void Ignored(string why)
        {
            string warning = $"{path} {why}, and is ignored";
            if (!warnings.Contains(warning)) warnings.Add(warning);
        }
        if (status.Type != FileStatus.FileType.File)
        {
            Ignored("is no plain file");
            return null;
        }
        if ((status.Mode & ~DurableOperations.Mode700) != 0)
        {
            Ignored("is open to others than its owner (chmod 600)");
            return null;
        }
        string named = host is "/var/run/postgresql" or "/run/postgresql" ? "localhost" : host;   // so it is written for the default socket
        foreach (string line in Lines(path))
        {
            if (line.StartsWith('#') || Fields(line) is not [var forHost, var forPort, var forDatabase, var forUser, var password]) continue;
            if ((forHost == "*" || forHost == host || forHost == named) && Fits(forPort, port) && Fits(forDatabase, database) && Fits(forUser, user)) return password;
        }
        return null;
    }

    private static bool Fits(string field, string value) => field == "*" || field == value;

    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '\\' && i + 1 < line.Length) field.Append(line[++i]);
            else if (line[i] == ':' && fields.Count < 4)
            {
                fields.Add(field.ToString());
                field.Clear();
            }
            else field.Append(line[i]);
        }
        fields.Add(field.ToString());
        return fields;
    }

    private IEnumerable<string> Lines(string path)
    {
        try
        {
            using Stream stream = disk.OpenRead(path);
            byte[] buffer = new byte[MostBytes + 1];
            int length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            if (buffer.AsSpan(0, length).Contains((byte)0)) throw new OperatorException(ExitCode.Refused, $"{path} holds a NUL", "save it as plain text");
            if (length <= MostBytes) return Encoding.UTF8.GetString(buffer, 0, length).Split('\n').Select(line => line.TrimEnd('\r'));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new OperatorException(ExitCode.Refused, $"{path} cannot be read: {e.Message}", "see its owner and mode", e);
        }
        throw new OperatorException(ExitCode.Refused, $"{path} is larger than 1 MiB", "keep what is needed");
    }

    private static string Shown(string name) => string.Concat(name.Where(c => !char.IsControl(c)).Take(60));
}

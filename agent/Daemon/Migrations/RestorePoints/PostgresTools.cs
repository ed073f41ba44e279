using System.Globalization;
using System.Text.RegularExpressions;
using Agent.Artifacts;

namespace Agent.Daemon.Migrations.RestorePoints;

/// <summary>pg_dump and pg_restore of one major version on this host.</summary>
/// <param name="Directory">Absolute.</param>
/// <param name="Major">15.</param>
internal sealed partial record PostgresTools(string Directory, int Major)
{
    /// <summary>The oldest server that restore points are taken of.</summary>
    public const int OldestServer = 12;

    public string Dump => Path.Combine(Directory, "pg_dump");

    public string Restore => Path.Combine(Directory, "pg_restore");

    /// <summary>
    /// The oldest that is not older than server and archive: pg_dump reads no newer server, pg_restore no newer archive, and a newer pg_restore sets what older servers do not know.
    /// </summary>
    /// <param name="server">Its major version.</param>
    /// <param name="archive">Major version of the pg_dump that wrote what is to be read; 0: nothing is.</param>
    /// <param name="root">Of the file system.</param>
    /// <exception cref="OperatorException">There is none, or the server is too old (<see cref="ExitCode.Refused"/>).</exception>
    public static async Task<PostgresTools> FindAsync(int server, int archive, string root, CancellationToken cancellationToken)
    {
        if (server < OldestServer) throw new OperatorException(ExitCode.Refused, $"the server is PostgreSQL {server}; restore points need {OldestServer} or later", "upgrade the server, or set database: restore_points: none");
        int least = Math.Max(server, archive);
        var found = new List<PostgresTools>();
        // Debian and its like; the packages of postgresql.org elsewhere.
        foreach (string directory in Versions(Path.Combine(root, "usr/lib/postgresql"), "*", "bin").Concat(Versions(Path.Combine(root, "usr"), "pgsql-*", "bin")))
            if (MajorPattern().Match(directory) is { Success: true } version) Add(directory, int.Parse(version.Groups[1].ValueSpan, CultureInfo.InvariantCulture));
        string usual = Path.Combine(root, "usr/bin");
        if (found.Count == 0 && File.Exists(Path.Combine(usual, "pg_dump"))) Add(usual, await MajorOfAsync(Path.Combine(usual, "pg_dump"), cancellationToken));
        return found.Where(tools => tools.Major >= least).MinBy(tools => tools.Major) ?? throw new OperatorException(
            ExitCode.Refused,
            found.Count == 0
                ? $"pg_dump and pg_restore are not on this host; PostgreSQL {least} needs those of {least} or later"
                : $"pg_dump and pg_restore on this host are of PostgreSQL {found.Max(tools => tools.Major)}; those of {least} or later are needed",
            $"apt install postgresql-client-{least} (dnf install postgresql{least} with the packages of postgresql.org)");

        void Add(string directory, int major)
        {
            if (File.Exists(Path.Combine(directory, "pg_dump")) && File.Exists(Path.Combine(directory, "pg_restore"))) found.Add(new PostgresTools(directory, major));
        }
    }

    private static IEnumerable<string> Versions(string parent, string pattern, string below) =>
        System.IO.Directory.Exists(parent) ? System.IO.Directory.EnumerateDirectories(parent, pattern).Select(directory => Path.Combine(directory, below)) : [];

    private static async Task<int> MajorOfAsync(string program, CancellationToken cancellationToken)
    {
        string said = "";
        await ToolProgram.RunAsync(program, ["--version"], new Dictionary<string, string>(), null, output => said = new StreamReader(output).ReadToEnd(), cancellationToken);
        return VersionPattern().Match(said) is { Success: true } version ? int.Parse(version.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 0;
    }

    [GeneratedRegex(@"/(?:pgsql-)?(\d{1,3})/bin\z")]
    private static partial Regex MajorPattern();

    // pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    [GeneratedRegex(@"\(PostgreSQL\) (\d{1,3})")]
    private static partial Regex VersionPattern();
}

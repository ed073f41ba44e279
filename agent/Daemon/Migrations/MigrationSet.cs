using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations;

/// <summary>The SQL files that a release brings: <c>VERSION_name.sql</c> (or <c>.up.sql</c>), and beside it the way back, <c>VERSION_name.down.sql</c>.</summary>
internal static partial class MigrationSet
{
    public const int MostFiles = 10_000;

    private const int MostBytes = 10 << 20, MostBytesOfAll = 100 << 20;

    private const string Correct = "correct what is named, and publish the release under a new version";

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads and checks the files of a release that lies on this host.</summary>
    /// <param name="release">Absolute directory of the release.</param>
    /// <param name="directory">Below it: <see cref="MigrationOptions.Directory"/>.</param>
    /// <returns>In the order of their versions.</returns>
    /// <exception cref="OperatorException">Something is wrong in them (<see cref="ExitCode.Refused"/>); all is told at once.</exception>
    public static IReadOnlyList<MigrationFile> Read(IDisk disk, string release, string directory)
    {
        var problems = new Problems();
        string path = release;
        foreach (string segment in directory.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            path = Path.Combine(path, segment);
            EntryKind kind = segment == ".." ? EntryKind.Link : disk.Kind(path);
            if (kind == EntryKind.Directory) continue;
            problems.Add(directory, 0, kind == EntryKind.Missing ? "is not in the release" : "is no directory of the release", "name the directory of the SQL files in 'migrations' of agent.yaml");
            break;
        }
        problems.ThrowIfAny(ExitCode.Refused, Correct);
        IReadOnlyList<string> names = disk.List(path);
        return Read(disk, directory, names.Select(name => (name, disk.Kind(Path.Combine(path, name)), Path.Combine(path, name))), problems);
    }

    /// <summary>Reads and checks the files of a release that was fetched, and is not laid out yet.</summary>
    /// <inheritdoc cref="Read(IDisk, string, string)"/>
    public static IReadOnlyList<MigrationFile> Read(IDisk disk, FetchedRelease release, string directory)
    {
        string prefix = string.Join('/', directory.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(segment => segment != ".")) + "/";
        var entries = new List<(string Name, EntryKind Kind, string Path)>();
        bool found = prefix == "/";
        var below = new HashSet<string>(StringComparer.Ordinal);
        foreach (ManifestEntry entry in release.Manifest.Files)
        {
            if (prefix != "/" && !entry.Path.StartsWith(prefix, StringComparison.Ordinal))
            {
                found |= entry is ManifestDirectory && entry.Path + "/" == prefix;
                continue;
            }
            found = true;
            string name = prefix == "/" ? entry.Path : entry.Path[prefix.Length..];
            int slash = name.IndexOf('/', StringComparison.Ordinal);
            if (slash >= 0)
            {
                if (below.Add(name[..slash])) entries.Add((name[..slash], EntryKind.Directory, ""));
                continue;
            }
            entries.Add(entry switch
            {
                ManifestFile { Size: > 0 } file => (name, EntryKind.File, release.Objects[FetchedRelease.ObjectKey(file)]),
                ManifestFile => (name, EntryKind.File, ""),
                ManifestLink => (name, EntryKind.Link, ""),
                _ => (name, EntryKind.Directory, ""),
            });
        }
        var problems = new Problems();
        if (!found) problems.Add(directory, 0, "is not in the release", "name the directory of the SQL files in 'migrations' of agent.yaml");
        return Read(disk, directory, entries, problems);
    }

    /// <summary>The statements of a file, as it was when it was read first.</summary>
    /// <exception cref="OperatorException">It is not what it was, or cannot be read (<see cref="ExitCode.Refused"/>).</exception>
    public static SqlFile Load(IDisk disk, MigrationFile file)
    {
        var problems = new Problems();
        (SqlFile? read, string checksum) = ReadFile(disk, file.Path, file.Name, new long[1], problems);
        if (read is not null && checksum != file.Checksum) problems.Add(file.Name, 0, "changed since it was checked", "deploy again");
        problems.ThrowIfAny(ExitCode.Refused, Correct);
        return read!;
    }

    /// <summary>The statements of a file's way back; its header counts as that of any file.</summary>
    /// <exception cref="OperatorException">There is none, or it is wrong (<see cref="ExitCode.Refused"/>).</exception>
    public static SqlFile LoadDown(IDisk disk, MigrationFile file)
    {
        string name = DownOf(file.Name);
        var problems = new Problems();
        SqlFile? read = null;
        if (file.Down is null) problems.Add(name, 0, "is not in the release", "write it, or choose another way back");
        else (read, _) = ReadFile(disk, file.Down, name, new long[1], problems);
        problems.ThrowIfAny(ExitCode.Refused, Correct);
        return read!;
    }

    private static IReadOnlyList<MigrationFile> Read(IDisk disk, string directory, IEnumerable<(string Name, EntryKind Kind, string Path)> entries, Problems problems)
    {
        string Shown(string name) => $"{directory.TrimEnd('/')}/{name}";
        var ups = new List<(long Number, string Name, string Path)>();
        var downs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, EntryKind kind, string path) in entries.OrderBy(entry => entry.Name, StringComparer.Ordinal))
        {
            if (name.StartsWith('.') || name.StartsWith("README", StringComparison.OrdinalIgnoreCase)) continue;
            if (FilePattern().Match(name) is not { Success: true } match)
                problems.Add(Shown(Plain(name)), 0, kind == EntryKind.Directory ? "is a directory" : "is not named as a migration", "name files VERSION_name.sql, VERSION of up to 18 digits and the name of letters, digits and '_-.+'; keep all else elsewhere");
            else if (kind != EntryKind.File) problems.Add(Shown(name), 0, kind == EntryKind.Link ? "is a link" : "is no file", "put the file itself there");
            else if (match.Groups[2].Value == ".down") downs.Add(name, path);
            else ups.Add((long.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture), name, path));
        }
        if (ups.Count > MostFiles) problems.Add(directory, 0, $"holds {ups.Count} migrations", $"keep at most {MostFiles}: begin anew with a dump of the schema");
        foreach (IGrouping<long, (long Number, string Name, string Path)> same in ups.GroupBy(up => up.Number).Where(group => group.Count() > 1))
            problems.Add(Shown(same.Skip(1).First().Name), 0, $"has the number of {same.First().Name}", "give one of them another");
        foreach (string lonely in downs.Keys.Except(ups.Select(up => DownOf(up.Name))))
            problems.Add(Shown(lonely), 0, "has no migration that it would take back", $"add {lonely[..^".down.sql".Length]}.sql, or remove it");
        problems.ThrowIfAny(ExitCode.Refused, Correct);

        var files = new List<MigrationFile>();
        long[] read = new long[1];
        foreach ((_, string name, string path) in ups.OrderBy(up => up.Number))
        {
            (SqlFile? file, string checksum) = ReadFile(disk, path, Shown(name), read, problems);
            string? down = downs.GetValueOrDefault(DownOf(name));
            if (down is not null) ReadFile(disk, down, Shown(DownOf(name)), read, problems);
            if (read[0] > MostBytesOfAll)
            {
                problems.Add(directory, 0, $"holds more than {MostBytesOfAll >> 20} MiB", "begin anew with a dump of the schema, and load data in another way");
                break;
            }
            if (file is not null)
                files.Add(new MigrationFile(name, name[..name.IndexOf('_', StringComparison.Ordinal)], path, checksum, file.Phase, file.InTransaction, file.LockTimeout, file.StatementTimeout, file.Reason, down));
        }
        problems.ThrowIfAny(ExitCode.Refused, Correct);
        return files;
    }

    /// <param name="total">Bytes of all files so far.</param>
    private static (SqlFile? File, string Checksum) ReadFile(IDisk disk, string path, string shown, long[] total, Problems problems)
    {
        byte[] content;
        try
        {
            content = path.Length == 0 ? [] : ReadBytes(disk, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add(shown, 0, $"cannot be read: {e.Message}", "deploy again");
            return (null, "");
        }
        total[0] += content.Length;
        if (content.Length > MostBytes)
        {
            problems.Add(shown, 0, $"is larger than {MostBytes >> 20} MiB", "split it, or load data in another way");
            return (null, "");
        }
        string text;
        try
        {
            ReadOnlySpan<byte> bytes = content;
            text = Strict.GetString(bytes.StartsWith("\uFEFF"u8) ? bytes[3..] : bytes);
        }
        catch (DecoderFallbackException)
        {
            int valid = ValidBytes(content);
            problems.Add(shown, content.AsSpan(0, valid).Count((byte)'\n') + 1, $"is not UTF-8, at byte {valid}", "save it as UTF-8");
            return (null, "");
        }
        int before = problems.Count;
        SqlFile file = SqlFile.Read(text, shown, problems);
        if (file.Statements.Count == 0 && problems.Count == before) problems.Add(shown, 0, "holds no statement", "write one, or remove the file");
        return (file, Convert.ToHexStringLower(SHA256.HashData(content)));
    }

    private static byte[] ReadBytes(IDisk disk, string path)
    {
        using Stream stream = disk.OpenRead(path);
        using var content = new MemoryStream();
        byte[] buffer = new byte[1 << 16];
        for (int read; content.Length <= MostBytes && (read = stream.Read(buffer)) > 0;) content.Write(buffer, 0, read);
        return content.ToArray();
    }

    private static int ValidBytes(ReadOnlySpan<byte> content)
    {
        int valid = 0;
        while (Rune.DecodeFromUtf8(content[valid..], out _, out int length) == System.Buffers.OperationStatus.Done) valid += length;
        return valid;
    }

    private static string DownOf(string name) => (name.EndsWith(".up.sql", StringComparison.Ordinal) ? name[..^".up.sql".Length] : name[..^".sql".Length]) + ".down.sql";

    private static string Plain(string name) => string.Concat(name.Select(c => char.IsControl(c) ? '?' : c).Take(100));

    [GeneratedRegex(@"\A([0-9]{1,18})_[A-Za-z0-9_.+-]{1,180}?(\.up|\.down)?\.sql\z")]
    private static partial Regex FilePattern();
}

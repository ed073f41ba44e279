using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Migrations;

/// <summary>What a release brings for the database.</summary>
/// <param name="Files">In the order of their versions; none where it has a command.</param>
/// <param name="Command">Null: it has none.</param>
/// <param name="Checksum">Of all that <paramref name="Command"/> runs; empty where it does not say what that is.</param>
internal sealed record ReleaseMigrations(ReleaseVersion Version, IReadOnlyList<MigrationFile> Files, MigrationOptions? Command, string Checksum)
{
    private const string CommandPrefix = "command ";

    /// <summary>The ledger's name of what <see cref="Command"/> did.</summary>
    public string CommandName => CommandPrefix + Version;

    /// <exception cref="OperatorException">Its files are wrong.</exception>
    public static ReleaseMigrations Read(IDisk disk, DatabaseUser release)
    {
        var version = new ReleaseVersion(release.Version);
        return release.Definition.Migrations switch
        {
            null => new ReleaseMigrations(version, [], null, ""),
            { Directory: { } directory } => new ReleaseMigrations(version, MigrationSet.Read(disk, release.Directory, directory), null, ""),
            var command => new ReleaseMigrations(version, [], command, ChecksumOf(disk, release, command.Files)),
        };
    }

    /// <summary>Whether code of this release was made with a migration in mind.</summary>
    public bool Knows(LedgerRow row)
    {
        if (!row.Name.StartsWith(CommandPrefix, StringComparison.Ordinal)) return Files.Any(file => file.Name == row.Name);
        return (Checksum.Length > 0 && row.Checksum == Checksum)
            || (ReleaseVersion.TryParse(row.Name[CommandPrefix.Length..], out ReleaseVersion? brought) && brought <= Version);
    }

    /// <summary>Whether what a command did leaves a schema that this release can live with.</summary>
    public bool CanLiveWith(LedgerRow row) =>
        row.Phase == Phase.Expand || (row.CompatibleWith is { } oldest && ReleaseVersion.TryParse(oldest, out ReleaseVersion? version) && version <= Version);

    /// <summary>The names that other hosts wait to see known.</summary>
    public IEnumerable<string> Names => Command is null ? Files.Select(file => file.Name) : [CommandName];

    // Of the manifest, which was verified: nothing is read again.
    private static string ChecksumOf(IDisk disk, DatabaseUser release, IReadOnlyList<string> patterns)
    {
        if (patterns.Count == 0) return "";
        Manifest manifest = ManifestFormat.Parse(disk.ReadAll(Path.Combine(release.Directory, ".agentd", "manifest")));
        Regex[] wanted = [.. patterns.Select(Pattern)];
        ManifestFile[] files = [.. manifest.Files.OfType<ManifestFile>().Where(file => wanted.Any(pattern => pattern.IsMatch(file.Path))).OrderBy(file => file.Path, StringComparer.Ordinal)];
        if (files.Length == 0)
            throw new OperatorException(ExitCode.RolledBack, $"migrations.files of {release.Version} ({string.Join(", ", patterns)}) matches no file of the release", "correct the pattern and publish under a new version");
        var text = new StringBuilder();
        foreach (ManifestFile file in files) text.Append(file.Path).Append('\0').Append(file.Sha256.Hex).Append('\n');
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    // Without backtracking, as a release may bring any pattern.
    private static Regex Pattern(string glob) => new(
        @"\A" + Regex.Escape(glob).Replace(@"\*\*/", "(?:.*/)?", StringComparison.Ordinal).Replace(@"\*\*", ".*", StringComparison.Ordinal)
            .Replace(@"\*", "[^/]*", StringComparison.Ordinal).Replace(@"\?", "[^/]", StringComparison.Ordinal) + @"\z",
        RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
}

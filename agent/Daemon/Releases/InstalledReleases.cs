using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Manifests;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;

namespace Agent.Daemon.Releases;

/// <summary>
/// The apps' directories: <c>ROOT/APP/releases/VERSION/</c>, read-only and whole or not there at all, and
/// <c>ROOT/APP/current</c>, the switch. Every method may be repeated after a crash.
/// </summary>
/// <param name="root">Usually <c>/srv</c>.</param>
internal sealed class InstalledReleases(IDisk disk, string root)
{
    /// <summary>What the agent keeps inside a release; no manifest may name it.</summary>
    private const string AgentDirectory = ".agentd";

    private const string StagingPrefix = ".staging-";

    public string AppDirectory(AppName app) => Path.Combine(root, app.Value);

    /// <summary>What units use as working directory.</summary>
    public string CurrentLink(AppName app) => Path.Combine(AppDirectory(app), "current");

    public string ReleaseDirectory(AppName app, string version) => Path.Combine(ReleasesDirectory(app), version);

    /// <summary>The version that <c>current</c> points at; null where there is none.</summary>
    public string? Current(AppName app) => Path.GetFileName(disk.ReadLink(CurrentLink(app)));

    public bool Holds(AppName app, ReleaseRef release) => DigestOf(app, release.Version) == release.Digest;

    /// <summary>All whole releases, in no order.</summary>
    public IReadOnlyList<ReleaseRef> List(AppName app) =>
    [
        .. disk.List(ReleasesDirectory(app))
            .Where(name => !name.StartsWith('.'))
            .Select(version => DigestOf(app, version) is { } digest ? new ReleaseRef(version, digest) : null)
            .OfType<ReleaseRef>(),
    ];

    /// <summary>The manifest of an installed release, which was verified when it was fetched.</summary>
    public Manifest Manifest(AppName app, string version) => ManifestFormat.Parse(disk.ReadAll(ManifestPath(ReleaseDirectory(app, version))));

    /// <summary>Text of a file in a release; null where there is none.</summary>
    public string? ReadText(AppName app, string version, string path)
    {
        string full = Path.Combine(ReleaseDirectory(app, version), path);
        return disk.Kind(full) is EntryKind.File ? disk.ReadText(full) : null;
    }

    /// <summary>Lays a release out: beside, synced, then renamed into place.</summary>
    /// <exception cref="OperatorException">Its place is taken by another release that proved itself here (<see cref="ExitCode.Refused"/>).</exception>
    public void Stage(FetchedRelease release, bool mayReplace, CancellationToken cancellationToken)
    {
        AppName app = release.Id.App;
        string final = ReleaseDirectory(app, release.Id.Version.Text);
        string staging = Path.Combine(ReleasesDirectory(app), StagingPrefix + release.Id.Version.Text);
        if (disk.Exists(final) && !mayReplace)
            throw new OperatorException(
                ExitCode.Refused, $"{final} holds another {release.Id.Version} that ran here before", "publish under a new version");
        disk.MakeDirectories(ReleasesDirectory(app));
        disk.RemoveTree(staging);
        disk.MakeDirectory(staging, DurableOperations.Mode755);
        var made = new HashSet<string> { staging };
        foreach (ManifestEntry entry in release.Manifest.Files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string path = Path.Combine(staging, entry.Path);
            MakeParents(path, made);
            switch (entry)
            {
                case ManifestDirectory:
                    if (made.Add(path)) disk.MakeDirectory(path, DurableOperations.Mode755);
                    break;
                case ManifestLink link:
                    disk.MakeLink(path, link.Target);
                    break;
                case ManifestFile { Size: 0 } file:
                    disk.WriteFile(path, ModeOf(file), _ => { });
                    break;
                case ManifestFile file:
                    disk.LinkOrCopy(release.Objects[FetchedRelease.ObjectKey(file)], path, ModeOf(file));
                    break;
            }
        }
        disk.MakeDirectory(Path.Combine(staging, AgentDirectory), DurableOperations.Mode755);
        disk.LinkOrCopy(release.ManifestPath, ManifestPath(staging), DurableOperations.Mode644);
        disk.SyncTree(staging);
        disk.RemoveDurable(final);
        disk.Rename(staging, final);
        disk.SyncDirectory(ReleasesDirectory(app));
    }

    /// <summary>Removes a release, and what a stage of it left.</summary>
    public void Remove(AppName app, string version)
    {
        disk.RemoveDurable(Path.Combine(ReleasesDirectory(app), StagingPrefix + version));
        string final = ReleaseDirectory(app, version);
        if (!disk.Exists(final)) return;
        // Renamed away first: a release is whole or not there.
        string leaving = Path.Combine(ReleasesDirectory(app), StagingPrefix + version);
        disk.Rename(final, leaving);
        disk.SyncDirectory(ReleasesDirectory(app));
        disk.RemoveDurable(leaving);
    }

    /// <summary>Points <c>current</c> at a version, atomically and durably; null removes it.</summary>
    public void Flip(AppName app, string? version)
    {
        string target = $"releases/{version}";
        if (version is null)
            disk.RemoveDurable(CurrentLink(app));
        else if (disk.ReadLink(CurrentLink(app)) != target)
            disk.ReplaceLink(CurrentLink(app), target);
        else
            disk.SyncDirectory(AppDirectory(app));   // an earlier try may have been cut before this
    }

    /// <summary>Removes what interrupted operations left.</summary>
    public void RemoveLeftovers(AppName app)
    {
        disk.RemoveLeftovers(AppDirectory(app));
        foreach (string name in disk.List(ReleasesDirectory(app)))
            if (name.StartsWith(StagingPrefix, StringComparison.Ordinal)) disk.RemoveDurable(Path.Combine(ReleasesDirectory(app), name));
    }

    private string ReleasesDirectory(AppName app) => Path.Combine(AppDirectory(app), "releases");

    private static string ManifestPath(string release) => Path.Combine(release, AgentDirectory, "manifest");

    private static UnixFileMode ModeOf(ManifestFile file)
    {
        const UnixFileMode read = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        return file.Executable ? read | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute : read;
    }

    private string? DigestOf(AppName app, string version)
    {
        string manifest = ManifestPath(ReleaseDirectory(app, version));
        return disk.Kind(manifest) == EntryKind.File ? Digest.Of(disk.ReadAll(manifest)).Hex : null;
    }

    private void MakeParents(string path, HashSet<string> made)
    {
        string parent = Path.GetDirectoryName(path)!;
        if (!made.Add(parent)) return;
        MakeParents(parent, made);
        disk.MakeDirectory(parent, DurableOperations.Mode755);
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Releases;

/// <summary>
/// What of an app is not the release's own: <c>ROOT/APP/shared/</c>, which outlives releases, and <c>ROOT/APP/rendered/ID/</c>, the templates
/// as generation ID filled them, with <c>rendered/current</c> as their switch. A release gets links to both, the same whatever the generation.
/// Every method may be repeated after a crash.
/// </summary>
internal sealed class SharedTree(IDisk disk, InstalledReleases releases)
{
    private const string TemplateSuffix = ".template";

    private const UnixFileMode Mode750 = DurableOperations.Mode700 | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
    private const UnixFileMode Mode640 = DurableOperations.Mode600 | UnixFileMode.GroupRead;

    /// <summary>Makes the shared directories, fills the templates and links both into the release. Nothing that runs sees it yet.</summary>
    /// <param name="user">Owner of the shared directories; its group may read what is rendered.</param>
    /// <param name="values">What templates are filled with: environment and secrets.</param>
    /// <exception cref="OperatorException">A shared file or a template is missing, a template names an unknown value, or a path is taken in the release (<see cref="ExitCode.Refused"/>).</exception>
    public void Prepare(Generation generation, UserIds user, IReadOnlyDictionary<string, string> values)
    {
        AppDefinition definition = generation.Definition;
        foreach (string path in definition.SharedDirectories ?? [])
        {
            string target = Path.Combine(Shared(definition.Name), path);
            // Above it there is nothing that the app's user could have put a link in place of.
            foreach (string parent in Parents(path).Select(parent => Path.Combine(Shared(definition.Name), parent)))
                if (disk.Kind(parent) is not (EntryKind.Missing or EntryKind.Directory)) throw new OperatorException(ExitCode.Refused, $"{parent} is no directory", "move it away");
            if (disk.Kind(target) == EntryKind.Missing)
            {
                disk.MakeDirectories(target);
                disk.SetOwner(target, user.Uid, user.Gid);
            }
            Link(generation, path, "shared");
        }
        foreach (string path in definition.SharedFiles ?? [])
        {
            string target = Path.Combine(Shared(definition.Name), path);
            if (disk.Kind(target) is EntryKind.Missing or EntryKind.Directory)
                throw new OperatorException(ExitCode.Refused, $"the shared file {target} is missing", $"make it, or take it out of shared: in apps.d/{definition.Name}.yaml");
            Link(generation, path, "shared");
        }
        foreach (string path in definition.Templates ?? []) Render(generation, path, user, values);
    }

    /// <summary>Points at what a generation rendered; at nothing where it is null or rendered nothing.</summary>
    public void Flip(AppName app, string? generation)
    {
        string link = Path.Combine(Rendered(app), "current");
        if (generation is null || !disk.Exists(Path.Combine(Rendered(app), generation))) disk.RemoveDurable(link);
        else if (disk.ReadLink(link) != generation) disk.ReplaceLink(link, generation);
        else disk.SyncDirectory(Rendered(app));
    }

    public void Remove(AppName app, string generation) => disk.RemoveDurable(Path.Combine(Rendered(app), generation));

    /// <summary>Removes what was rendered for any other generation.</summary>
    public void RemoveAllBut(AppName app, IReadOnlyCollection<string> generations)
    {
        foreach (string name in disk.List(Rendered(app)).Except([.. generations, "current"])) disk.RemoveDurable(Path.Combine(Rendered(app), name));
    }

    /// <summary>Removes what interrupted operations left.</summary>
    public void RemoveLeftovers(AppName app) => disk.RemoveLeftovers(Rendered(app));

    private string Shared(AppName app) => Path.Combine(releases.AppDirectory(app), "shared");

    private string Rendered(AppName app) => Path.Combine(releases.AppDirectory(app), "rendered");

    private void Render(Generation generation, string template, UserIds user, IReadOnlyDictionary<string, string> values)
    {
        AppName app = generation.Definition.Name;
        string text = releases.ReadText(app, generation.Release.Version, template) ?? throw new OperatorException(
            ExitCode.Refused, $"{app} {generation.Release.Version} names the template {template} but holds no such file", "correct templates: in the release's agent.yaml");
        string path = template[..^TemplateSuffix.Length], root = Path.Combine(Rendered(app), generation.Id), target = Path.Combine(root, path);
        // Not readable for others from the first moment on, and never with an owner who could change it.
        disk.MakeDirectories(Rendered(app));
        foreach (string directory in Parents(path).Prepend(""))
        {
            disk.MakeDirectory(Path.Combine(root, directory), Mode750);
            disk.SetOwner(Path.Combine(root, directory), 0, user.Gid);
        }
        disk.WriteFile(target, DurableOperations.Mode600, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(Template.Fill(text, values, template))));
        disk.SetOwner(target, 0, user.Gid);
        disk.SetMode(target, Mode640);
        disk.SyncTree(root);
        Link(generation, path, "rendered/current");
    }

    /// <summary>Makes a path in the release a link to the same path below <paramref name="place"/> of the app's directory.</summary>
    private void Link(Generation generation, string path, string place)
    {
        AppName app = generation.Definition.Name;
        string release = releases.ReleaseDirectory(app, generation.Release.Version), full = Path.Combine(release, path);
        // Through the release's own directories only: a link among them could lead anywhere.
        foreach (string directory in Parents(path))
        {
            string parent = Path.Combine(release, directory);
            if (disk.Kind(parent) == EntryKind.Missing) disk.MakeDirectory(parent, DurableOperations.Mode755);
            else if (disk.Kind(parent) != EntryKind.Directory) throw Taken(parent);
        }
        string target = string.Concat(Enumerable.Repeat("../", 2 + path.Count(c => c == '/'))) + $"{place}/{path}";
        if (disk.ReadLink(full) == target) return;
        if (disk.Kind(full) == EntryKind.Directory && disk.List(full).Count == 0) disk.RemoveDirectory(full);
        if (disk.Kind(full) != EntryKind.Missing) throw Taken(full);
        disk.MakeLink(full, target);
        disk.SyncTree(release);

        OperatorException Taken(string what) => new(
            ExitCode.Refused, $"{what} is in the release, so it cannot be shared or rendered", "leave it out of the release, or correct shared: and templates:");
    }

    private static IEnumerable<string> Parents(string path)
    {
        for (int slash = path.IndexOf('/'); slash >= 0; slash = path.IndexOf('/', slash + 1)) yield return path[..slash];
    }
}

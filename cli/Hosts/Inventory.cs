using Agent.Artifacts;
using Agent.Artifacts.Configuration;
using Agent.Artifacts.Durable;

namespace Agent.Cli.Hosts;

/// <summary>What the user's hosts.yaml and a project's .agentctl.yaml say together.</summary>
/// <remarks>
/// The project's file may be anybody's: it comes with a clone. So it gives nothing another meaning that the user's file has given one,
/// and hosts that it alone names are only used when <c>--host</c> is typed.
/// </remarks>
internal sealed record Inventory
{
    public static Inventory Empty { get; } = new();

    /// <summary>The user's in the order of the file, then the project's.</summary>
    public IReadOnlyList<HostEntry> Hosts { get; private init; } = [];

    /// <summary>In the order in which the files name them first.</summary>
    public IReadOnlyList<HostGroup> Groups { get; private init; } = [];

    /// <summary>What <c>--host</c> is where it is left out; null: no file says.</summary>
    public DefaultHost? Default { get; private init; }

    /// <summary>What <c>--app</c> is where it is left out; null: no file says.</summary>
    public string? App { get; private init; }

    /// <summary>The user's file; null: there is none.</summary>
    public string? UserFile { get; private init; }

    /// <summary>The project's file; null: there is none.</summary>
    public string? ProjectFile { get; private init; }

    /// <summary>Why there is a project's file that was not read; null: there is none.</summary>
    public string? Note { get; private init; }

    /// <exception cref="OperatorException">The files are wrong: every problem with its file and line (<see cref="ExitCode.Usage"/>).</exception>
    public static Inventory Load(Workplace place)
    {
        var problems = new Problems();
        HostsFile? users = File.Exists(place.HostsFile) ? Read(place.HostsFile, problems) : null;
        (string? path, string? note) = place.FindProjectFile();
        HostsFile? projects = path is null ? null : Read(path, problems);
        Inventory inventory = Join(users, projects, problems) with { Note = note };
        problems.ThrowIfAny(ExitCode.Usage, "correct the file, then try again");
        return inventory;
    }

    /// <param name="users">Null: there is none.</param>
    /// <param name="projects">Null: there is none.</param>
    public static Inventory Join(HostsFile? users, HostsFile? projects, Problems problems)
    {
        var joining = new Joining(problems);
        if (users is not null) joining.Add(users);
        if (projects is not null) joining.Add(projects);
        HostsFile? says = projects?.Host is not null ? projects : users;
        return new Inventory
        {
            Hosts = joining.Hosts(),
            Groups = joining.Groups(),
            Default = says?.Host is { } host ? new DefaultHost(host, says.Path) : null,
            App = projects?.App ?? users?.App,
            UserFile = users?.Path,
            ProjectFile = projects?.Path,
        };
    }

    /// <summary>Whether the user's own file does not have this host, but the project's.</summary>
    public bool IsProjects(HostEntry host) => ProjectFile is not null && host.File == ProjectFile;

    private static HostsFile Read(string path, Problems problems) =>
        Yaml.Load(new Disk(), path, problems) is { } text ? HostsFile.Read(path, text, problems) : new HostsFile(path);

    /// <summary>The files so far. A name means one thing: a host or a group, of one file.</summary>
    private sealed class Joining(Problems problems)
    {
        private readonly List<(HostEntry Host, string Where)> hosts = [];
        private readonly List<(string Group, string File, string Where, RolloutDefaults Rollout)> groups = [];
        private readonly HashSet<(string Group, string Host)> members = [];

        public IReadOnlyList<HostEntry> Hosts() =>
            [.. hosts.Select(one => one.Host with { Groups = [.. groups.Select(group => group.Group).Where(group => members.Contains((group, one.Host.Name)))] })];

        public IReadOnlyList<HostGroup> Groups() =>
            [.. groups.Select(group => new HostGroup(group.Group, [.. hosts.Select(one => one.Host.Name).Where(host => members.Contains((group.Group, host)))], group.Rollout))];

        public void Add(HostsFile file)
        {
            foreach ((HostEntry host, int line) in file.Hosts) AddHost(file.Path, host, line);
            foreach ((HostGroup group, int line) in file.Groups)
            {
                if (!AddGroup(file.Path, group.Name, line, $"groups.{group.Name}", group.Rollout)) continue;
                foreach (string member in group.Hosts)
                {
                    if (hosts.Any(one => one.Host.Name == member)) members.Add((group.Name, member));
                    else problems.Add(file.Path, line, $"groups.{group.Name} names {member}, and there is no such host", Instead(member));
                }
            }
            foreach ((HostEntry host, int line) in file.Hosts)
            {
                foreach (string group in host.Groups)
                    if (AddGroup(file.Path, group, line, $"hosts.{host.Name}.groups", RolloutDefaults.None)) members.Add((group, host.Name));
            }
        }

        private void AddHost(string file, HostEntry host, int line)
        {
            string where = $"{file}:{line}";
            if (hosts.FirstOrDefault(one => one.Host.Name == host.Name) is { Host: { } same } known)
            {
                // A project may say again what is so.
                if (same.Address == host.Address && (host.Fingerprint is null || host.Fingerprint == same.Fingerprint)) return;
                problems.Add(file, line, $"hosts.{host.Name} is {host.Address} here, and {same.Address} in {known.Where}", "give this one another name");
            }
            else if (groups.FirstOrDefault(group => group.Group == host.Name) is { Where: { } group1 })
                problems.Add(file, line, $"hosts.{host.Name} has the name of a group of {group1}", "give one of them another name");
            else if (hosts.FirstOrDefault(one => one.Host.Address == host.Address) is { Host: { } other } first)
                problems.Add(file, line, $"hosts.{host.Name} is {host.Address}, which is {other.Name} in {first.Where}", $"keep one, or use {other.Name}");
            else hosts.Add((host, where));
        }

        /// <returns>False: it is another file's, or a host.</returns>
        private bool AddGroup(string file, string name, int line, string key, RolloutDefaults rollout)
        {
            if (hosts.FirstOrDefault(one => one.Host.Name == name) is { Host: not null } host)
            {
                problems.Add(file, line, $"{key} is about a group {name}, and that is a host in {host.Where}", "give the group another name");
                return false;
            }
            if (groups.FirstOrDefault(group => group.Group == name) is not { Group: not null } known)
            {
                groups.Add((name, file, $"{file}:{line}", rollout));
                return true;
            }
            if (known.File == file) return true;
            problems.Add(file, line, $"{key} is about a group {name}, which is that of {known.Where}", "give the group here another name");
            return false;
        }

        private string Instead(string member) =>
            UsageErrors.Suggest(member, hosts.Select(one => one.Host.Name)) is { } near ? $"write {near}" : "take it out, or add the host: agentctl hosts add";
    }
}

/// <summary>What <c>--host</c> is where it is left out, and which file says so.</summary>
internal sealed record DefaultHost(string Wanted, string File);

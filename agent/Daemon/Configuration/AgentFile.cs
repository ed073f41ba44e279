using System.Text;
using Agent.Artifacts;

namespace Agent.Daemon.Configuration;

/// <summary>Reads agentd.yaml.</summary>
internal static class AgentFile
{
    // sun_path of <sys/un.h> is 108 bytes with its NUL.
    public const int MaximumSocketPath = 107;

    public static AgentOptions Defaults { get; } =
        new(Store: null, TimeSpan.FromSeconds(60), "/srv", "/var/lib/agentd", "/etc/systemd/system", "/run/agentd/agentd.sock");

    /// <param name="root">Null: there is no file, or none that can be read.</param>
    public static AgentOptions Read(string file, YamlNode.Map? root, Problems problems)
    {
        if (root is null) return Defaults;
        var section = new Section(problems, file, "", root, ConfigurationKeys.Agent);
        string socket = Directory(section, "socket") ?? Defaults.Socket;
        if (Encoding.UTF8.GetByteCount(socket) > MaximumSocketPath) section.Wrong("socket", $"is longer than {MaximumSocketPath} bytes", "write a shorter path");
        Section? roles = section.Map("roles", ConfigurationKeys.Roles);
        return new AgentOptions(
            Store(section),
            section.Duration("poll", TimeSpan.FromSeconds(5), TimeSpan.FromHours(24)) ?? Defaults.Poll,
            Directory(section, "releases") ?? Defaults.Releases,
            Directory(section, "data") ?? Defaults.Data,
            Directory(section, "units") ?? Defaults.Units,
            socket)
        {
            History = section.Number("history", 10, 100_000) ?? Defaults.History,
            Viewers = roles?.Texts("viewer", WrongGroup) ?? Defaults.Viewers,
            Deployers = roles?.Texts("deployer", WrongGroup) ?? Defaults.Deployers,
            Admins = roles?.Texts("admin", WrongGroup) ?? Defaults.Admins,
            Listener = ListenerFile.Read(section),
            UnsignedPush = UnsignedPush(section),
        };
    }

    private static UnsignedPushOptions? UnsignedPush(Section agent)
    {
        if (agent.Map("unsigned_push", ConfigurationKeys.UnsignedPush) is not { } section) return null;
        IReadOnlyList<string>? apps = section.Texts("apps", WrongApp), by = section.Texts("by", WrongCaller);
        if (apps is { Count: > 0 } && by is { Count: > 0 }) return new UnsignedPushOptions(apps, by);
        agent.Wrong("unsigned_push", "does not say both for which apps and by whom", "name them: 'apps:' and 'by:', each a list; or take unsigned_push out");
        return null;
    }

    /// <summary>The keys that a file holds, those of maps as <c>roles.viewer</c>.</summary>
    public static IReadOnlySet<string> KeysOf(YamlNode.Map? root) => (root?.Entries ?? [])
        .SelectMany(entry => entry is { Key: "roles" or "unsigned_push", Value: YamlNode.Map below } ? below.Entries.Select(pair => $"{entry.Key}.{pair.Key}") : [entry.Key])
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>True for an absolute path that is its own shortest form, so that no two names mean one place.</summary>
    public static bool IsPlainPath(string path) =>
        path.Length > 1 && path.StartsWith('/') && !path.Any(char.IsControl) && path[1..].Split('/').All(part => part is not ("" or "." or ".."));

    private static (string What, string Instead)? WrongApp(string name)
    {
        try
        {
            _ = new AppName(name);
            return null;
        }
        catch (OperatorException e)
        {
            return ($"is wrong: {e.Message}", e.Remedy);
        }
    }

    private static (string What, string Instead)? WrongCaller(string name) =>
        Names.IsGroup(name) ? null : ($"is '{name}', which is no name of a user or caller", "use letters, digits and _ . @ -, 64 at most");

    private static (string What, string Instead)? WrongGroup(string name) =>
        Names.IsGroup(name) ? null : ($"is '{name}', which is no group's name", "use letters, digits and _ . @ -, 64 at most");

    private static string? Directory(Section section, string key)
    {
        if (section.Text(key) is not { } path) return null;
        if (IsPlainPath(path)) return path;
        section.Wrong(key, $"is '{path}'", "write an absolute path without '.', '..' and a slash at its end");
        return null;
    }

    private static string? Store(Section section)
    {
        if (section.Text("store") is not { } store) return null;
        if (!store.Contains("://", StringComparison.Ordinal)) return Directory(section, "store");
        if (!Uri.TryCreate(store, UriKind.Absolute, out Uri? url) || url.Scheme is not ("http" or "https") || url.Host.Length == 0)
            section.Wrong("store", $"is '{store}'", "write an absolute directory, or a URL that begins with https:// or http://");
        else if (url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
            section.Wrong("store", "holds a user, a query or a fragment", "write the URL of the store's directory alone");
        else return store;
        return null;
    }
}

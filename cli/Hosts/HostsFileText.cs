using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Configuration;
using Agent.Artifacts.Durable;

namespace Agent.Cli.Hosts;

/// <summary>
/// Changes to the user's hosts.yaml, a line at a time, so that comments, order and blank lines stay. What comes out is read again before
/// it takes the old one's place: where it does not say what it should, nothing is written.
/// </summary>
internal static partial class HostsFileText
{
    private const string LockFile = ".hosts.lock";

    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(10);

    /// <exception cref="OperatorException">There is such a host (<see cref="ExitCode.Refused"/>), or the file is wrong (<see cref="ExitCode.Usage"/>).</exception>
    public static Task AddAsync(string path, HostEntry host, CancellationToken cancellationToken) => ChangeAsync(path, "take another name, address or group", (text, before) =>
    {
        if (before.Hosts.FirstOrDefault(one => one.Value.Name == host.Name) is { Value: not null } known)
            throw new OperatorException(ExitCode.Refused, $"{host.Name} is {known.Value.Address} in {path}:{known.Line}", $"take another name, or agentctl hosts remove {host.Name} first");
        return (Added(text, host), [.. before.Hosts.Select(one => one.Value), host with { File = path }]);
    }, cancellationToken);

    /// <summary>Also out of the groups that name it.</summary>
    /// <exception cref="OperatorException">There is no such host, or the file is wrong (<see cref="ExitCode.Usage"/>); it stands where it cannot be taken out (<see cref="ExitCode.Refused"/>).</exception>
    public static Task RemoveAsync(string path, string name, CancellationToken cancellationToken) => ChangeAsync(path, "edit it by hand", (text, before) =>
    {
        if (before.Hosts.All(one => one.Value.Name != name))
        {
            throw new OperatorException(ExitCode.Usage, $"there is no host '{name}' in {path}",
                UsageErrors.Suggest(name, before.Hosts.Select(one => one.Value.Name)) is { } near ? $"did you mean {near}?" : "agentctl hosts lists them");
        }
        return (Removed(text, name), [.. before.Hosts.Select(one => one.Value).Where(host => host.Name != name)]);
    }, cancellationToken);

    /// <summary>The text with one more host at the end of <c>hosts:</c>.</summary>
    public static string Added(string text, HostEntry host)
    {
        List<string> lines = Lines(text);
        int top = lines.FindIndex(line => HostsKey().IsMatch(line)), end = top + 1;
        if (top < 0)
        {
            if (lines.Count > 0 && lines[^1].Length > 0) lines.Add("");
            lines.Add("hosts:");
            (top, end) = (lines.Count - 1, lines.Count);
        }
        string? indent = null;
        for (int i = top + 1; i < lines.Count && IsBelow(lines[i]); i++)
        {
            if (IsEntry(lines[i])) indent ??= Indent(lines[i]);
            if (lines[i].Trim().Length > 0) end = i + 1;
        }
        indent ??= "  ";
        lines.InsertRange(end, host is { Groups: [], Fingerprint: null }
            ? [$"{indent}{host.Name}: {host.Address}"]
            : [
                $"{indent}{host.Name}:",
                $"{indent}  address: {host.Address}",
                .. host.Groups.Count > 0 ? [$"{indent}  groups: [{string.Join(", ", host.Groups)}]"] : Array.Empty<string>(),
                .. host.Fingerprint is { } fingerprint ? [$"{indent}  fingerprint: {fingerprint}"] : Array.Empty<string>(),
            ]);
        return Text(lines, text);
    }

    /// <summary>The text without a host's entry, and without it in the lists of groups.</summary>
    public static string Removed(string text, string name)
    {
        List<string> lines = Lines(text);
        var kept = new List<string>();
        string section = "";
        string? gone = null;    // the indent of the entry that is left out
        foreach (string line in lines)
        {
            if (TopKey().Match(line) is { Success: true } key) (section, gone) = (key.Groups[1].Value, null);
            if (gone is not null && IsEntry(line) && Indent(line).Length <= gone.Length) gone = null;
            if (gone is not null && line.Trim().Length > 0 && Indent(line).Length > gone.Length) continue;
            if (section == "hosts" && EntryKey().Match(line) is { Success: true } entry && entry.Groups["name"].Value == name)
            {
                gone = Indent(line);
                continue;
            }
            if (section != "groups") kept.Add(line);
            else if (ListItem().Match(line) is not { Success: true } item || item.Groups["name"].Value != name) kept.Add(FlowList().Replace(line, match => WithoutItem(match, name)));
        }
        return Text(kept, text);
    }

    private static async Task ChangeAsync(string path, string remedy, Func<string, HostsFile, (string Text, HostEntry[] Hosts)> change, CancellationToken cancellationToken)
    {
        var disk = new Disk();
        string directory = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(directory, DurableOperations.Mode700);
        // Of two that change it at once the second one sees what the first one did.
        using IDisposable alone = await FileLock.TakeAsync(Path.Combine(directory, LockFile), LockPatience, TimeProvider.System, cancellationToken)
            ?? throw new OperatorException(ExitCode.Refused, $"{path} is not changed: another agentctl has held {LockFile} beside it for {LockPatience.TotalSeconds:0} seconds", "see what it waits for, then try again");
        // It may be a link into somebody's dotfiles, which stays one.
        if (File.Exists(path)) path = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
        string text = File.Exists(path) ? File.ReadAllText(path) : "";
        (string changed, HostEntry[] wanted) = change(text, Read(path, text));
        HostsFile after;
        try
        {
            after = Read(path, changed);
        }
        catch (OperatorException e)
        {
            throw new OperatorException(ExitCode.Refused, $"{path} is not changed, as it would be wrong: {e.Message}", remedy, e);
        }
        if (!after.Hosts.Select(one => one.Value).SequenceEqual(wanted, Same.Hosts)) throw new OperatorException(ExitCode.Refused, $"{path} is not changed: it is written in a way that agentctl cannot change", "edit it by hand");
        disk.WriteAtomic(path, changed, disk.Status(path)?.Mode ?? DurableOperations.Mode600);
    }

    private static HostsFile Read(string path, string text)
    {
        var problems = new Problems();
        HostsFile file = HostsFile.Read(path, text, problems);
        Inventory.Join(file, null, problems);
        problems.ThrowIfAny(ExitCode.Usage, "correct the file, then try again");
        return file;
    }

    private static List<string> Lines(string text) => text.Length == 0 ? [] : [.. text.TrimEnd('\n').Split('\n').Select(line => line.TrimEnd('\r'))];

    private static string Text(List<string> lines, string before)
    {
        string end = before.Contains("\r\n", StringComparison.Ordinal) ? "\r\n" : "\n";
        return string.Concat(lines.Select(line => line + end));
    }

    private static bool IsBelow(string line) => line.Trim().Length == 0 || line[0] is ' ' or '#';

    private static bool IsEntry(string line) => line.Trim() is { Length: > 0 } content && content[0] != '#';

    private static string Indent(string line) => line[..(line.Length - line.TrimStart(' ').Length)];

    private static string WithoutItem(Match list, string name)
    {
        string[] items = list.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries);
        string[] left = [.. items.Where(item => item.Trim('"', '\'') != name)];
        return left.Length == items.Length ? list.Value : $"[{string.Join(", ", left)}]";
    }

    [GeneratedRegex(@"\Ahosts:\s*(#.*)?\z")]
    private static partial Regex HostsKey();

    [GeneratedRegex(@"\A([a-z_]+):")]
    private static partial Regex TopKey();

    [GeneratedRegex("""\A +(?<quote>["']?)(?<name>[A-Za-z0-9._-]+)\k<quote>:(\s|\z)""", RegexOptions.ExplicitCapture)]
    private static partial Regex EntryKey();

    [GeneratedRegex("""\A *- +(?<quote>["']?)(?<name>[A-Za-z0-9._-]+)\k<quote>\s*(#.*)?\z""", RegexOptions.ExplicitCapture)]
    private static partial Regex ListItem();

    [GeneratedRegex(@"\[([^\[\]#]*)\]")]
    private static partial Regex FlowList();

    /// <summary>Lists in records are compared by what is in them.</summary>
    private sealed class Same : IEqualityComparer<HostEntry>
    {
        public static Same Hosts { get; } = new();

        public bool Equals(HostEntry? x, HostEntry? y) =>
            x is not null && y is not null && x.Name == y.Name && x.Address == y.Address && x.Fingerprint == y.Fingerprint && x.Groups.SequenceEqual(y.Groups);

        public int GetHashCode(HostEntry host) => host.Name.GetHashCode(StringComparison.Ordinal);
    }
}

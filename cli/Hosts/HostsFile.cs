using System.Globalization;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Configuration;
using Agent.Protos.Access;

namespace Agent.Cli.Hosts;

/// <summary>A file that names hosts and groups, as it was typed: hosts.yaml or .agentctl.yaml.</summary>
/// <param name="Path">Absolute.</param>
internal sealed partial record HostsFile(string Path)
{
    public const string NameRule = "use letters, digits, '.', '_' and '-', beginning with a letter or digit, 64 at most";

    /// <summary>Names that mean something in <c>--host</c> already.</summary>
    private static readonly string[] Reserved = [Targets.Local, Targets.All];

    public static readonly string[] Keys = ["host", "app", "hosts", "groups"];
    public static readonly string[] HostKeys = ["address", "groups", "fingerprint"];
    public static readonly string[] GroupKeys = ["hosts", "rollout"];
    public static readonly string[] RolloutKeys = ["batch", "canary", "soak", "max_unavailable", "pause", "max_failures", "rollback_all"];

    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    public IReadOnlyList<Placed<HostEntry>> Hosts { get; private init; } = [];

    /// <summary>Those of <c>groups:</c>, with the names that stand there; a host may add itself by its own <c>groups:</c>.</summary>
    public IReadOnlyList<Placed<HostGroup>> Groups { get; private init; } = [];

    /// <summary>What <c>--host</c> is where it is left out; null: the file does not say.</summary>
    public string? Host { get; private init; }

    /// <summary>What <c>--app</c> is where it is left out; null: the file does not say.</summary>
    public string? App { get; private init; }

    public static bool IsName(string text) => NamePattern().IsMatch(text) && !Reserved.Contains(text);

    /// <summary>What is wrong goes to the problems, and is left out.</summary>
    public static HostsFile Read(string path, string text, Problems problems)
    {
        if (Yaml.Read(path, text, problems) is not { } root) return new HostsFile(path);
        var top = new Section(problems, path, "", root, Keys);
        var hosts = new List<Placed<HostEntry>>();
        if (Named(top, "hosts") is { } entries)
        {
            foreach (string name in Names(top, "hosts", entries))
                if (ReadHost(entries, name) is { } host) hosts.Add(new(host with { File = path }, entries.LineOf(name)));
        }
        var groups = new List<Placed<HostGroup>>();
        if (Named(top, "groups") is { } sets)
        {
            foreach (string name in Names(top, "groups", sets)) groups.Add(new(ReadGroup(sets, name), sets.LineOf(name)));
        }
        return new HostsFile(path) { Hosts = hosts, Groups = groups, Host = top.Text("host"), App = top.Parse("app", name => new AppName(name))?.Value };
    }

    /// <summary>The map below a key whose names people choose; null where there is nothing.</summary>
    private static Section? Named(Section top, string key) =>
        top[key] is YamlNode.Text { IsNothing: true } ? null : top.Map(key, top[key] is YamlNode.Map map ? [.. map.Entries.Select(entry => entry.Key)] : []);

    private static IEnumerable<string> Names(Section top, string key, Section below)
    {
        foreach ((string name, int line, _) in top.Pairs(key))
        {
            if (IsName(name)) yield return name;
            else if (Reserved.Contains(name)) below.WrongAt(name, line, "is a name that --host has a meaning for already", "take another one");
            else below.WrongAt(name, line, "is not a name", NameRule);
        }
    }

    private static HostEntry? ReadHost(Section hosts, string name)
    {
        if (hosts[name] is not YamlNode.Map map) return hosts.Parse(name, HostAddress.Parse) is { } plain ? new HostEntry(name, plain) : null;
        Section host = hosts.At(name, map, HostKeys);
        HostAddress? address = host.Parse("address", HostAddress.Parse);
        if (host["address"] is null) hosts.Wrong(name, "has no address", "write 'address: ssh://HOST' below it");
        IReadOnlyList<string> groups = host.Texts("groups", WrongName) ?? [];
        string? fingerprint = host.Text("fingerprint");
        if (fingerprint is not null && !Fingerprint.IsOne(fingerprint)) host.Wrong("fingerprint", $"is '{fingerprint}'", "write sha256: and 64 hexadecimal digits");
        else if (fingerprint is not null && address is HostAddress.Local or HostAddress.Ssh) host.Wrong("fingerprint", "is for https:// alone", "take it out");
        return address is null ? null : new HostEntry(name, address) { Groups = groups, Fingerprint = fingerprint };
    }

    private static HostGroup ReadGroup(Section groups, string name)
    {
        if (groups[name] is YamlNode.List) return new HostGroup(name, groups.Texts(name, WrongName) ?? [], RolloutDefaults.None);
        if (groups[name] is YamlNode.Text { IsNothing: true } || groups.Map(name, GroupKeys) is not { } group) return new HostGroup(name, [], RolloutDefaults.None);
        RolloutDefaults rollout = group.Map("rollout", RolloutKeys) is { } section ? ReadRollout(section) : RolloutDefaults.None;
        return new HostGroup(name, group.Texts("hosts", WrongName) ?? [], rollout);
    }

    private static RolloutDefaults ReadRollout(Section rollout)
    {
        string? batch = rollout.Text("batch");
        if (batch is not null && !IsBatch(batch))
        {
            rollout.Wrong("batch", $"is '{batch}'", "write a number of hosts, or a share: 25%");
            batch = null;
        }
        return new RolloutDefaults
        {
            Batch = batch,
            Canary = rollout.Number("canary", 0, 1000),
            Soak = rollout.Duration("soak", TimeSpan.Zero, Longest),
            MaxUnavailable = rollout.Number("max_unavailable", 1, 1000),
            Pause = rollout.Duration("pause", TimeSpan.Zero, Longest),
            MaxFailures = rollout.Number("max_failures", 1, 1000),
            RollbackAll = rollout.Flag("rollback_all"),
        };
    }

    private static bool IsBatch(string text) => text.EndsWith('%')
        ? int.TryParse(text.AsSpan(..^1), NumberStyles.None, CultureInfo.InvariantCulture, out int share) && share is >= 1 and <= 100
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is >= 1 and <= 1000;

    private static (string What, string Instead)? WrongName(string text) => IsName(text) ? null : ($"is '{text}'", NameRule);

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
    private static partial Regex NamePattern();
}

/// <summary>Something of a file, and its line there, from 1.</summary>
internal readonly record struct Placed<T>(T Value, int Line);

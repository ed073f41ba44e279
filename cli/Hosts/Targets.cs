using System.IO.Enumeration;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>The hosts that a command is for.</summary>
/// <param name="Hosts">Each once, in the order of the files.</param>
/// <param name="Rollout">Of the groups that were named; of the first that says it, where several do.</param>
/// <param name="IsOne">It was one host that was named, by its name or address; not a group or pattern that has one.</param>
internal sealed record Selection(IReadOnlyList<HostEntry> Hosts, RolloutDefaults Rollout, bool IsOne)
{
    /// <summary>Nobody said <c>--host</c>: a file did.</summary>
    public bool IsDefault { get; init; }

    /// <summary>Those that a project's file alone names, where all were meant and nobody said so.</summary>
    public IReadOnlyList<HostEntry> LeftOut { get; init; } = [];
}

/// <summary>From what <c>--host</c> names to connections.</summary>
internal static class Targets
{
    /// <summary>This machine.</summary>
    public const string Local = "local";

    /// <summary>Every host of the files.</summary>
    public const string All = "all";

    /// <summary>
    /// The hosts that are meant: names, groups, patterns (<c>web*</c>), <c>all</c>, <c>local</c> and addresses, several by commas; what
    /// begins with <c>-</c> or <c>!</c> is taken away, from <c>all</c> where nothing else is named.
    /// </summary>
    /// <param name="wanted">What <c>--host</c> was given, each time.</param>
    /// <param name="socket">For the local agent; null: the usual one.</param>
    /// <exception cref="OperatorException">No such host, or none is left (<see cref="ExitCode.Usage"/>).</exception>
    public static Selection Select(IReadOnlyList<string> wanted, Inventory inventory, string? socket)
    {
        string[] terms = [.. wanted.SelectMany(typed => typed.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];
        if (terms.Length == 0) throw new OperatorException(ExitCode.Usage, "--host names no host", "name one, or leave it out; agentctl hosts lists them");
        string[] without = [.. terms.Where(IsMinus).Select(term => term[1..])], with = [.. terms.Where(term => !IsMinus(term))];
        if (with.Length == 0) with = [All];

        var unknown = new List<string>();
        HostEntry[] Resolve(IEnumerable<string> some) => [.. some.SelectMany(term => Hosts(term, inventory, socket) ?? Unknown(term))];
        IReadOnlyList<HostEntry> Unknown(string term)
        {
            unknown.Add(term);
            return [];
        }
        HostEntry[] chosen = Resolve(with), less = Resolve(without);
        if (unknown.Count > 0) throw NoSuch(unknown, inventory);

        HashSet<HostAddress> gone = [.. less.Select(host => host.Address)];
        HostEntry[] left = [.. chosen.DistinctBy(host => host.Address).Where(host => !gone.Contains(host.Address)).OrderBy(host => Place(host, inventory))];
        if (left.Length == 0) throw new OperatorException(ExitCode.Usage, $"--host {string.Join(',', terms)} leaves no host", "agentctl hosts lists them and their groups");
        RolloutDefaults rollout = with.Select(term => inventory.Groups.FirstOrDefault(group => group.Name == term)?.Rollout ?? RolloutDefaults.None)
            .Aggregate(RolloutDefaults.None, (first, next) => first.Or(next));
        return new Selection(left, rollout, IsOne: terms is [var only] && left is [var one] && (only == one.Name || only.Contains("://", StringComparison.Ordinal)));
    }

    /// <summary>The hosts that the files name for where <c>--host</c> is left out; there is such a <see cref="Inventory.Default"/>.</summary>
    /// <exception cref="OperatorException">No such host (<see cref="ExitCode.Usage"/>); or a project's file leads to hosts that the user's does not have (<see cref="ExitCode.Refused"/>).</exception>
    public static Selection SelectDefault(Inventory inventory, string? socket)
    {
        (string wanted, string file) = inventory.Default!;
        Selection selection;
        try
        {
            selection = Select([wanted], inventory, socket);
        }
        catch (OperatorException e)
        {
            throw new OperatorException(e.Code, $"{file}: host is '{wanted}': {e.Message}", e.Remedy, e);
        }
        if (file == inventory.ProjectFile && selection.Hosts.FirstOrDefault(host => (host.File is null || host.File != inventory.UserFile) && host.Address is not HostAddress.Local) is { } foreign)
        {
            throw new OperatorException(ExitCode.Refused, $"{file} leads to {foreign.Name} ({foreign.Address}), which your own hosts do not have",
                $"where you trust it, say it: --host {wanted}; or keep it: agentctl hosts add {foreign.Name.Split("://")[^1]} {foreign.Address}");
        }
        return selection with { IsDefault = true };
    }

    /// <summary>All hosts of the user's own file; this machine where there are none.</summary>
    public static Selection SelectUsers(Inventory inventory)
    {
        HostEntry[] own = [.. inventory.Hosts.Where(host => !inventory.IsProjects(host))];
        return new Selection(own.Length > 0 ? own : [new HostEntry(Local, new HostAddress.Local(null))], RolloutDefaults.None, IsOne: false) { LeftOut = [.. inventory.Hosts.Except(own)] };
    }

    private static bool IsMinus(string term) => term[0] is '-' or '!';

    /// <returns>Null: there is no such host.</returns>
    private static IReadOnlyList<HostEntry>? Hosts(string term, Inventory inventory, string? socket)
    {
        if (term == Local) return [new HostEntry(Local, new HostAddress.Local(socket))];
        if (term == All && inventory.Hosts.Count > 0) return inventory.Hosts;
        if (inventory.Hosts.FirstOrDefault(host => host.Name == term) is { } named) return [named];
        if (inventory.Groups.FirstOrDefault(group => group.Name == term) is { } group) return [.. inventory.Hosts.Where(host => group.Hosts.Contains(host.Name))];
        if (term.Contains("://", StringComparison.Ordinal))
        {
            HostAddress address = HostAddress.Parse(term);
            return [inventory.Hosts.FirstOrDefault(host => host.Address == address) ?? new HostEntry(address.ToString()!, address)];
        }
        if (!term.AsSpan().ContainsAny('*', '?')) return null;
        HostEntry[] matching = [.. inventory.Hosts.Where(host => FileSystemName.MatchesSimpleExpression(term, host.Name, ignoreCase: false))];
        return matching.Length > 0 ? matching : null;
    }

    /// <summary>What was typed as an address comes behind what the files name.</summary>
    private static int Place(HostEntry host, Inventory inventory)
    {
        for (int i = 0; i < inventory.Hosts.Count; i++)
            if (inventory.Hosts[i].Name == host.Name) return i;
        return int.MaxValue;
    }

    private static OperatorException NoSuch(List<string> unknown, Inventory inventory)
    {
        string[] names = [.. inventory.Hosts.Select(host => host.Name), .. inventory.Groups.Select(group => group.Name), Local, All];
        string what = string.Join('\n', unknown.Distinct().Select(term => term switch
        {
            All => "there are no hosts yet",
            _ when term.AsSpan().ContainsAny('*', '?') => $"no host matches {term}",
            _ => $"there is no host or group '{term}'{(UsageErrors.Suggest(term, names) is { } near ? $"; did you mean {near}?" : "")}",
        }));
        return new OperatorException(ExitCode.Usage, what,
            inventory.Hosts.Count > 0 ? "agentctl hosts lists them; to add one: agentctl hosts add NAME ADDRESS" : "agentctl hosts add NAME ADDRESS, such as ssh://USER@HOST");
    }
}

namespace Agent.Artifacts.Trust;

/// <summary>Looks for targets in one trusted set (5.6.7): delegations pre-order and depth-first, in the order in which a role lists them.</summary>
internal sealed class TargetSearch(MetadataUpdate update, TrustedSet trusted)
{
    private const int DelegationsLimit = 32;

    // A role that was verified for a delegation need not be so again for the next path. By reference: the delegator is part of the question.
    private readonly Dictionary<Delegation, Envelope<TargetsMetadata>> verified = new(ReferenceEqualityComparer.Instance);

    /// <summary>The target that the most trusted role lists; null when none of the roles that may do so lists it, or not within 32 delegations.</summary>
    public async Task<TargetInfo?> FindAsync(string path, CancellationToken cancellationToken)
    {
        var toVisit = new Stack<(Delegation Delegation, TargetsMetadata By)>();
        var visited = new HashSet<string>();
        TargetsMetadata role = trusted.Targets.Signed;
        while (true)
        {
            if (role.Targets.TryGetValue(path, out TargetInfo? target)) return target;
            var next = new List<Delegation>();
            foreach (Delegation delegation in role.Delegations.Where(delegation => delegation.Covers(path)))
            {
                next.Add(delegation);
                if (!delegation.Terminating) continue;
                toVisit.Clear();   // neither its younger siblings nor what waits above
                break;
            }
            foreach (Delegation delegation in Enumerable.Reverse(next)) toVisit.Push((delegation, role));

            (Delegation Delegation, TargetsMetadata By) visit;
            do
            {
                if (toVisit.Count == 0 || visited.Count == DelegationsLimit) return null;
                visit = toVisit.Pop();
            }
            while (!visited.Add(visit.Delegation.Role));
            role = await LoadAsync(visit.Delegation, visit.By, cancellationToken);
        }
    }

    /// <summary>All targets below <paramref name="directory"/> (empty, or with a closing <c>/</c>), each as <see cref="FindAsync"/> finds it, sorted by path.</summary>
    public async Task<IReadOnlyList<TargetInfo>> ListAsync(string directory, CancellationToken cancellationToken)
    {
        var listed = new SortedSet<string>(StringComparer.Ordinal);
        var toVisit = new Queue<(Delegation Delegation, TargetsMetadata By)>();
        var visited = new HashSet<string>();
        TargetsMetadata role = trusted.Targets.Signed;
        while (true)
        {
            listed.UnionWith(role.Targets.Keys.Where(path => path.StartsWith(directory, StringComparison.Ordinal)));
            foreach (Delegation delegation in role.Delegations.Where(delegation => delegation.MayCoverBelow(directory))) toVisit.Enqueue((delegation, role));
            while (toVisit.Count > 0 && visited.Contains(toVisit.Peek().Delegation.Role)) toVisit.Dequeue();
            if (toVisit.Count == 0 || visited.Count == DelegationsLimit) break;
            (Delegation next, TargetsMetadata by) = toVisit.Dequeue();
            visited.Add(next.Role);
            role = await LoadAsync(next, by, cancellationToken);
        }

        // Listing says who claims a path; only the search says whether that role may, and which claim counts.
        var found = new List<TargetInfo>();
        foreach (string path in listed)
            if (await FindAsync(path, cancellationToken) is { } target) found.Add(target);
        return found;
    }

    /// <summary>A role that the top-level targets delegate to; null when they do not.</summary>
    public async Task<(Delegation Delegation, Envelope<TargetsMetadata> Role)?> FindRoleAsync(string name, CancellationToken cancellationToken)
    {
        if (trusted.Targets.Signed.Delegations.FirstOrDefault(delegation => delegation.Role == name) is not { } delegation) return null;
        await LoadAsync(delegation, trusted.Targets.Signed, cancellationToken);
        return (delegation, verified[delegation]);
    }

    private async Task<TargetsMetadata> LoadAsync(Delegation delegation, TargetsMetadata by, CancellationToken cancellationToken)
    {
        if (!verified.TryGetValue(delegation, out Envelope<TargetsMetadata>? role))
        {
            role = await update.LoadTargetsAsync(delegation.Role, delegation.Signers, by.Keys, trusted.Root.Signed, trusted.Snapshot.Signed, cancellationToken);
            verified.Add(delegation, role);
        }
        return role.Signed;
    }
}

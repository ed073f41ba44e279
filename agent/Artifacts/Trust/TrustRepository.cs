using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;

namespace Agent.Artifacts.Trust;

/// <summary>
/// The publisher's side of a store's signed metadata. What is in the store is verified by the client's own workflow before anything is
/// built on it, except that what has expired is accepted, since a publish renews it.
/// </summary>
/// <remarks>
/// A publish writes, in this order: the changed roles, a snapshot that names them, and last <c>timestamp.json</c>, the one file that is ever
/// replaced, by compare-and-swap. Until then the store is what it was, so an interruption at any point costs nothing but leftover
/// <c>N.*.json</c> files that nothing names. A name that is taken by such a leftover is not used: what lies there is read back, and unless
/// it is exactly what was to be written, the next number is tried (versions need not be consecutive, only rise).
/// </remarks>
/// <param name="directory">For the publisher's own trusted metadata (its memory against rollback); one directory serves any number of stores.</param>
internal sealed class TrustRepository(IStoreWriter store, KeyFile keys, IDisk disk, string directory, TimeProvider time) : IDisposable
{
    private const int RacesLimit = 16, LeftoversLimit = 256;

    private readonly MetadataFetcher fetcher = new(store, time);

    /// <summary>The store as its signed metadata has it.</summary>
    public TrustClient Client { get; } = new(store, disk, Path.Combine(directory, Digest.Of(keys.Root).Short), time, acceptExpired: true);

    public static string ReleaseRole(AppName app) => app.Value;

    public static string ChannelRole(AppName app) => $"{app}-channels";

    /// <summary>Makes the store: root, empty targets, snapshot, and last the timestamp. May be run again with the same keys after an interruption.</summary>
    /// <returns>Warnings for the operator.</returns>
    /// <exception cref="OperatorException"><see cref="ExitCode.Refused"/>: there is a store already, or one was begun with other keys.</exception>
    public async Task<IReadOnlyList<string>> InitAsync(CancellationToken cancellationToken)
    {
        RootMetadata root = MetadataFormat.ReadRoot(keys.Root, "root.json").Signed;
        RequireSigners(root);
        if (await ExistsAsync(StoreLayout.Timestamp, cancellationToken)) throw Exists();
        DateTimeOffset now = time.GetUtcNow();
        if (!await TryPutAsync(StoreLayout.Metadata(MetadataFormat.Root, root.Version), keys.Root, cancellationToken))
            throw new OperatorException(ExitCode.Refused, $"{store.Description} was begun with another root", "use the key file that it was begun with, or another place");
        (long targetsVersion, byte[] targets) = await PutNextAsync(
            MetadataFormat.Targets, MetadataWriter.Renew(MetadataWriter.NewTargets(), keys.Lives.Targets, now), root.Roles[MetadataFormat.Targets], 0, MetadataFetcher.TargetsLimit, cancellationToken);
        JsonObject snapshot = MetadataWriter.NewSnapshot();
        MetadataWriter.Name(snapshot, MetadataFormat.Targets, targetsVersion, targets);
        if (!await PutSnapshotAsync(root, snapshot, after: 0, null, now, cancellationToken)) throw Exists();
        await RefreshClientAsync(cancellationToken);
        return root.Roles[MetadataFormat.Root].Threshold > 1
            ? []
            : ["one key alone (root) decides what hosts trust: keep the key file offline and backed up; 2 of 3 keys are advised for more than one person"];

        OperatorException Exists() => new(ExitCode.Refused, $"{store.Description} holds a store already", "publish to it, or name another place");
    }

    /// <summary>Delegates <c>APP/releases/*</c> and <c>APP/channels/*</c> to the app's two keys. False when that is so already.</summary>
    public Task<bool> AddAppAsync(AppName app, CancellationToken cancellationToken)
    {
        string releases = ReleaseRole(app), channels = ChannelRole(app);
        // "shop-channels" would be the channels' role of "shop".
        if (MetadataFormat.TopLevelRoles.Contains(releases) || releases.EndsWith("-channels", StringComparison.Ordinal))
            throw new OperatorException(ExitCode.Usage, $"'{app}' cannot be the name of a published app", "choose another name");
        return CommitAsync((draft, now) =>
        {
            if (draft.Onto.Targets.Signed.Delegations.Any(delegation => delegation.Role == releases)) return Task.CompletedTask;
            SigningKey release = Required(KeyFile.ReleasePurpose(app)), promote = Required(KeyFile.PromotePurpose(app));
            JsonObject targets = MetadataWriter.Content(draft.Onto.Targets);
            MetadataWriter.Delegate(targets, releases, release, $"{app}/releases/*");
            MetadataWriter.Delegate(targets, channels, promote, $"{app}/channels/*");
            draft.Set(releases, MetadataWriter.Renew(MetadataWriter.NewTargets(), keys.Lives.Release, now), new RoleKeys([release.KeyId], 1));
            draft.Set(channels, MetadataWriter.Renew(MetadataWriter.NewTargets(), keys.Lives.Promote, now), new RoleKeys([promote.KeyId], 1));
            draft.Set(MetadataFormat.Targets, MetadataWriter.Renew(targets, keys.Lives.Targets, now), draft.Onto.Root.Signed.Roles[MetadataFormat.Targets]);
            return Task.CompletedTask;
        }, cancellationToken);

        SigningKey Required(string purpose) => keys.Find(purpose) ?? throw new OperatorException(
            ExitCode.Refused, $"the store does not know '{app}', and the key file has no key '{purpose}'", "add the app with the key file that holds the root key");
    }

    /// <summary>Adds targets to a role, or replaces them, all at once.</summary>
    /// <param name="change">
    /// Gets what the role lists and gives back what to add or replace; nothing: nothing is published. It may throw to refuse. It is asked
    /// again when another publisher was quicker, so that it always decides on what is really there.
    /// </param>
    /// <returns>False when <paramref name="change"/> had nothing.</returns>
    public Task<bool> PublishAsync(
        string role, Func<ImmutableSortedDictionary<string, TargetInfo>, CancellationToken, Task<IReadOnlyList<TargetInfo>>> change, CancellationToken cancellationToken) =>
        CommitAsync(async (draft, now) =>
        {
            (Delegation delegation, Envelope<TargetsMetadata> present) = await Client.FindRoleAsync(role, cancellationToken)
                ?? throw new OperatorException(ExitCode.Refused, $"{store.Description} has no role '{role}'", "add the app with the key file that holds the root key");
            IReadOnlyList<TargetInfo> changed = await change(present.Signed.Targets, cancellationToken);
            if (changed.Count == 0) return;
            JsonObject signed = MetadataWriter.Content(present);
            foreach (TargetInfo target in changed)
            {
                if (!delegation.Covers(target.Path)) throw new OperatorException(ExitCode.Refused, $"role '{role}' may not list {target.Path}", "publish it for the app that the role is for");
                MetadataWriter.List(signed, target);
            }
            draft.Set(role, MetadataWriter.Renew(signed, LifeOf(role), now), delegation.Signers);
        }, cancellationToken);

    /// <summary>Uploads the content of a target, named by its hash; it is not listed until <see cref="PublishAsync"/> has listed it.</summary>
    public async Task<TargetInfo> PutTargetAsync(string path, byte[] content, JsonObject? custom, CancellationToken cancellationToken)
    {
        var target = new TargetInfo(path, content.Length, Digest.Of(content), custom);
        string place = StoreLayout.Target(target);
        if (!await TryPutAsync(place, content, cancellationToken))
            throw new OperatorException(ExitCode.Refused, $"{store.Description} has other content at {place} than its name says", "remove that object from the store, then publish again");
        return target;
    }

    /// <summary>Signs a new snapshot and timestamp, and each role past half of its life whose keys are here.</summary>
    /// <returns>Names of the roles that were renewed.</returns>
    public async Task<IReadOnlyList<string>> RefreshAsync(CancellationToken cancellationToken)
    {
        var renewed = new List<string>();
        if (await RenewRootAsync(cancellationToken)) renewed.Add(MetadataFormat.Root);
        await CommitAsync(async (draft, now) =>
        {
            renewed.RemoveAll(role => role != MetadataFormat.Root);
            renewed.AddRange([MetadataFormat.Timestamp, MetadataFormat.Snapshot]);
            draft.RenewsSnapshot = true;
            Renew(MetadataFormat.Targets, draft.Onto.Targets, draft.Onto.Root.Signed.Roles[MetadataFormat.Targets]);
            foreach (Delegation delegation in draft.Onto.Targets.Signed.Delegations)
                if (await Client.FindRoleAsync(delegation.Role, cancellationToken) is { } found) Renew(delegation.Role, found.Role, delegation.Signers);

            void Renew(string role, Envelope<TargetsMetadata> present, RoleKeys signers)
            {
                if (!IsDue(present.Signed, LifeOf(role), now) || keys.Keys.Count(key => signers.KeyIds.Contains(key.KeyId)) < signers.Threshold) return;
                draft.Set(role, MetadataWriter.Renew(MetadataWriter.Content(present), LifeOf(role), now), signers);
                renewed.Add(role);
            }
        }, cancellationToken);
        return renewed;
    }

    /// <summary>The apps that the store has, sorted.</summary>
    public async Task<IReadOnlyList<AppName>> AppsAsync(CancellationToken cancellationToken)
    {
        await RefreshClientAsync(cancellationToken);
        ImmutableArray<Delegation> delegations = (await Client.TrustedAsync(cancellationToken)).Targets.Signed.Delegations;
        return [.. delegations.Where(d => delegations.Any(other => other.Role == $"{d.Role}-channels")).Select(d => new AppName(d.Role)).OrderBy(app => app.Value, StringComparer.Ordinal)];
    }

    public void Dispose() => Client.Dispose();

    private static bool IsDue(Signed signed, TimeSpan life, DateTimeOffset now) => now >= (signed.HalfLife ?? signed.Expires - life / 2);

    private TimeSpan LifeOf(string role) => role == MetadataFormat.Targets ? keys.Lives.Targets
        : role.EndsWith("-channels", StringComparison.Ordinal) ? keys.Lives.Promote : keys.Lives.Release;

    private async Task<TrustedSet> RefreshClientAsync(CancellationToken cancellationToken)
    {
        Client.Init(keys.Root);
        await Client.RefreshAsync(cancellationToken);
        return await Client.TrustedAsync(cancellationToken);
    }

    // Nothing gates a root: hosts take it as soon as it lies there. So it goes alone and before the rest.
    private async Task<bool> RenewRootAsync(CancellationToken cancellationToken)
    {
        Envelope<RootMetadata> root = (await RefreshClientAsync(cancellationToken)).Root;
        RoleKeys signers = root.Signed.Roles[MetadataFormat.Root];
        DateTimeOffset now = time.GetUtcNow();
        if (!IsDue(root.Signed, keys.Lives.Root, now) || keys.Keys.Count(key => signers.KeyIds.Contains(key.KeyId)) < signers.Threshold) return false;
        JsonObject signed = MetadataWriter.Renew(MetadataWriter.Content(root), keys.Lives.Root, now);
        signed["version"] = root.Signed.Version + 1;
        return await TryPutAsync(StoreLayout.Metadata(MetadataFormat.Root, root.Signed.Version + 1), MetadataWriter.Sign(signed, keys.For(MetadataFormat.Root, signers)), cancellationToken);
    }

    // Who may not sign the end must not begin.
    private void RequireSigners(RootMetadata root)
    {
        _ = keys.For(MetadataFormat.Snapshot, root.Roles[MetadataFormat.Snapshot]);
        _ = keys.For(MetadataFormat.Timestamp, root.Roles[MetadataFormat.Timestamp]);
    }

    private async Task<bool> CommitAsync(Func<RepositoryDraft, DateTimeOffset, Task> edit, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        var uploaded = new Dictionary<string, (JsonObject Signed, long Version, byte[] File)>();
        for (int race = 0; race < RacesLimit; race++)
        {
            TrustedSet present = await RefreshClientAsync(cancellationToken);
            var draft = new RepositoryDraft(present);
            await edit(draft, now);
            if (draft.Roles.Count == 0 && !draft.RenewsSnapshot) return false;
            RequireSigners(present.Root.Signed);
            foreach ((string role, _, RoleKeys signers) in draft.Roles) _ = keys.For(role, signers);

            JsonObject snapshot = MetadataWriter.Content(present.Snapshot);
            foreach ((string role, JsonObject signed, RoleKeys signers) in draft.Roles)
            {
                signed.Remove("version");
                long after = present.Snapshot.Signed.Roles.TryGetValue(role, out MetaFile? before) ? before.Version : 0;
                // After a lost race the same content need not be signed and uploaded again: that race was about the snapshot.
                if (!uploaded.TryGetValue(role, out (JsonObject Signed, long Version, byte[] File) own) || own.Version <= after || !JsonNode.DeepEquals(own.Signed, signed))
                {
                    var content = (JsonObject)signed.DeepClone();
                    (long version, byte[] file) = await PutNextAsync(role, signed, signers, after, MetadataFetcher.TargetsLimit, cancellationToken);
                    uploaded[role] = own = (content, version, file);
                }
                MetadataWriter.Name(snapshot, role, own.Version, own.File);
            }
            if (await PutSnapshotAsync(present.Root.Signed, snapshot, present.Snapshot.Signed.Version, present.Timestamp, now, cancellationToken)) return true;
        }
        throw new OperatorException(ExitCode.Unreachable, $"others published to {store.Description} {RacesLimit} times in a row, each time first", "try again");
    }

    /// <summary>Writes a snapshot and swaps the timestamp. False when another publisher has swapped it.</summary>
    private async Task<bool> PutSnapshotAsync(
        RootMetadata root, JsonObject snapshot, long after, Envelope<TimestampMetadata>? timestamp, DateTimeOffset now, CancellationToken cancellationToken)
    {
        (long version, byte[] file) = await PutNextAsync(
            MetadataFormat.Snapshot, MetadataWriter.Renew(snapshot, keys.Lives.Snapshot, now), root.Roles[MetadataFormat.Snapshot], after, MetadataFetcher.SnapshotLimit, cancellationToken);
        JsonObject next = MetadataWriter.Renew(MetadataWriter.NewTimestamp(), keys.Lives.Timestamp, now);
        MetadataWriter.Name(next, MetadataFormat.Snapshot, version, file);
        next["version"] = (timestamp?.Signed.Version ?? 0) + 1;
        byte[] bytes = MetadataWriter.Sign(next, keys.For(MetadataFormat.Timestamp, root.Roles[MetadataFormat.Timestamp]));
        return await store.ReplaceAsync(StoreLayout.Timestamp, bytes, timestamp?.Bytes, cancellationToken);
    }

    /// <summary>Signs a role under the next number that is free, and uploads it.</summary>
    private async Task<(long Version, byte[] File)> PutNextAsync(string role, JsonObject signed, RoleKeys signers, long after, int limit, CancellationToken cancellationToken)
    {
        for (long version = after + 1; version <= after + LeftoversLimit; version++)
        {
            signed["version"] = version;
            byte[] file = MetadataWriter.Sign(signed, keys.For(role, signers));
            if (file.Length > limit) throw new OperatorException(ExitCode.Refused, $"the metadata of '{role}' would be {file.Length} bytes, and hosts accept {limit}", "prune old releases first");
            if (await TryPutAsync(StoreLayout.Metadata(role, version), file, cancellationToken)) return (version, file);
        }
        throw new OperatorException(ExitCode.Refused, $"{store.Description} has {LeftoversLimit} files of '{role}' that nothing names", "remove the files in metadata/ with numbers above the newest snapshot's");
    }

    private async Task<bool> ExistsAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await using StoreObject? found = await store.OpenAsync(path, 0, null, cancellationToken);
            return true;
        }
        catch (StoreObjectMissingException)
        {
            return false;
        }
    }

    /// <summary>Puts an object that never changes. False when another one lies there.</summary>
    private async Task<bool> TryPutAsync(string path, byte[] content, CancellationToken cancellationToken)
    {
        using var stream = new MemoryStream(content, writable: false);
        await store.PutAsync(path, stream, cancellationToken);
        try
        {
            (byte[]? stored, _) = await fetcher.FetchAsync(path, content.Length, null, cancellationToken);
            return stored.AsSpan().SequenceEqual(content);
        }
        catch (TrustException e) when (e.Failure == TrustFailure.Length)
        {
            return false;
        }
    }
}

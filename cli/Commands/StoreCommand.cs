using System.CommandLine;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

internal static class StoreCommand
{
    public static Verb Create(Verbs verbs) => new("store", "Makes and looks after a store of releases.", "agentctl store init --store /srv/store --key-file keys.json")
    {
        CreateInit(verbs),
        CreateList(verbs),
        CreateRefresh(verbs),
    };

    private static Verb CreateList(Verbs verbs)
    {
        var store = new StoreOptions();
        return verbs.Working(
            new Verb("list", "Lists what a store's signed metadata holds: releases, and what each channel points at.", "agentctl store list --store /srv/store --key-file keys.json --app shop"),
            [store.App, store.Store, store.KeyFile],
            async (call, cancellationToken) =>
            {
                using TrustRepository repository = store.Open(call, KeyFile.Read(store.KeyFileOf(call.Parsed)));
                var publisher = new Publisher(store.OpenStore(call), repository, new Disk(), Path.GetTempPath(), call.Time);
                StoreText.Write(call, await publisher.ListAsync(store.AppOrNull(call), cancellationToken));
                return 0;
            });
    }

    private static Verb CreateInit(Verbs verbs)
    {
        var store = new StoreOptions();
        var root = new Option<string?>("--root-file") { Description = "where to write the root that hosts pin; else root.json beside the key file", HelpName = "FILE" };
        return verbs.Working(
            new Verb("init", "Makes keys and an empty store. Hosts that pin its root.json believe what these keys sign.", "agentctl store init --store /srv/store --key-file keys.json"),
            [store.Store, store.KeyFile, root],
            async (call, cancellationToken) =>
            {
                string keyFile = store.KeyFileOf(call.Parsed);
                string rootFile = call.Parsed.GetValue(root) is { Length: > 0 } named ? Path.GetFullPath(named) : Path.Combine(Path.GetDirectoryName(keyFile)!, "root.json");
                return await InitAsync(call, store, keyFile, rootFile, cancellationToken);
            });
    }

    // Keys first: a store whose keys were lost half-way could never be finished. The same command finishes what was interrupted.
    private static async Task<int> InitAsync(Call call, StoreOptions store, string keyFile, string rootFile, CancellationToken cancellationToken)
    {
        var disk = new Disk();
        bool fresh = disk.Kind(keyFile) == EntryKind.Missing;
        KeyFile keys = fresh ? KeyFile.Generate(RoleLives.Default, call.Time) : KeyFile.Read(keyFile);
        if (fresh)
        {
            disk.MakeDirectories(Path.GetDirectoryName(keyFile)!, DurableOperations.Mode700);
            keys.Write(disk, keyFile);
        }
        string location = store.StoreOf(call.Parsed);
        using TrustRepository repository = store.Open(call, keys);
        if (disk.Kind(Path.GetFullPath(location)) == EntryKind.Missing) disk.MakeDirectories(Path.GetFullPath(location));   // to write, a store is a directory: Open has refused all else
        IReadOnlyList<string> warnings = await repository.InitAsync(cancellationToken);
        disk.WriteAtomic(rootFile, keys.Root, DurableOperations.Mode644);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(location, (w, place) =>
            {
                w.WriteString("store", place);
                w.WriteString("key_file", keyFile);
                w.WriteString("root_file", rootFile);
                w.Texts("warnings", warnings);
            }));
            return 0;
        }
        call.Terminal.Line($"store  {location}");
        call.Terminal.Line($"keys   {keyFile}  keep it secret and backed up");
        call.Terminal.Line($"root   {rootFile}  give it to every host, as /etc/agentd/root.json");
        foreach (string warning in warnings) call.Terminal.ErrorLine(new Piece("warning: ", Tone.Strong), warning);
        return 0;
    }

    private static Verb CreateRefresh(Verbs verbs)
    {
        var store = new StoreOptions();
        return verbs.Working(
            new Verb("refresh", "Signs the store's timestamp and snapshot again, and what is past half of its life. To be run by a timer where nothing is published for weeks.",
                "agentctl store refresh --store /srv/store --key-file keys.json"),
            [store.Store, store.KeyFile],
            async (call, cancellationToken) =>
            {
                using TrustRepository repository = store.Open(call, KeyFile.Read(store.KeyFileOf(call.Parsed)));
                IReadOnlyList<string> renewed = await repository.RefreshAsync(cancellationToken);
                if (call.Json) call.Terminal.Document(writer => writer.Object(renewed, (w, roles) => w.Texts("renewed", roles)));
                else call.Terminal.Line($"renewed  {string.Join(", ", renewed)}");
                return 0;
            });
    }
}

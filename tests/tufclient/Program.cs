// The command line that theupdateframework/tuf-conformance drives (its CLIENT-CLI.md), over the agent's own TrustClient.
//   tufclient --metadata-dir D init ROOT
//   tufclient --metadata-url U --metadata-dir D refresh
//   tufclient --metadata-url U --metadata-dir D --target-name T... --target-dir X --target-base-url B download
// Exit status: 0, or 1 when anything failed.
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Trust;
using Agent.TufClient;

var options = new Dictionary<string, string>();
var targetNames = new List<string>();
var words = new List<string>();
for (int i = 0; i < args.Length; i++)
{
    if (args[i] == "--target-name") targetNames.Add(args[++i]);
    else if (args[i].StartsWith("--", StringComparison.Ordinal)) options[args[i]] = args[++i];
    else words.Add(args[i]);
}

try
{
    var disk = new Disk();
    using var store = new UrlStore(options.GetValueOrDefault("--metadata-url", ""), options.GetValueOrDefault("--target-base-url", ""));
    using var client = new TrustClient(store, disk, Path.GetFullPath(options["--metadata-dir"]), TimeProvider.System);
    switch (words)
    {
        case ["init", string root]:
            client.Init(await File.ReadAllBytesAsync(root));
            return 0;
        case ["refresh"]:
            await client.RefreshAsync(CancellationToken.None);
            return 0;
        case ["download"]:
            foreach (string name in targetNames) await DownloadAsync(client, disk, name);
            return 0;
        default:
            throw new ArgumentException("expected init ROOT, refresh or download");
    }
}
catch (Exception e) when (e is OperatorException or IOException or ArgumentException)
{
    await Console.Error.WriteLineAsync($"error: {e.Message}");
    return 1;
}

async Task DownloadAsync(TrustClient client, Disk disk, string name)
{
    TargetInfo target = await client.FindTargetAsync(name, CancellationToken.None) ?? throw new IOException($"no target '{name}'");
    string path = Path.GetFullPath(Path.Combine(options["--target-dir"], Uri.EscapeDataString(name)));
    if (disk.Exists(path) && target.Hashes.Match(disk.ReadAll(path))) return;
    disk.WriteAtomic(path, await client.ReadTargetAsync(target, int.MaxValue, CancellationToken.None));
}

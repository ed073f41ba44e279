using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Publishing;
using Agent.Artifacts.Stores;
using Agent.Artifacts.Trust;

namespace Agent.Tests.Artifacts.Publishing;

/// <summary>A real store in a directory, the keys to it, and as many publishers as a test wants.</summary>
internal sealed class PublishedStore : IDisposable
{
    public static readonly AppName Shop = new("shop");

    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
    private readonly List<TrustRepository> repositories = [];
    private int trees;

    private PublishedStore()
    {
        Store = new DirectoryStore(Root, new Disk(), TimeProvider.System);
        Keys = KeyFile.Generate(RoleLives.Default, TimeProvider.System).WithApp(Shop);
        (Publisher, Repository) = NewPublisher();
    }

    public Scratch Scratch { get; } = new();

    public string Root => Scratch["store"];

    public DirectoryStore Store { get; }

    public KeyFile Keys { get; }

    public Publisher Publisher { get; }

    public TrustRepository Repository { get; }

    public static async Task<PublishedStore> CreateAsync()
    {
        var store = new PublishedStore();
        Directory.CreateDirectory(store.Root);
        await store.Repository.InitAsync(CancellationToken.None);
        return store;
    }

    /// <summary>Bytes that no compression makes smaller; the same for the same seed.</summary>
    public static byte[] Noise(int size, int seed)
    {
        byte[] bytes = new byte[size];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>One that shares nothing with the others but the store.</summary>
    public (Publisher Publisher, TrustRepository Repository) NewPublisher(IStoreWriter? through = null)
    {
        IStoreWriter store = through ?? Store;
        string own = $"publisher-{repositories.Count}";
        var repository = new TrustRepository(store, Keys, new Disk(), Scratch[$"{own}/trust"], TimeProvider.System);
        repositories.Add(repository);
        return (new Publisher(store, repository, new Disk(), Scratch.MakeDirectory($"{own}/scratch"), TimeProvider.System), repository);
    }

    /// <summary>A directory to publish; what lies in <c>bin/</c> is executable.</summary>
    public string Tree(params (string Path, byte[] Content)[] files)
    {
        string tree = $"tree-{Interlocked.Increment(ref trees)}";
        Scratch.MakeDirectory(tree);
        foreach ((string path, byte[] content) in files)
        {
            string file = Scratch.Write($"{tree}/{path}", content);
            if (path.StartsWith("bin/", StringComparison.Ordinal)) File.SetUnixFileMode(file, Executable);
        }
        return Scratch[tree];
    }

    public Task<PublishResult> PublishAsync(string version, params (string Path, byte[] Content)[] files) => PublishAsync(Publisher, version, files);

    public Task<PublishResult> PublishAsync(Publisher by, string version, params (string Path, byte[] Content)[] files) =>
        by.PublishAsync(Tree(files), Shop, new ReleaseVersion(version), new Progress<(long, long)>(), CancellationToken.None);

    public Task<PromoteResult> PromoteAsync(string version, string? minimum = null, string channel = "stable") =>
        Publisher.PromoteAsync(Shop, new ReleaseVersion(version), channel, minimum is null ? null : new ReleaseVersion(minimum), CancellationToken.None);

    /// <summary>All that the store lists, as text: by one who has never seen it before.</summary>
    public async Task<string> ListingAsync()
    {
        var lines = new List<string>();
        foreach (ListedApp app in await NewPublisher().Publisher.ListAsync(null, CancellationToken.None))
        {
            lines.Add($"{app.App}: {string.Join(' ', app.Releases.Select(release => $"{release.Version}={release.Digest.Short}"))}");
            lines.AddRange(app.Channels.Select(channel => $"{channel.Name}={channel.Target.Release} {channel.Target.Sequence} {channel.Target.MinimumRelease}"));
        }
        return string.Join('\n', lines);
    }

    public void Dispose()
    {
        foreach (TrustRepository repository in repositories) repository.Dispose();
        Scratch.Dispose();
    }
}

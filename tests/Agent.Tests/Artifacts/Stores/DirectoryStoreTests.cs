using System.Diagnostics;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Artifacts.Stores;

namespace Agent.Tests.Artifacts.Stores;

public sealed class DirectoryStoreTests : IDisposable
{
    private readonly Scratch scratch = new();
    private readonly DirectoryStore store;

    public DirectoryStoreTests() => store = new DirectoryStore(scratch["store"], new Disk(), TimeProvider.System);

    public void Dispose() => scratch.Dispose();

    private async Task<string> ReadAsync(string path, long offset = 0)
    {
        await using StoreObject opened = (await store.OpenAsync(path, offset, null, CancellationToken.None))!;
        using var reader = new StreamReader(opened.Content);
        return await reader.ReadToEndAsync();
    }

    private Task PutAsync(string path, string content) => store.PutAsync(path, new MemoryStream(Encoding.UTF8.GetBytes(content)), CancellationToken.None);

    private async Task<List<string>> ListAsync(string prefix)
    {
        var paths = new List<string>();
        await foreach (string path in store.ListAsync(prefix, CancellationToken.None)) paths.Add(path);
        return paths;
    }

    [Fact]
    public async Task Keeps_what_is_put_and_never_changes_it()
    {
        await PutAsync("blobs/sha256/aa", "0123456789");
        await PutAsync("blobs/sha256/aa", "other");
        Assert.Equal("0123456789", await ReadAsync("blobs/sha256/aa"));
        Assert.Equal("456789", await ReadAsync("blobs/sha256/aa", 4));
        await Assert.ThrowsAsync<StoreObjectMissingException>(() => ReadAsync("blobs/sha256/bb"));
    }

    [Fact]
    public async Task Lists_by_prefix_without_leftovers()
    {
        foreach (string path in new[] { "metadata/1.root.json", "metadata/timestamp.json", "targets/shop/releases/a.json", "top" }) await PutAsync(path, "x");
        scratch.Write("store/metadata/2.root.json" + DurableOperations.TemporarySuffix, "half");
        Assert.Equal(["metadata/1.root.json", "metadata/timestamp.json"], await ListAsync("metadata/"));
        Assert.Equal(["metadata/1.root.json"], await ListAsync("metadata/1."));
        Assert.Equal(4, (await ListAsync("")).Count);
        Assert.Empty(await ListAsync("nothing/"));
    }

    [Fact]
    public async Task Replaces_only_what_is_expected()
    {
        Assert.True(await store.ReplaceAsync("metadata/timestamp.json", "1"u8.ToArray(), null, CancellationToken.None));
        Assert.False(await store.ReplaceAsync("metadata/timestamp.json", "2"u8.ToArray(), null, CancellationToken.None));
        Assert.False(await store.ReplaceAsync("metadata/timestamp.json", "2"u8.ToArray(), "0"u8.ToArray(), CancellationToken.None));
        Assert.True(await store.ReplaceAsync("metadata/timestamp.json", "2"u8.ToArray(), "1"u8.ToArray(), CancellationToken.None));
        Assert.Equal("2", await ReadAsync("metadata/timestamp.json"));
        Assert.False(await store.ReplaceAsync("metadata/other.json", "2"u8.ToArray(), "1"u8.ToArray(), CancellationToken.None));
    }

    [Fact]
    public async Task Of_many_that_replace_the_same_one_wins()
    {
        await store.ReplaceAsync("t", "0"u8.ToArray(), null, CancellationToken.None);
        bool[] won = await Task.WhenAll(Enumerable.Range(1, 20).Select(i => Task.Run(() =>
            new DirectoryStore(scratch["store"], new Disk(), TimeProvider.System).ReplaceAsync("t", [(byte)i], "0"u8.ToArray(), CancellationToken.None))));
        Assert.Single(won, true);
    }

    [Fact]
    public async Task An_interrupted_put_leaves_nothing_visible_and_the_next_one_works()
    {
        await Assert.ThrowsAsync<OperatorException>(() => store.PutAsync("a", new Failing(), CancellationToken.None));
        await Assert.ThrowsAsync<StoreObjectMissingException>(() => ReadAsync("a"));
        Assert.Empty(await ListAsync(""));
        await PutAsync("a", "x");
        Assert.Equal("x", await ReadAsync("a"));
        Assert.Empty(Directory.GetFiles(scratch["store"], "*" + DurableOperations.TemporarySuffix));
    }

    [Fact]
    public async Task Follows_no_link_in_the_store_and_opens_no_fifo()
    {
        scratch.Write("secret/file", "secret");
        scratch.MakeDirectory("store/metadata");
        File.CreateSymbolicLink(scratch["store/link"], scratch["secret/file"]);
        File.CreateSymbolicLink(scratch["store/linked"], scratch["secret"]);
        using (Process fifo = Process.Start("mkfifo", scratch["store/fifo"])!) await fifo.WaitForExitAsync();
        foreach (string path in new[] { "link", "linked/file", "fifo", "metadata" })
        {
            var failure = await Assert.ThrowsAsync<OperatorException>(() => ReadAsync(path));
            Assert.Equal(ExitCode.Unreachable, failure.Code);
        }
        await Assert.ThrowsAsync<OperatorException>(() => PutAsync("linked/new", "x"));
        Assert.Equal(["secret/file"], Directory.GetFiles(scratch["secret"]).Select(file => Path.GetRelativePath(scratch.Root, file)));
        Assert.Empty(await ListAsync(""));
    }

    [Theory]
    [InlineData("link")]
    [InlineData("directory")]
    public async Task Takes_no_lock_that_is_not_a_file(string kind)
    {
        scratch.MakeDirectory("store");
        if (kind == "link") File.CreateSymbolicLink(scratch["store/.lock"], scratch["made"]);
        else scratch.MakeDirectory("store/.lock");
        Assert.Contains(".lock", (await Assert.ThrowsAsync<OperatorException>(() => PutAsync("a", "x"))).Message);
        Assert.False(File.Exists(scratch["made"]));
    }

    [Fact]
    public async Task An_object_that_cannot_be_read_is_not_replaced()
    {
        scratch.MakeDirectory("store/metadata/timestamp.json");
        var failure = await Assert.ThrowsAsync<OperatorException>(() => store.ReplaceAsync("metadata/timestamp.json", "1"u8.ToArray(), null, CancellationToken.None));
        Assert.Equal(ExitCode.Unreachable, failure.Code);
    }

    [Theory]
    [InlineData("../secret")]
    [InlineData("/etc/passwd")]
    [InlineData("a/./b")]
    public async Task Refuses_a_path_out_of_the_store(string path) =>
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => ReadAsync(path))).Code);

    [Fact]
    public async Task A_store_that_is_not_there_is_unreachable_and_not_empty() =>
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => ReadAsync("metadata/timestamp.json"))).Code);

    [Fact]
    public void What_the_operator_types_chooses_the_store()
    {
        Assert.IsType<DirectoryStore>(Agent.Artifacts.Stores.Stores.Open("/srv/store"));
        Assert.Equal(Path.GetFullPath("store"), Agent.Artifacts.Stores.Stores.OpenWriter("store").Description);
        using var http = Assert.IsType<HttpStore>(Agent.Artifacts.Stores.Stores.Open("https://example.org/store"));
        Assert.Equal("https://example.org/store/", http.Description);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Agent.Artifacts.Stores.Stores.OpenWriter("https://example.org/store")).Code);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => Agent.Artifacts.Stores.Stores.Open("ftp://example.org/store")).Code);
    }

    private sealed class Failing : MemoryStream
    {
        private int reads;

        public override int Read(byte[] buffer, int offset, int count) => ++reads < 3 ? count : throw new IOException("the power fails");

        public override int Read(Span<byte> buffer) => ++reads < 3 ? buffer.Length : throw new IOException("the power fails");
    }
}

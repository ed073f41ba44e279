using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json;
using Agent.Artifacts.Durable;
using Agent.Cli;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli;

public sealed class WhyBundleTests(FakeHost host) : IClassFixture<FakeHost>, IDisposable
{
    private readonly TemporaryDirectory directory = new();

    private string Bundle => Path.Combine(directory.Path, "why.tar.gz");

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Holds_all_that_the_agent_knows_for_its_owner_alone()
    {
        Assert.Equal(0, await RunAsync("why", "--app", "shop", "--bundle", Bundle));
        Assert.Equal(DurableOperations.Mode600, File.GetUnixFileMode(Bundle));
        Dictionary<string, string> files = Read();
        Assert.Equal(
            ["agentd.yaml", "app.yaml", "contents.txt", "deployment.json", "diff.json", "health.json", "history.json", "log.txt", "releases.json", "status.json"], files.Keys.Order());
        Assert.Equal("gate", JsonDocument.Parse(files["deployment.json"]).RootElement.GetProperty("evidence").GetProperty("step").GetString());
        Assert.All(files.Where(file => file.Key.EndsWith(".json", StringComparison.Ordinal)), file => JsonDocument.Parse(file.Value));
        Assert.Contains("listening; asked for 2000 lines", files["log.txt"], StringComparison.Ordinal);
        Assert.DoesNotContain('\e', files["log.txt"]);
        Assert.DoesNotContain("missing", files["contents.txt"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_inside_what_could_not_be_asked()
    {
        Assert.Equal(0, await RunAsync("why", "--app", "blog", "--bundle", Bundle));
        Dictionary<string, string> files = Read();
        Assert.False(files.ContainsKey("diff.json"));
        Assert.True(files.ContainsKey("status.json"));
        Assert.Contains("diff.json: nothing ran on this host before v0.1.0\n", files["contents.txt"], StringComparison.Ordinal);
        Assert.Contains("deployment.json: no deployment of blog has failed here\n", files["contents.txt"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Never_writes_over_a_file()
    {
        directory.Write("why.tar.gz", "precious");
        Assert.Equal(5, await RunAsync("why", "--bundle", Bundle));
        Assert.Equal("precious", File.ReadAllText(Bundle));
    }

    [Fact]
    public async Task Nothing_is_written_where_no_agent_answers()
    {
        Assert.Equal(4, await AgentCtl.RunAsync(["why", "--bundle", Bundle, "--socket", host.DeadSocket], TextWriter.Null, TextWriter.Null, TestContext.Current.CancellationToken));
        Assert.False(File.Exists(Bundle));
    }

    private Task<int> RunAsync(params string[] words) => AgentCtl.RunAsync([.. words, "--socket", host.Socket], TextWriter.Null, TextWriter.Null, TestContext.Current.CancellationToken);

    private Dictionary<string, string> Read()
    {
        var files = new Dictionary<string, string>();
        using var tar = new TarReader(new GZipStream(File.OpenRead(Bundle), CompressionMode.Decompress));
        while (tar.GetNextEntry() is { } entry)
        {
            using var reader = new StreamReader(entry.DataStream!);
            Assert.Equal(DurableOperations.Mode600, entry.Mode);
            files.Add(entry.Name["why/".Length..], reader.ReadToEnd());
        }
        return files;
    }
}

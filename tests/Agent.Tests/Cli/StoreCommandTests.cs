using System.Text.Json.Nodes;
using Agent.Cli;

namespace Agent.Tests.Cli;

public sealed class StoreCommandTests : IDisposable
{
    private const UnixFileMode Mode600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string directory = Directory.CreateTempSubdirectory("agentctl-store-").FullName;

    public StoreCommandTests() => Environment.SetEnvironmentVariable("XDG_STATE_HOME", Path.Combine(directory, "state"));

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("XDG_STATE_HOME", null);
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Init_makes_keys_that_only_the_owner_reads_and_the_root_that_hosts_pin()
    {
        (int exit, string output, string error) = await RunAsync("store", "init");
        Assert.Equal((0, "warning: "), (exit, error[..9]));
        Assert.Contains("root.json", output, StringComparison.Ordinal);
        Assert.Equal(Mode600, File.GetUnixFileMode(Path.Combine(directory, "keys.json")));
        Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(directory, "store/metadata/1.root.json")), await File.ReadAllBytesAsync(Path.Combine(directory, "root.json")));
    }

    [Fact]
    public async Task Init_leaves_a_store_that_is_there_alone()
    {
        await RunAsync("store", "init");
        byte[] timestamp = await File.ReadAllBytesAsync(Path.Combine(directory, "store/metadata/timestamp.json"));
        (int exit, _, string error) = await RunAsync("store", "init");
        Assert.Equal(5, exit);
        Assert.Contains("holds a store already", error, StringComparison.Ordinal);
        Assert.Equal(timestamp, await File.ReadAllBytesAsync(Path.Combine(directory, "store/metadata/timestamp.json")));
    }

    [Fact]
    public async Task Refresh_signs_the_timestamp_again()
    {
        await RunAsync("store", "init");
        byte[] before = await File.ReadAllBytesAsync(Path.Combine(directory, "store/metadata/timestamp.json"));
        (int exit, string output, _) = await RunAsync("store", "refresh", "-o", "json");
        Assert.Equal(0, exit);
        Assert.Contains("timestamp", JsonNode.Parse(output)!["renewed"]!.AsArray().Select(role => (string?)role));
        Assert.NotEqual(before, await File.ReadAllBytesAsync(Path.Combine(directory, "store/metadata/timestamp.json")));
    }

    [Fact]
    public async Task A_missing_key_file_says_which_option_names_it()
    {
        using var error = new StringWriter { NewLine = "\n" };
        Assert.Equal(2, await AgentCtl.RunAsync(["store", "refresh", "--store", directory], TextWriter.Null, error, TestContext.Current.CancellationToken));
        Assert.Equal("error: --key-file is missing\nfix:   add --key-file FILE, or set AGENTCTL_KEY_FILE\n", error.ToString());
    }

    private async Task<(int Exit, string Output, string Error)> RunAsync(params string[] words)
    {
        using StringWriter output = new() { NewLine = "\n" }, error = new() { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync(
            [.. words, "--store", Path.Combine(directory, "store"), "--key-file", Path.Combine(directory, "keys.json")], output, error, TestContext.Current.CancellationToken);
        return (exit, output.ToString(), error.ToString());
    }
}

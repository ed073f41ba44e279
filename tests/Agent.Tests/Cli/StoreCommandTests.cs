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
    public async Task Publish_and_promote_make_a_release_that_list_shows()
    {
        await RunAsync("store", "init");
        (int exit, string output, string error) = await RunAsync("publish", Build("one"), "--app", "shop", "--version", "v1.0.0");
        Assert.Equal((0, ""), (exit, error));
        Assert.StartsWith("shop v1.0.0  2 files, ", output, StringComparison.Ordinal);   // program, and the VERSION file that every release holds
        (exit, output, _) = await RunAsync("promote", "v1.0.0", "--channel", "stable", "--app", "shop");
        Assert.Equal((0, "shop stable  nothing -> v1.0.0  (seq 1)\n"), (exit, output));
        (exit, output, _) = await RunAsync("store", "list", "-o", "json");
        Assert.Equal(0, exit);
        JsonNode shop = JsonNode.Parse(output)!["apps"]![0]!;
        Assert.Equal(("shop", "v1.0.0", 2, "stable", "v1.0.0"), ((string?)shop["app"], (string?)shop["releases"]![0]!["version"], (int)shop["releases"]![0]!["files"]!,
            (string?)shop["channels"]![0]!["channel"], (string?)shop["channels"]![0]!["version"]));
        Assert.Contains("stable", (await RunAsync("store", "list", "--app", "shop")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_is_published_once_and_only_with_one_content()
    {
        await RunAsync("store", "init");
        await RunAsync("publish", Build("one"), "--app", "shop", "--version", "v1.0.0");
        (int exit, string output, _) = await RunAsync("publish", Build("one"), "--app", "shop", "--version", "v1.0.0", "-o", "json");
        Assert.Equal((0, true), (exit, (bool)JsonNode.Parse(output)!["already_there"]!));
        (exit, _, string error) = await RunAsync("publish", Build("two"), "--app", "shop", "--version", "v1.0.0");
        Assert.Equal(5, exit);
        Assert.Contains("fix:   ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_version_comes_from_the_version_file_where_none_is_given()
    {
        await RunAsync("store", "init");
        string build = Build("one");
        (int exit, _, string error) = await RunAsync("publish", build, "--app", "shop");
        Assert.Equal(2, exit);
        Assert.Contains("add --version v1.2.3", error, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(build, "VERSION"), "v1.4.0\n");
        (exit, string output, _) = await RunAsync("publish", build, "--app", "shop");
        Assert.Equal(0, exit);
        Assert.StartsWith("shop v1.4.0  ", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_never_published_cannot_be_promoted()
    {
        await RunAsync("store", "init");
        await RunAsync("publish", Build("one"), "--app", "shop", "--version", "v1.0.0");
        (int exit, _, string error) = await RunAsync("promote", "v9.0.0", "--channel", "stable", "--app", "shop");
        Assert.Equal(2, exit);
        Assert.Contains("v9.0.0", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_key_file_says_which_option_names_it()
    {
        using var error = new StringWriter { NewLine = "\n" };
        Assert.Equal(2, await AgentCtl.RunAsync(["store", "refresh", "--store", directory], TextWriter.Null, error, TestContext.Current.CancellationToken));
        Assert.Equal("error: --key-file is missing\nfix:   add --key-file FILE, or set AGENTCTL_KEY_FILE\n", error.ToString());
    }

    private string Build(string content)
    {
        string build = Path.Combine(directory, "build");
        Directory.CreateDirectory(build);
        File.WriteAllText(Path.Combine(build, "program"), content);
        return build;
    }

    private async Task<(int Exit, string Output, string Error)> RunAsync(params string[] words)
    {
        using StringWriter output = new() { NewLine = "\n" }, error = new() { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync(
            [.. words, "--store", Path.Combine(directory, "store"), "--key-file", Path.Combine(directory, "keys.json")], output, error, TestContext.Current.CancellationToken);
        return (exit, output.ToString(), error.ToString());
    }
}

using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli.Hosts;

public sealed class BootstrapTests : IDisposable
{
    private static readonly HostAddress.Ssh New = new("root", "new", null);

    private readonly TemporaryDirectory directory = new();
    private readonly string package;

    public BootstrapTests()
    {
        package = Path.Combine(directory.Path, "agentd.deb");
        File.WriteAllText(package, "!<arch>\nand so on");
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => directory.Dispose();

    [Fact]
    public void What_is_run_there_is_one_command_of_two_quoted_words()
    {
        // Three quoted parts at most, and no quote inside of one: bootstrap stands between the two.
        string[] parts = Bootstrap.RemoteCommand.Split('\'');
        Assert.Equal(5, parts.Length);
        Assert.Equal(["exec sh -c ", " bootstrap ", ""], [parts[0], parts[2], parts[4]]);
    }

    [Fact]
    public async Task The_archive_holds_what_the_host_needs_with_its_sums()
    {
        string root = Path.Combine(directory.Path, "my-root.json");
        await File.WriteAllTextAsync(root, """{"signed":{"_type":"root"}}""", Cancel);
        using var archive = new MemoryStream();
        await BootstrapArchive.Make(package, "https://releases.example.com/", root).WriteAsync(archive, Cancel);
        archive.Position = 0;
        var files = new Dictionary<string, string>();
        using (var tar = new TarReader(archive))
        {
            while (await tar.GetNextEntryAsync(copyData: true, Cancel) is { } entry) files[entry.Name] = await new StreamReader(entry.DataStream!).ReadToEndAsync(Cancel);
        }
        Assert.Equal("store: \"https://releases.example.com/\"\n", files["agentd.yaml"]);
        Assert.Equal("""{"signed":{"_type":"root"}}""", files["root.json"]);
        string[] sums = files["SHA256SUMS"].TrimEnd('\n').Split('\n');
        Assert.Equal(["agentd.deb", "agentd.yaml", "root.json"], sums.Select(line => line.Split("  ")[1]).Order(StringComparer.Ordinal));
        foreach (string line in sums)
            Assert.Equal(line.Split("  ")[0], Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(files[line.Split("  ")[1]]))));
    }

    [Theory]
    [InlineData("https://releases.example.com/", null)]
    [InlineData(null, "root.json")]
    [InlineData("releases", "root.json")]
    [InlineData("ftp://releases.example.com/", "root.json")]
    [InlineData("/srv/store\nroles: x", "root.json")]
    [InlineData("/srv/store", "no.json")]
    [InlineData("/srv/store", "agentd.deb")]
    [InlineData("/srv/store", "other.json")]
    public void A_configuration_that_is_none_is_refused(string? store, string? root)
    {
        File.WriteAllText(Path.Combine(directory.Path, "root.json"), """{"signed":{"_type":"root"}}""");
        File.WriteAllText(Path.Combine(directory.Path, "other.json"), """{"signed":{"_type":"targets"}}""");
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => BootstrapArchive.Make(package, store, root is null ? null : Path.Combine(directory.Path, root))).Code);
    }

    [Fact]
    public void What_is_no_package_is_refused()
    {
        File.WriteAllText(package, "MZ");
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => BootstrapArchive.Make(package, null, null)).Code);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => BootstrapArchive.Make(package + ".not", null, null)).Code);
    }

    [Theory]
    [InlineData("cat >/dev/null; echo noise; echo 'agentctl-bootstrap: 0.1.0'", 0, "0.1.0")]
    [InlineData("cat >/dev/null; exit 0", 4, "the installation ended with exit status 0")]
    [InlineData("echo 'agentctl-bootstrap: no-root' >&2; exit 1", 5, "root is not root, and sudo wants a password")]
    [InlineData("cat >/dev/null; echo 'agentctl-bootstrap: damaged' >&2; exit 1", 4, "the package did not arrive whole; nothing was installed")]
    [InlineData("cat >/dev/null; echo 'agentctl-bootstrap: configured agentd.yaml' >&2; exit 1", 5, "it has another /etc/agentd/agentd.yaml already; nothing was changed")]
    [InlineData("cat >/dev/null; printf 'dpkg: \\033[31merror\\nagentctl-bootstrap: install\\n' >&2; exit 1", 1, "the agent could not be installed, and was taken away again where there was none before:\ndpkg: ?[31merror")]
    [InlineData("echo 'root@new: Permission denied (publickey).' >&2; exit 255", 5, "it does not let you in: root@new: Permission denied (publickey)")]
    public async Task What_became_of_it_is_told(string script, int exit, string told)
    {
        using var ssh = new FakeSsh(script);
        var bootstrap = new Bootstrap(New, mayAsk: false, TimeProvider.System, ssh.Program);
        BootstrapArchive archive = BootstrapArchive.Make(package, null, null);
        if (exit == 0)
        {
            Assert.Equal(told, await bootstrap.RunAsync(archive, _ => { }, Cancel));
            return;
        }
        OperatorException e = await Assert.ThrowsAsync<OperatorException>(() => bootstrap.RunAsync(archive, _ => { }, Cancel));
        Assert.Equal(((ExitCode)exit, told), (e.Code, e.Message));
    }
}

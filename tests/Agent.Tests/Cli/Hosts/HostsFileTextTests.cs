using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Cli.Hosts;
using Agent.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Cli.Hosts;

public sealed class HostsFileTextTests : IDisposable
{
    private const string Text = """
        # our hosts
        app: shop     # the default
        hosts:
            # front
            web1: ssh://web1     # blue
            "web2":
                address: https://web2
                groups: [prod, web]

            # the last

        groups:
          prod: [ web1,web2 ]   # all
          web:
            hosts:
              - web1
              - "web2"   # second
            rollout:
              batch: 1

        """;

    private readonly TemporaryDirectory directory = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Path => System.IO.Path.Combine(directory.Path, "agentctl", "hosts.yaml");

    public void Dispose() => directory.Dispose();

    [Fact]
    public void A_host_is_added_behind_the_others_with_their_indent() => Assert.Equal(
        Text.Replace("    # the last\n", "    # the last\n    web3: ssh://web3:22\n", StringComparison.Ordinal),
        HostsFileText.Added(Text, new HostEntry("web3", HostAddress.Parse("ssh://web3:22"))));

    [Fact]
    public void Groups_and_fingerprint_stand_below_it() => Assert.Equal(
        "hosts:\n  web1:\n    address: https://web1:7443\n    groups: [prod, web]\n    fingerprint: sha256:00\n",
        HostsFileText.Added("", new HostEntry("web1", HostAddress.Parse("https://web1")) { Groups = ["prod", "web"], Fingerprint = "sha256:00" }));

    [Theory]
    [InlineData("app: shop", "app: shop\n\nhosts:\n  a: ssh://a\n")]
    [InlineData("hosts:\napp: shop\n", "hosts:\n  a: ssh://a\napp: shop\n")]
    [InlineData("hosts:   # none yet\n", "hosts:   # none yet\n  a: ssh://a\n")]
    [InlineData("hosts:\r\n  b: ssh://b\r\n", "hosts:\r\n  b: ssh://b\r\n  a: ssh://a\r\n")]
    [InlineData("hosts:\n  b: ssh://b", "hosts:\n  b: ssh://b\n  a: ssh://a\n")]
    public void It_finds_its_place(string before, string after) => Assert.Equal(after, HostsFileText.Added(before, new HostEntry("a", HostAddress.Parse("ssh://a"))));

    [Fact]
    public void A_host_goes_with_what_is_below_it_and_out_of_the_groups()
    {
        string without = HostsFileText.Removed(Text, "web2");
        Assert.Equal("""
            # our hosts
            app: shop     # the default
            hosts:
                # front
                web1: ssh://web1     # blue

                # the last

            groups:
              prod: [web1]   # all
              web:
                hosts:
                  - web1
                rollout:
                  batch: 1

            """, without);
        Assert.Equal(Text, HostsFileText.Removed(Text, "web3"));
    }

    [Fact]
    public void What_is_added_can_be_read_and_what_is_removed_is_as_before()
    {
        Gen<string> name = Gen.Elements("a", "web1", "web.2", "1.10", "null", "true", "no", "x_y-z", "0x1F");
        Gen<HostEntry> host = name.SelectMany(one => Gen.Elements("g", "h", "").ArrayOf(2).Select(groups =>
            new HostEntry(one, HostAddress.Parse($"ssh://u@host-{one.Replace('_', '-').Replace('.', '-')}")) { Groups = [.. groups.Where(group => group.Length > 0).Distinct()] }));
        Prop.ForAll(host.ListOf().ToArbitrary(), hosts =>
        {
            string text = "# mine\n";
            HostEntry[] all = [.. hosts.DistinctBy(one => one.Name)];
            foreach (HostEntry one in all) text = HostsFileText.Added(text, one);
            Inventory inventory = Inventories.Of(text);
            if (!inventory.Hosts.Select(one => one.Name).SequenceEqual(all.Select(one => one.Name))) return false;
            foreach (HostEntry one in all.Reverse()) text = HostsFileText.Removed(text, one.Name);
            return text == (all.Length == 0 ? "# mine\n" : "# mine\n\nhosts:\n");
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public async Task The_file_is_for_its_owner_alone_and_keeps_the_mode_that_it_has()
    {
        await HostsFileText.AddAsync(Path, new HostEntry("web1", HostAddress.Parse("ssh://web1")), Cancel);
        Assert.Equal((DurableOperations.Mode600, DurableOperations.Mode700), (File.GetUnixFileMode(Path), File.GetUnixFileMode(System.IO.Path.GetDirectoryName(Path)!)));
        File.SetUnixFileMode(Path, DurableOperations.Mode644);
        await HostsFileText.AddAsync(Path, new HostEntry("web2", HostAddress.Parse("ssh://web2")), Cancel);
        await HostsFileText.RemoveAsync(Path, "web1", Cancel);
        Assert.Equal(("hosts:\n  web2: ssh://web2\n", DurableOperations.Mode644), (File.ReadAllText(Path), File.GetUnixFileMode(Path)));
        Assert.Equal([".hosts.lock", "hosts.yaml"], Directory.GetFiles(System.IO.Path.GetDirectoryName(Path)!).Select(System.IO.Path.GetFileName).Order());
    }

    [Fact]
    public async Task Of_many_that_add_a_host_at_once_none_is_lost()
    {
        await Parallel.ForAsync(0, 40, Cancel, async (i, stop) => await HostsFileText.AddAsync(Path, new HostEntry($"web{i}", HostAddress.Parse($"ssh://web{i}")), stop));
        Assert.Equal(40, File.ReadAllLines(Path).Count(line => line.Contains("ssh://web", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_link_stays_one()
    {
        string dotfile = directory.Write("dotfiles/hosts.yaml", "hosts:\n");
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(Path)!);
        File.CreateSymbolicLink(Path, dotfile);
        await HostsFileText.AddAsync(Path, new HostEntry("web1", HostAddress.Parse("ssh://web1")), Cancel);
        Assert.Equal((dotfile, "hosts:\n  web1: ssh://web1\n"), (new FileInfo(Path).LinkTarget, File.ReadAllText(dotfile)));
    }

    [Theory]
    [InlineData("hosts: {a: ssh://a}\n", "b", "ssh://b", ExitCode.Refused)]               // on one line
    [InlineData("hosts:\n  a: ssh://a\n", "a", "ssh://b", ExitCode.Refused)]              // there already
    [InlineData("hosts:\n  a: ssh://a\n", "b", "ssh://a", ExitCode.Refused)]              // under another name
    [InlineData("hosts:\n  a: ssh://a\ngroups:\n  b: [a]\n", "b", "ssh://b", ExitCode.Refused)]
    [InlineData("hosts:\n  a: nowhere\n", "b", "ssh://b", ExitCode.Usage)]                // wrong before
    public async Task A_file_that_would_be_wrong_is_left_alone(string before, string name, string address, object code)
    {
        directory.Write("agentctl/hosts.yaml", before);
        var e = await Assert.ThrowsAsync<OperatorException>(() => HostsFileText.AddAsync(Path, new HostEntry(name, HostAddress.Parse(address)), Cancel));
        Assert.Equal((code, before), ((object)e.Code, File.ReadAllText(Path)));
    }

    [Fact]
    public async Task What_cannot_be_taken_out_is_left_alone()
    {
        const string text = "hosts:\n  a: ssh://a\n  b: ssh://b\ngroups:\n  g: [a,\n      b]\n";
        directory.Write("agentctl/hosts.yaml", text);
        var e = await Assert.ThrowsAsync<OperatorException>(() => HostsFileText.RemoveAsync(Path, "b", Cancel));
        Assert.Equal((ExitCode.Refused, text), (e.Code, File.ReadAllText(Path)));
        Assert.Contains("by hand", e.Remedy, StringComparison.Ordinal);
    }
}

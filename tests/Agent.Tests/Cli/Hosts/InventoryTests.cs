using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli.Hosts;

public sealed class InventoryTests : IDisposable
{
    private const string Users = Inventories.UsersFile, Project = Inventories.ProjectsFile;

    private readonly TemporaryDirectory home = new();

    public void Dispose() => home.Dispose();

    [Fact]
    public void Hosts_are_in_the_groups_that_name_them_and_in_those_that_they_name()
    {
        Inventory inventory = Inventories.Of("""
            app: shop
            host: prod
            hosts:
              web1: local
              web2: {address: "https://[::1]:7000", groups: [blue], fingerprint: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}
              web3: {address: ssh://web3, groups: [blue, prod]}
            groups:
              prod: {hosts: [web2], rollout: {batch: 2, canary: 1, soak: 10m, max_unavailable: 3, pause: 30s, max_failures: 2, rollback_all: yes}}
              empty:
            """);
        Assert.Equal(["web1: ", "web2: prod blue", "web3: prod blue"], inventory.Hosts.Select(host => $"{host.Name}: {string.Join(' ', host.Groups)}"));
        Assert.Equal(["prod: web2 web3", "empty: ", "blue: web2 web3"], inventory.Groups.Select(group => $"{group.Name}: {string.Join(' ', group.Hosts)}"));
        Assert.Equal(new HostAddress.Tls("::1", 7000), inventory.Hosts[1].Address);
        Assert.StartsWith("sha256:0123", inventory.Hosts[1].Fingerprint, StringComparison.Ordinal);
        Assert.Equal(("shop", new DefaultHost("prod", Users)), (inventory.App, inventory.Default));
        Assert.Equal(
            new RolloutDefaults { Batch = "2", Canary = 1, Soak = TimeSpan.FromMinutes(10), MaxUnavailable = 3, Pause = TimeSpan.FromSeconds(30), MaxFailures = 2, RollbackAll = true },
            inventory.Groups[0].Rollout);
    }

    [Theory]
    [InlineData("host: [web1]", ":1: host is not a single value; write 'host: VALUE'")]
    [InlineData("hots: {}", ":1: hots is not a key here; write hosts")]
    [InlineData("hosts: [web1]", ":1: hosts is not a map; write its keys indented below 'hosts:'")]
    [InlineData("hosts: {web1: web1.example.com}", ":1: hosts.web1 is wrong: 'web1.example.com' is no address of a host; write local, ssh://[USER@]HOST[:PORT] or https://HOST[:PORT]")]
    [InlineData("hosts:\n  web1: {groups: [a]}", ":2: hosts.web1 has no address; write 'address: ssh://HOST' below it")]
    [InlineData("hosts: {web1: {adress: ssh://web1}}", ":1: hosts.web1.adress is not a key here; write address", ":1: hosts.web1 has no address; write 'address: ssh://HOST' below it")]
    [InlineData("hosts: {all: ssh://a}", ":1: hosts.all is a name that --host has a meaning for already; take another one")]
    [InlineData("hosts: {-web: ssh://a}", $":1: hosts.-web is not a name; {HostsFile.NameRule}")]
    [InlineData("hosts: {\"we,b\": ssh://a}", $":1: hosts.we,b is not a name; {HostsFile.NameRule}")]
    [InlineData("hosts: {a: ssh://a}\ngroups:\n  a: []", ":3: groups.a is about a group a, and that is a host in /home/ann/.config/agentctl/hosts.yaml:1; give the group another name")]
    [InlineData("hosts: {web1: ssh://a}\ngroups: {g: [wbe1]}", ":2: groups.g names wbe1, and there is no such host; write web1")]
    [InlineData("hosts:\n  a: ssh://x\n  b: ssh://x", ":3: hosts.b is ssh://x, which is a in /home/ann/.config/agentctl/hosts.yaml:2; keep one, or use a")]
    [InlineData("hosts: {a: {address: ssh://a, fingerprint: abc}}", ":1: hosts.a.fingerprint is 'abc'; write sha256: and 64 hexadecimal digits")]
    [InlineData("groups: {g: {rollout: {batch: half}}}", ":1: groups.g.rollout.batch is 'half'; write a number of hosts, or a share: 25%")]
    [InlineData("groups: {g: {rollout: {batch: 0%}}}", ":1: groups.g.rollout.batch is '0%'; write a number of hosts, or a share: 25%")]
    [InlineData("groups: {g: {rollout: {soak: 10}}}", ":1: groups.g.rollout.soak is '10', which is no duration; write a whole number and a unit: 500ms, 10s, 2m or 1h")]
    [InlineData("app: Shop", ":1: app is wrong: 'Shop' is not an app name; use a-z, 0-9 and '-', beginning with a letter, 40 at most")]
    public void All_that_is_wrong_is_told_with_its_line(string text, params string[] problems)
    {
        var e = Assert.Throws<OperatorException>(() => Inventories.Of(text));
        Assert.Equal(ExitCode.Usage, e.Code);
        Assert.Equal(problems.Select(problem => Users + problem), e.Message.Split('\n'));
    }

    [Fact]
    public void A_project_refers_to_hosts_of_the_user_and_adds_its_own_behind_them()
    {
        Inventory inventory = Inventories.Of("app: blog\nhosts: {web1: ssh://web1}", """
            app: shop
            host: staging
            hosts:
              web1: ssh://web1
              stage1: ssh://stage1
            groups:
              staging: [stage1, web1]
            """);
        Assert.Equal([("web1", Users), ("stage1", Project)], inventory.Hosts.Select(host => (host.Name, host.File!)));
        Assert.Equal([false, true], inventory.Hosts.Select(inventory.IsProjects));
        Assert.Equal(["web1", "stage1"], inventory.Groups.Single().Hosts);
        Assert.Equal(("shop", new DefaultHost("staging", Project)), (inventory.App, inventory.Default));
    }

    [Theory]
    [InlineData("hosts: {web1: ssh://evil}", "hosts.web1 is ssh://evil here, and ssh://web1 in /home/ann/.config/agentctl/hosts.yaml:2; give this one another name")]
    [InlineData("hosts: {prod: ssh://evil}", "hosts.prod has the name of a group of /home/ann/.config/agentctl/hosts.yaml:4; give one of them another name")]
    [InlineData("hosts: {evil: {address: ssh://evil, groups: [prod]}}", "hosts.evil.groups is about a group prod, which is that of /home/ann/.config/agentctl/hosts.yaml:4; give the group here another name")]
    [InlineData("groups: {prod: [web2]}", "groups.prod is about a group prod, which is that of /home/ann/.config/agentctl/hosts.yaml:4; give the group here another name")]
    [InlineData("groups: {prod: {rollout: {batch: 100%}}}", "groups.prod is about a group prod, which is that of /home/ann/.config/agentctl/hosts.yaml:4; give the group here another name")]
    [InlineData("groups: {web2: [web1]}", "groups.web2 is about a group web2, and that is a host in /home/ann/.config/agentctl/hosts.yaml:3; give the group another name")]
    [InlineData("hosts: {mine: ssh://web1}", "hosts.mine is ssh://web1, which is web1 in /home/ann/.config/agentctl/hosts.yaml:2; keep one, or use web1")]
    public void A_project_gives_nothing_of_the_user_another_meaning(string project, string problem)
    {
        var e = Assert.Throws<OperatorException>(() => Inventories.Of("hosts:\n  web1: ssh://web1\n  web2: ssh://web2\ngroups: {prod: [web1]}", project));
        Assert.Equal($"{Project}:1: {problem}", e.Message);
    }

    [Fact]
    public void The_default_of_a_project_leads_to_the_users_own_hosts_alone()
    {
        const string users = "hosts: {web1: ssh://web1}";
        Assert.Equal("web1", Targets.SelectDefault(Inventories.Of(users, "host: web1"), null).Hosts.Single().Name);
        foreach (string project in new[] { "host: evil\nhosts: {evil: ssh://evil}", "host: all\nhosts: {evil: ssh://evil}", "host: ssh://evil", "host: https://evil", "host: g\nhosts: {evil: ssh://evil}\ngroups: {g: [web1, evil]}" })
        {
            foreach (string own in new[] { users, "" })
            {
                if (own.Length == 0 && project.Contains("web1", StringComparison.Ordinal)) continue;
                var e = Assert.Throws<OperatorException>(() => Targets.SelectDefault(Inventories.Of(own, project), null));
                Assert.Equal(ExitCode.Refused, e.Code);
                Assert.Contains("which your own hosts do not have", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void A_default_that_is_no_host_is_told_with_its_file()
    {
        var e = Assert.Throws<OperatorException>(() => Targets.SelectDefault(Inventories.Of("host: wbe1\nhosts: {web1: ssh://web1}"), null));
        Assert.Equal($"{Users}: host is 'wbe1': there is no host or group 'wbe1'; did you mean web1?", e.Message);
    }

    [Fact]
    public void A_project_file_is_looked_for_upwards_and_not_above_home()
    {
        string above = home.Path, user = Path.Combine(above, "ann"), deep = Path.Combine(user, "shop", "src");
        Directory.CreateDirectory(deep);
        home.Write(".agentctl.yaml", "app: above");
        Assert.Equal((null, null), Place(deep, user).FindProjectFile());
        home.Write("ann/shop/.agentctl.yaml", "app: shop");
        Assert.Equal((Path.Combine(user, "shop/.agentctl.yaml"), null), Place(deep, user).FindProjectFile());
        Assert.Equal("shop", Inventory.Load(Place(deep, user)).App);
        Assert.Equal((Path.Combine(above, ".agentctl.yaml"), null), Place(above, user).FindProjectFile());   // elsewhere, up to the root
    }

    [Fact]
    public void A_project_file_that_is_a_link_or_a_directory_is_not_read_and_that_is_told()
    {
        home.Write("secret", "app: Not_an_app");
        File.CreateSymbolicLink(Path.Combine(home.Path, ".agentctl.yaml"), Path.Combine(home.Path, "secret"));
        Inventory inventory = Inventory.Load(Place(home.Path, home.Path));
        Assert.Equal((null, $"{home.Path}/.agentctl.yaml is not read: it is a link"), (inventory.App, inventory.Note));
        File.Delete(Path.Combine(home.Path, ".agentctl.yaml"));
        Directory.CreateDirectory(Path.Combine(home.Path, ".agentctl.yaml"));
        Assert.Equal((null, $"{home.Path}/.agentctl.yaml is not read: it is no file"), Place(home.Path, home.Path).FindProjectFile());
    }

    [Fact]
    public void Both_files_are_told_about_at_once()
    {
        home.Write("config/hosts.yaml", "hosts: {a b: ssh://x}");
        home.Write(".agentctl.yaml", "apps: shop");
        var e = Assert.Throws<OperatorException>(() => Inventory.Load(Place(home.Path, home.Path)));
        Assert.Equal(2, e.Message.Split('\n').Length);
    }

    [Fact]
    public void A_file_too_large_is_not_swallowed()
    {
        home.Write("config/hosts.yaml", new string('#', Yaml.MaximumBytes + 1));
        Assert.Contains("larger than 1 MiB", Assert.Throws<OperatorException>(() => Inventory.Load(Place(home.Path, home.Path))).Message, StringComparison.Ordinal);
    }

    private Workplace Place(string current, string user) => new(Path.Combine(home.Path, "config"), current, user);
}

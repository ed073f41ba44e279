using Agent.Artifacts;
using Agent.Cli.Hosts;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Cli.Hosts;

public class SelectionTests
{
    private const string Users = """
        hosts:
          web1: ssh://web1
          web2: ssh://web2
          web10: ssh://web10
          db1:
            address: https://db1
            groups: [prod, data]
        groups:
          web: [web10, web1]
          prod:
            hosts: [web1, web2]
            rollout:
              batch: 25%
              soak: 10m
          data:
            rollout:
              batch: 1
              canary: 1
        """;

    private readonly Inventory inventory = Inventories.Of(Users);

    [Theory]
    [InlineData("web1", "web1")]
    [InlineData("web", "web1 web10")]                   // in the order of the file, not of the group
    [InlineData("prod", "web1 web2 db1")]
    [InlineData("db1,web1", "web1 db1")]
    [InlineData("web1,web,web1", "web1 web10")]         // each once
    [InlineData("web?", "web1 web2")]
    [InlineData("web*", "web1 web2 web10")]
    [InlineData("*1*", "web1 web10 db1")]
    [InlineData("all", "web1 web2 web10 db1")]
    [InlineData("prod,-web2", "web1 db1")]
    [InlineData("!web2,prod", "web1 db1")]
    [InlineData("all,-web", "web2 db1")]
    [InlineData("all,!web*", "db1")]
    [InlineData("!web1", "web2 web10 db1")]             // from all, where nothing is named
    [InlineData("local", "local")]
    [InlineData("web1,local", "web1 local")]
    [InlineData(" web1 , web2 ,", "web1 web2")]
    [InlineData("ssh://web2", "web2")]                  // known by its address
    [InlineData("ssh://ann@web9:2222,web1", "web1 ssh://ann@web9:2222")]
    public void Means_these_hosts(string wanted, string hosts) => Assert.Equal(hosts, Names(wanted));

    [Fact]
    public void It_may_be_given_several_times() => Assert.Equal("web1 web10 db1", Names("web", "data", "-web2"));

    [Theory]
    [InlineData("web1", true)]
    [InlineData("local", true)]
    [InlineData("ssh://web2", true)]
    [InlineData("ssh://elsewhere", true)]
    [InlineData("web1,web2", false)]
    [InlineData("web1,-web2", false)]
    [InlineData("*db*", false)]
    public void One_is_what_is_named_by_its_name(string wanted, bool isOne) => Assert.Equal(isOne, Targets.Select([wanted], inventory, null).IsOne);

    [Fact]
    public void A_group_with_one_host_is_no_single_host() =>
        Assert.False(Targets.Select(["one"], Inventories.Of("hosts: {web1: ssh://web1}\ngroups: {one: [web1]}"), null).IsOne);

    [Theory]
    [InlineData("wbe1", "there is no host or group 'wbe1'; did you mean web1?")]
    [InlineData("prdo", "there is no host or group 'prdo'; did you mean prod?")]
    [InlineData("frobnicate", "there is no host or group 'frobnicate'")]
    [InlineData("api*", "no host matches api*")]
    [InlineData("web1,x1,-x2", "there is no host or group 'x1'\nthere is no host or group 'x2'")]
    [InlineData("prod,-prod", "--host prod,-prod leaves no host")]
    [InlineData("", "--host names no host")]
    [InlineData(",", "--host names no host")]
    [InlineData("ssh://-oProxyCommand=x", "'ssh://-oProxyCommand=x' is no address of a host")]
    [InlineData("ftp://web1", "'ftp://web1' is no address of a host")]
    public void What_cannot_be_meant_is_told(string wanted, string what)
    {
        var e = Assert.Throws<OperatorException>(() => Targets.Select([wanted], inventory, null));
        Assert.Equal((ExitCode.Usage, what), (e.Code, e.Message));
    }

    [Fact]
    public void Where_there_are_no_hosts_all_says_how_to_add_one()
    {
        var e = Assert.Throws<OperatorException>(() => Targets.Select(["all"], Inventory.Empty, null));
        Assert.Equal("there are no hosts yet", e.Message);
        Assert.Equal("agentctl hosts add NAME ADDRESS, such as ssh://USER@HOST", e.Remedy);
    }

    [Fact]
    public void Rollout_defaults_are_those_of_the_groups_that_were_named_first_come_first()
    {
        Assert.Equal(new RolloutDefaults { Batch = "25%", Soak = TimeSpan.FromMinutes(10), Canary = 1 }, Targets.Select(["prod,data"], inventory, null).Rollout);
        Assert.Equal(new RolloutDefaults { Batch = "1", Soak = TimeSpan.FromMinutes(10), Canary = 1 }, Targets.Select(["data,prod"], inventory, null).Rollout);
        Assert.Equal(RolloutDefaults.None, Targets.Select(["web1,web2,-prod,db1,web10"], inventory, null).Rollout);
    }

    [Fact]
    public void Is_what_sets_would_give_whatever_is_combined()
    {
        string[] names = ["web1", "web2", "web10", "db1"];
        Dictionary<string, string[]> meanings = new()
        {
            ["web1"] = ["web1"],
            ["db1"] = ["db1"],
            ["web"] = ["web1", "web10"],
            ["prod"] = ["web1", "web2", "db1"],
            ["data"] = ["db1"],
            ["all"] = names,
            ["web*"] = ["web1", "web2", "web10"],
            ["?b1"] = ["db1"],
            ["ssh://web2"] = ["web2"],
        };
        Gen<string> term = Gen.Elements(meanings.Keys.ToArray()).SelectMany(name => Gen.Elements("", "", "-", "!").Select(sign => sign + name));
        Prop.ForAll(term.NonEmptyListOf().ToArbitrary(), terms =>
        {
            string[] with = [.. terms.Where(one => one[0] is not ('-' or '!'))], without = [.. terms.Except(with).Select(one => one[1..])];
            HashSet<string> expected = [.. with.Length == 0 ? names : with.SelectMany(one => meanings[one])];
            expected.ExceptWith(without.SelectMany(one => meanings[one]));
            string[] inOrder = [.. names.Where(expected.Contains)];
            try
            {
                return Targets.Select([string.Join(',', terms)], inventory, null).Hosts.Select(host => host.Name).SequenceEqual(inOrder)
                    && Targets.Select([.. terms], inventory, null).Hosts.Select(host => host.Name).SequenceEqual(inOrder);
            }
            catch (OperatorException)
            {
                return inOrder.Length == 0;
            }
        }).QuickCheckThrowOnFailure();
    }

    private string Names(params string[] wanted) => string.Join(' ', Targets.Select(wanted, inventory, null).Hosts.Select(host => host.Name));
}

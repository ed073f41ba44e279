using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rollouts;
using Agent.V1;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>What is decided before a rollout begins, and the plan that comes of it.</summary>
public class RolloutPreparationTests
{
    [Fact]
    public void Who_runs_it_already_is_left_out()
    {
        RolloutPreparation prepared = RolloutPreparation.Of([Runs("a", "v1.0.0"), Runs("b", "v2.0.0"), Runs("c", "v2.0.0", attention: "it is broken")], "", "v2.0.0", again: false, skipUnreachable: false);
        Assert.Equal(("shop", "a c", "b: runs v2.0.0 already"), (prepared.App, string.Join(' ', prepared.Taking), Assert.Single(prepared.Skipped)));
        Assert.Equal(3, RolloutPreparation.Of([Runs("a", "v2.0.0"), Runs("b", "v2.0.0"), Runs("c", "v2.0.0")], "", "v2.0.0", again: true, skipUnreachable: false).Taking.Count);
    }

    [Fact]
    public void A_pushed_build_of_the_same_version_is_another_release()
    {
        HostSaid<HostFacts>[] said = [Runs("a", "v2.0.0", digest: "aa"), Runs("b", "v2.0.0", digest: "bb")];
        Assert.Equal(["b"], RolloutPreparation.Of(said, "", "v2.0.0", again: false, skipUnreachable: false, "sha256:aa").Taking);
    }

    [Fact]
    public void Who_cannot_be_reached_is_decided_before()
    {
        HostSaid<HostFacts>[] said = [Runs("a", "v1.0.0"), Lost("b"), Lost("c")];
        var refused = Assert.Throws<OperatorException>(() => RolloutPreparation.Of(said, "", "v2.0.0", again: false, skipUnreachable: false));
        Assert.Equal((ExitCode.Unreachable, "nothing has begun: b cannot be reached: no route\nc cannot be reached: no route"), (refused.Code, refused.Message));
        RolloutPreparation prepared = RolloutPreparation.Of(said, "", "v2.0.0", again: false, skipUnreachable: true);
        Assert.Equal(["b: unreachable", "c: unreachable"], prepared.Skipped);
        Assert.Equal(ExitCode.Unreachable, Assert.Throws<OperatorException>(() => RolloutPreparation.Of([Lost("b")], "", "v2.0.0", again: false, skipUnreachable: true)).Code);
    }

    [Fact]
    public void An_agent_that_is_too_old_is_named()
    {
        var refused = Assert.Throws<OperatorException>(() => RolloutPreparation.Of(
            [Runs("a", "v1.0.0"), new HostSaid<HostFacts>("b", new HostFacts("0.0.9", null), null, Lost: false)], "", "v2.0.0", again: false, skipUnreachable: true));
        Assert.Equal((ExitCode.Refused, "nothing has begun: b runs agentd 0.0.9, which knows no rollouts"), (refused.Code, refused.Message));
        Assert.Contains("--host b", refused.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_that_says_no_is_named()
    {
        var no = new HostSaid<HostFacts>("b", null, new OperatorException(ExitCode.Usage, "there is no app shop", "name another"), Lost: false);
        Assert.Equal("nothing has begun: b: there is no app shop", Assert.Throws<OperatorException>(() => RolloutPreparation.Of([Runs("a", "v1.0.0"), no], "shop", "v2.0.0", again: false, skipUnreachable: true)).Message);
    }

    [Fact]
    public void The_app_is_the_only_one_of_all_or_named()
    {
        var two = new HostSaid<HostFacts>("b", new HostFacts("0.1.0", [new AppStatus { App = "shop" }, new AppStatus { App = "blog" }]), null, Lost: false);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => RolloutPreparation.Of([Runs("a", ""), two], "", "v2.0.0", again: false, skipUnreachable: false)).Code);
        var other = new HostSaid<HostFacts>("b", new HostFacts("0.1.0", [new AppStatus { App = "blog" }]), null, Lost: false);
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => RolloutPreparation.Of([Runs("a", ""), other], "", "v2.0.0", again: false, skipUnreachable: false)).Code);
    }

    [Theory]
    [InlineData(10, "1", 0, "1 1 1 1 1 1 1 1 1 1")]
    [InlineData(10, "4", 0, "4 4 2")]
    [InlineData(10, "25%", 0, "2 2 2 2 2")]
    [InlineData(3, "25%", 0, "1 1 1")]
    [InlineData(10, "100%", 0, "10")]
    [InlineData(10, "5", 1, "1 5 4")]
    [InlineData(2, "5", 3, "2")]
    public void Batches_follow_the_canary(int hosts, string batch, int canary, string sizes)
    {
        Assert.True(Share.TryParse(batch, out Share? share));
        RolloutPlan plan = new RolloutLimits { Batch = share.Value, Canary = canary, Soak = TimeSpan.FromMinutes(1) }.Plan("v2.0.0", Hosts(hosts), ["x: unreachable"]);
        Assert.Equal(sizes, string.Join(' ', plan.Batches.Select(each => each.Hosts.Count)));
        Assert.Equal(Hosts(hosts).Select(host => host.Name), plan.Batches.SelectMany(each => each.Hosts).Select(host => host.Name));
        Assert.Equal(canary > 0, plan.Soak is not null);
    }

    [Fact]
    public void The_last_may_go_first()
    {
        RolloutPlan plan = new RolloutLimits { Order = HostOrder.Reversed, MaxUnavailable = new Share(50, true) }.Plan("v2.0.0", Hosts(4), []);
        Assert.Equal("h3 h2 h1 h0", string.Join(' ', plan.Batches.SelectMany(each => each.Hosts).Select(host => host.Name)));
        Assert.Equal(2, plan.MaxUnavailable);
        plan = new RolloutLimits { Order = HostOrder.Random }.Plan("v2.0.0", Hosts(4), []);
        Assert.Equal(["h0", "h1", "h2", "h3"], plan.Batches.SelectMany(each => each.Hosts).Select(host => host.Name).Order());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("101%")]
    [InlineData("0%")]
    [InlineData("%")]
    [InlineData("1001")]
    [InlineData("two")]
    public void A_share_is_a_number_or_a_part_of_all(string text) => Assert.False(Share.TryParse(text, out _));

    private static IEnumerable<HostEntry> Hosts(int count) => Enumerable.Range(0, count).Select(n => new HostEntry($"h{n}", new HostAddress.Ssh(null, $"h{n}", null)));

    private static HostSaid<HostFacts> Runs(string host, string version, string attention = "", string digest = "") =>
        new(host, new HostFacts("0.1.0", [new AppStatus { App = "shop", Version = version, Attention = attention, Digest = digest }]), null, Lost: false);

    private static HostSaid<HostFacts> Lost(string host) => new(host, null, new OperatorException(ExitCode.Unreachable, "no route", "ping it"), Lost: true);
}

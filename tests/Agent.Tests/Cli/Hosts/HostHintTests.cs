using Agent.Cli.Commands;
using Agent.Cli.Hosts;

namespace Agent.Tests.Cli.Hosts;

public class HostHintTests
{
    private static readonly HostEntry Web1 = new("web1", new HostAddress.Ssh(null, "web1", null));

    [Theory]
    [InlineData("agentctl watch shop-3", "agentctl watch shop-3 --host web1")]
    [InlineData("agentctl resume --app shop", "agentctl resume --app shop --host web1")]
    [InlineData("(agentctl watch d4)", "(agentctl watch d4 --host web1)")]
    [InlineData("'agentctl watch shop-3', or for your turn with --wait", "'agentctl watch shop-3 --host web1', or for your turn with --wait")]
    [InlineData("agentctl version, then upgrade the older one", "agentctl version --host web1, then upgrade the older one")]
    [InlineData("agentctl why shows all that it said", "agentctl why --host web1 shows all that it said")]
    [InlineData("agentctl db stats shows it", "agentctl db stats --host web1 shows it")]
    [InlineData("look at what there is: agentctl db list", "look at what there is: agentctl db list --host web1")]
    [InlineData("agentctl db create; then deploy again", "agentctl db create --host web1; then deploy again")]
    [InlineData("look at it: agentctl why d5; then agentctl deploy VERSION", "look at it: agentctl why d5 --host web1; then agentctl deploy VERSION --host web1")]
    [InlineData("agentctl unquarantine v2.4.0 --app shop --reason WHY", "agentctl unquarantine v2.4.0 --app shop --reason WHY --host web1")]
    [InlineData("agentctl deploy v1.2.0 --force. Or wait", "agentctl deploy v1.2.0 --force --host web1. Or wait")]
    [InlineData("agentctl db restore shop-12 takes this back", "agentctl db restore shop-12 --host web1 takes this back")]
    [InlineData("agentctl history --app shop and look", "agentctl history --app shop --host web1 and look")]
    [InlineData("agentctl store list --app shop", "agentctl store list --app shop")]         // asks no agent
    [InlineData("until it is refreshed (agentctl store refresh)", "until it is refreshed (agentctl store refresh)")]
    [InlineData("see agentctl --help", "see agentctl --help")]
    [InlineData("agentctl hosts lists them", "agentctl hosts lists them")]
    [InlineData("use sudo", "use sudo")]
    [InlineData("agentctl rollout resume r1", "agentctl rollout resume r1")]                                    // asks all its hosts
    [InlineData("on the host: sudo agentctl clients remove ann", "on the host: sudo agentctl clients remove ann")]
    [InlineData("agentctl clients list", "agentctl clients list --host web1")]
    [InlineData("see what agentctl dial-stdio says", "see what agentctl dial-stdio says")]
    [InlineData("see what it says: ssh -p 22 web1 agentctl version", "see what it says: ssh -p 22 web1 agentctl version")]     // there it is local
    [InlineData("agentctl host bootstrap ssh://web1 --package FILE.deb", "agentctl host bootstrap ssh://web1 --package FILE.deb")]
    [InlineData("journalctl -u agentd -n 50", "on web1: journalctl -u agentd -n 50")]
    [InlineData("sudo systemctl start agentd; or agentctl status", "on web1: sudo systemctl start agentd; or agentctl status --host web1")]
    public void A_command_is_made_to_fit_the_host(string text, string fitting)
    {
        Assert.Equal(fitting, HostHint.For(Web1, text));
        Assert.Equal(text, HostHint.For(new HostEntry(Targets.Local, new HostAddress.Local(null)), text));
    }

    [Fact]
    public void A_hostile_text_costs_no_time() => Assert.NotEmpty(HostHint.For(Web1, string.Concat(Enumerable.Repeat("agentctl why -a aA ", 5_000)) + "\n"));
}

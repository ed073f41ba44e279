using Agent.Cli;

namespace Agent.Tests.Cli;

public sealed class ConfigCommandTests(FakeHost host) : IClassFixture<FakeHost>
{
    [Fact]
    public async Task Everything_that_is_wrong_is_listed_and_the_exit_status_says_so()
    {
        host.Agent.Problems = ["/etc/agentd/agentd.yaml:3: pol is not a key here; write poll", "/etc/agentd/apps.d/shop.yaml:7: gate.stable is '10'; write 10s"];
        using var output = new StringWriter { NewLine = "\n" };
        Assert.Equal(2, await AgentCtl.RunAsync(["config", "check", "--socket", host.Socket], output, TextWriter.Null, TestContext.Current.CancellationToken));
        Assert.Equal(string.Join('\n', host.Agent.Problems) + "\n", output.ToString());
    }
}

using Agent.Artifacts;
using Agent.Daemon.Hosting;
using Agent.Tests.Fakes;

namespace Agent.Tests.Hosting;

public sealed class CommandLineOptionsTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("", "/etc/agentd", false)]
    [InlineData("--check", "/etc/agentd", true)]
    [InlineData("--config /x", "/x", false)]
    [InlineData("--config /x --check", "/x", true)]
    [InlineData("--check --config /x", "/x", true)]
    public void Reads(string line, string configuration, bool check) =>
        Assert.Equal(new CommandLineOptions(configuration, check), CommandLineOptions.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)));

    [Theory]
    [InlineData("--chek")]
    [InlineData("--check --check")]
    [InlineData("--config")]
    [InlineData("/x")]
    public void Refuses(string line) => Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => CommandLineOptions.Parse(line.Split(' '))).Code);

    [Fact]
    public void Check_of_a_good_configuration_is_0()
    {
        directory.Write("apps.d/shop.yaml", "command: bin/shop");
        Assert.Equal(0, CommandLineOptions.Parse(["--check", "--config", directory.Path])!.Check());
    }

    [Fact]
    public void Check_of_a_bad_one_is_a_usage_error()
    {
        directory.Write("apps.d/shop.yaml", "comand: bin/shop");
        Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => CommandLineOptions.Parse(["--check", "--config", directory.Path])!.Check()).Code);
    }
}

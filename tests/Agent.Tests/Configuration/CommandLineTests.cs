using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Tests.Configuration;

public class CommandLineTests
{
    [Theory]
    [InlineData("bin/shop")]
    [InlineData("shop --port 8080")]
    [InlineData("""bin/shop --title "My shop; open" --x='a b' --y=\"q\" \; """)]
    [InlineData("bin/shop ${PORT} $MORE 100% a;b")]
    [InlineData(@"bin/shop \x41 \101 \u00e4 \\")]
    public void Takes(string command) => Assert.Equal(command.Trim(), CommandLine.Check(command));

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("/bin/sh -c x")]
    [InlineData("../bin/shop")]
    [InlineData("bin/../../shop")]
    [InlineData("bin//shop")]
    [InlineData("./bin/shop")]
    [InlineData("bin/")]
    [InlineData("-bin/shop")]
    [InlineData("+bin/shop")]
    [InlineData("!bin/shop")]
    [InlineData("@bin/shop")]
    [InlineData("\"bin/my shop\"")]
    [InlineData("bin/$SHOP")]
    [InlineData("bin/%n")]
    [InlineData("bin/shop \"open")]
    [InlineData("bin/shop it's")]
    [InlineData("bin/shop \\")]
    [InlineData(@"bin/shop \q")]
    [InlineData(@"bin/shop \x00")]
    [InlineData(@"bin/shop \000")]
    [InlineData("bin/shop ; bin/evil")]
    [InlineData("bin/shop ;")]
    [InlineData("bin/shop\nExecStartPre=/bin/evil")]
    [InlineData("bin/shop\rx")]
    [InlineData("bin/shop\0x")]
    public void Refuses(string command) => Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => CommandLine.Check(command)).Code);

    [Theory]
    [InlineData("/bin/sh -c x", "/bin/sh -c x")]
    [InlineData("bin/shop", "bin/shop")]
    public void Takes_a_program_of_the_host_where_that_may_be(string command, string taken) => Assert.Equal(taken, CommandLine.Check(command, mayBeAbsolute: true));

    [Theory]
    [InlineData("/")]
    [InlineData("//bin/sh")]
    [InlineData("/bin/../sh")]
    [InlineData("/-sh")]
    [InlineData("../sh")]
    public void Refuses_a_path_that_is_not_plain_also_on_the_host(string command) =>
        Assert.Throws<OperatorException>(() => CommandLine.Check(command, mayBeAbsolute: true));
}

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
}

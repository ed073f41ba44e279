using Agent.Artifacts;
using Agent.Cli.Hosts;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Cli.Hosts;

public class HostAddressTests
{
    private const string Shell = " \t\n\r\0'\"`$&|;<>(){}[]!*?~#\\%=,^@:/+";

    [Theory]
    [InlineData("local", "local")]
    [InlineData("ssh://web1", "ssh://web1")]
    [InlineData("ssh://deploy@web1.example.com:2222", "ssh://deploy@web1.example.com:2222")]
    [InlineData("ssh://web_1", "ssh://web_1")]
    [InlineData("ssh://192.0.2.7", "ssh://192.0.2.7")]
    [InlineData("ssh://root@[2001:db8::7]:22", "ssh://root@[2001:db8::7]:22")]
    [InlineData("https://web1", "https://web1:7443")]
    [InlineData("https://web1:443", "https://web1:443")]
    [InlineData("https://[2001:db8::7]:8443", "https://[2001:db8::7]:8443")]
    public void An_address_is_understood(string text, string expected) => Assert.Equal(expected, HostAddress.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("web1")]
    [InlineData("http://web1")]
    [InlineData("ssh://")]
    [InlineData("ssh://-oProxyCommand=id")]
    [InlineData("ssh://-web1")]
    [InlineData("ssh://-lroot@web1")]
    [InlineData("ssh://root:secret@web1")]
    [InlineData("ssh://ro ot@web1")]
    [InlineData("ssh://web1;id")]
    [InlineData("ssh://$(id)")]
    [InlineData("ssh://web1%20id")]
    [InlineData("ssh://web1/path")]
    [InlineData("ssh://web1?query")]
    [InlineData("ssh://web1#part")]
    [InlineData("ssh://web1:0")]
    [InlineData("ssh://web1:99999")]
    [InlineData("ssh://a@b@web1")]
    [InlineData("ssh://wéb1")]
    [InlineData("ssh://%72oot@web1")]
    [InlineData("ssh://web1\nHost *")]
    [InlineData("https://ann@web1")]
    [InlineData("https://web1/path")]
    [InlineData("ssh:web1")]
    [InlineData("file:///etc/passwd")]
    public void Anything_else_is_refused(string text) => Assert.Equal(ExitCode.Usage, Assert.Throws<OperatorException>(() => HostAddress.Parse(text)).Code);

    [Fact]
    public void Whatever_becomes_an_address_is_neither_an_option_nor_anything_to_a_shell()
    {
        Gen<string> word = Gen.OneOf(
            ArbMap.Default.GeneratorFor<string>().Select(text => text ?? ""),
            Gen.Elements("-", "--", "-oProxyCommand=id", "web1", "root", "$(id)", "`id`", ";id", "|id", "a b", "\n", "[::1]", "[", "%24", "..", "é"),
            Gen.Elements(Shell.ToCharArray()).Select(c => $"{c}"),
            Gen.Elements("abcxyz019._-".ToCharArray()).Select(c => $"{c}"));
        Gen<string> text = from words in word.ListOf(4)
                           from user in Gen.OneOf(Gen.Constant(""), word.Select(name => name + "@"))
                           from port in Gen.Elements("", ":22", ":-1", ":x")
                           select $"ssh://{user}{string.Concat(words)}{port}";
        Prop.ForAll(text.ToArbitrary(), candidate =>
        {
            HostAddress.Ssh ssh;
            try
            {
                ssh = Assert.IsType<HostAddress.Ssh>(HostAddress.Parse(candidate));
            }
            catch (OperatorException)
            {
                return;
            }
            Assert.Matches(@"\A(?!-)[A-Za-z0-9._-]+\z|\A[0-9A-Fa-f:.]+\z", ssh.Host);
            if (ssh.User is { } user) Assert.Matches(@"\A(?!-)[A-Za-z0-9._-]+\z", user);
            Assert.Equal(ssh, HostAddress.Parse(ssh.ToString()));
            IReadOnlyList<string> arguments = SshDialer.Arguments(ssh, mayAsk: false, DialStdio.RemoteCommand);
            Assert.Equal(["--", ssh.Host, "agentctl dial-stdio"], arguments.TakeLast(3));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
    }
}

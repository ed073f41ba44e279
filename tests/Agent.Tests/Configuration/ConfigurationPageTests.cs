using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

/// <summary>What is written about the configuration, against the code.</summary>
public sealed partial class ConfigurationPageTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData("## agentd.yaml", nameof(ConfigurationKeys.Agent))]
    [InlineData("## apps.d/APP.yaml", nameof(ConfigurationKeys.App))]
    [InlineData("### units", nameof(ConfigurationKeys.Unit))]
    [InlineData("### checks", nameof(ConfigurationKeys.Check))]
    [InlineData("### gate", nameof(ConfigurationKeys.Gate))]
    [InlineData("## agent.yaml", nameof(ConfigurationKeys.Release))]
    public void Every_key_is_in_the_table_of_its_section_and_no_other(string heading, string keys)
    {
        string[] known = keys switch
        {
            nameof(ConfigurationKeys.Agent) => ConfigurationKeys.Agent,
            nameof(ConfigurationKeys.App) => ConfigurationKeys.App,
            nameof(ConfigurationKeys.Unit) => ConfigurationKeys.Unit,
            nameof(ConfigurationKeys.Check) => ConfigurationKeys.Check,
            nameof(ConfigurationKeys.Gate) => ConfigurationKeys.Gate,
            _ => ConfigurationKeys.Release,
        };
        IEnumerable<string> written = Page().SkipWhile(line => line != heading).Skip(1).TakeWhile(line => !line.StartsWith('#'))
            .Select(line => KeyRow().Match(line)).Where(match => match.Success).Select(match => match.Groups[1].Value);
        Assert.Equal(known.Order(), written.Order());
    }

    [Fact]
    public void Every_example_of_the_page_is_read_without_a_problem()
    {
        string section = "";
        var example = new List<string>();
        bool inside = false;
        int read = 0;
        foreach (string line in Page())
        {
            if (line.StartsWith("## ", StringComparison.Ordinal)) section = line;
            if (line == "```" && inside)
            {
                inside = false;
                Read(section, string.Join('\n', example));
                example.Clear();
                read++;
            }
            if (inside) example.Add(line);
            inside |= line == "```yaml";
        }
        Assert.Equal(7, read);
    }

    [Theory]
    [InlineData("packaging/root/etc/agentd/agentd.yaml", "## agentd.yaml")]
    [InlineData("packaging/root/usr/share/doc/agentd/app.yaml", "## apps.d/APP.yaml")]
    [InlineData("packaging/root/usr/share/doc/agentd/agent.yaml", "## agent.yaml")]
    public void A_sample_is_read_without_a_problem_also_with_its_optional_keys(string sample, string section)
    {
        string text = File.ReadAllText(Path.Combine(Root(), sample));
        Read(section, text);
        foreach (string key in OptionalKey().Matches(text).Select(match => match.Groups[1].Value))
            Read(section, key.Replace("\n#", "\n", StringComparison.Ordinal));
    }

    private static void Read(string section, string text)
    {
        var problems = new Problems();
        YamlNode.Map root = Yaml.Read("example", text, problems) ?? new YamlNode.Map(1, []);
        var shop = new AppName("shop");
        if (section == "## agentd.yaml") AgentFile.Read("example", root, problems);
        else if (section == "## apps.d/APP.yaml") AppFile.ReadOperators(shop, "example", root, "/etc/systemd/system", problems);
        else AppFile.ReadReleases(shop, "example", root, problems);
        problems.ThrowIfAny(ExitCode.Usage, text);
    }

    [Fact]
    public void The_agents_sample_shows_the_defaults()
    {
        string shown = OptionalKey().Replace(File.ReadAllText(Path.Combine(Root(), "packaging/root/etc/agentd/agentd.yaml")), "$1");
        directory.Write("agentd.yaml", shown);
        AgentOptions options = ConfigurationFiles.Load(directory.Path, new Disk()).Agent;
        Assert.Equal(AgentFile.Defaults with { Store = "https://releases.example.com/" }, options);
    }

    private static string[] Page() => File.ReadAllLines(Path.Combine(Root(), "docs/reference/configuration.md"));

    private static string Root()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "Agent.sln"))) at = Path.GetDirectoryName(at);
        return at ?? throw new InvalidOperationException("the tests do not lie in the repository");
    }

    [GeneratedRegex(@"\A\| `([a-z]+)` \|")]
    private static partial Regex KeyRow();

    // "#key: value" and the lines "#  - ..." below it; a remark has a blank after the hash.
    [GeneratedRegex(@"(?m)^#([a-z]+:.*(?:\n#  .*)*)$")]
    private static partial Regex OptionalKey();
}

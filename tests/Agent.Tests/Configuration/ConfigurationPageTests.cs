using System.Net;
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

    public static TheoryData<string, string[]> Tables => new()
    {
        { "## agentd.yaml", ConfigurationKeys.Agent },
        { "### roles", ConfigurationKeys.Roles },
        { "### unsigned_push", ConfigurationKeys.UnsignedPush },
        { "### listen", ConfigurationKeys.Listen },
        { "## apps.d/APP.yaml", ConfigurationKeys.App },
        { "### deadlines", ConfigurationKeys.Steps },
        { "### database", ConfigurationKeys.Database },
        { "### restore_points", ConfigurationKeys.RestorePoints },
        { "### migrations", ConfigurationKeys.Migrations },
        { "### processes", ConfigurationKeys.Process },
        { "### units", ConfigurationKeys.Unit },
        { "### shared", ConfigurationKeys.Shared },
        { "### hooks", ConfigurationKeys.Hook },
        { "### checks", ConfigurationKeys.Check },
        { "### gate", ConfigurationKeys.Gate },
        { "## agent.yaml", ConfigurationKeys.Release },
    };

    [Theory]
    [MemberData(nameof(Tables))]
    public void Every_key_is_in_the_table_of_its_section_and_no_other(string heading, string[] known)
    {
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
        Assert.Equal(17, read);
    }

    [Theory]
    [InlineData("packaging/root/etc/agentd/agentd.yaml", "## agentd.yaml")]
    [InlineData("packaging/root/usr/share/doc/agentd/app.yaml", "## apps.d/APP.yaml")]
    [InlineData("packaging/root/usr/share/doc/agentd/app-init.yaml", "## apps.d/APP.yaml")]
    [InlineData("packaging/root/usr/share/doc/agentd/agent.yaml", "## agent.yaml")]
    public void A_sample_is_read_without_a_problem_also_with_its_optional_keys(string sample, string section)
    {
        string text = File.ReadAllText(Path.Combine(Root(), sample)).Replace("APP", "shop", StringComparison.Ordinal);
        Read(section, text);
        foreach (string key in OptionalKey().Matches(text).Select(Shown))
        {
            bool belongsToCommand = section == "## agent.yaml" && ConfigurationKeys.Settings.Contains(key[..key.IndexOf(':', StringComparison.Ordinal)]);
            Read(section, belongsToCommand ? $"command: bin/shop\n{key}" : key);
        }
    }

    [Fact]
    public void The_samples_show_every_key()
    {
        static IEnumerable<string> Keys(string file) =>
            AnyKey().Matches(File.ReadAllText(Path.Combine(Root(), "packaging/root", file))).Select(match => match.Groups[1].Value).Distinct().Order();
        Assert.Equal(ConfigurationKeys.Agent.Order(), Keys("etc/agentd/agentd.yaml"));
        Assert.Equal(ConfigurationKeys.App.Order(), Keys("usr/share/doc/agentd/app.yaml"));
        Assert.Equal(ConfigurationKeys.Release.Order(), Keys("usr/share/doc/agentd/agent.yaml"));
    }

    [Fact]
    public void The_first_file_of_an_app_says_nothing_until_it_is_edited()
    {
        string file = directory.Write("apps.d/shop.yaml", File.ReadAllText(Path.Combine(Root(), "packaging/root/usr/share/doc/agentd/app-init.yaml")));
        AppOptions app = ConfigurationFiles.Load(directory.Path, new Disk()).App(new AppName("shop"));
        Assert.True(File.Exists(file));
        Assert.Equal((null, null, null, null, 3), (app.Track, app.Units, app.Checks, app.Gate, app.Keep));
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
        string shown = OptionalKey().Replace(File.ReadAllText(Path.Combine(Root(), "packaging/root/etc/agentd/agentd.yaml")), Shown);
        directory.Write("agentd.yaml", shown);
        AgentOptions options = ConfigurationFiles.Load(directory.Path, new Disk()).Agent;
        AgentOptions defaults = AgentFile.Defaults with { Store = "https://releases.example.com/", Listener = new ListenerOptions(new IPEndPoint(IPAddress.Any, 7443)) };
        Assert.Equal(defaults, options with { Viewers = defaults.Viewers, Deployers = defaults.Deployers, Admins = defaults.Admins, UnsignedPush = null });   // which has no default to show
        Assert.Equal([defaults.Viewers, defaults.Deployers, defaults.Admins], [options.Viewers, options.Deployers, options.Admins]);
    }

    private static string Shown(Match optional) => optional.Groups[1].Value.Replace("\n#", "\n", StringComparison.Ordinal);

    private static string[] Page() => File.ReadAllLines(Path.Combine(Root(), "docs/reference/configuration.md"));

    private static string Root()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "Agent.sln"))) at = Path.GetDirectoryName(at);
        return at ?? throw new InvalidOperationException("the tests do not lie in the repository");
    }

    [GeneratedRegex(@"\A\| `([a-z_]+)` \|")]
    private static partial Regex KeyRow();

    // "#key: value" and the lines "#  - ..." below it; a remark has a blank after the hash.
    [GeneratedRegex(@"(?m)^#([a-z_]+:.*(?:\n#  .*)*)$")]
    private static partial Regex OptionalKey();

    [GeneratedRegex(@"(?m)^#?([a-z_]+):")]
    private static partial Regex AnyKey();
}

using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Cli.Hosts;

namespace Agent.Tests.Cli.Hosts;

/// <summary>What is written about hosts.yaml, against the code.</summary>
public sealed partial class HostsPageTests
{
    public static TheoryData<string, string[]> Tables => new()
    {
        { "## Keys", HostsFile.Keys },
        { "### hosts", HostsFile.HostKeys },
        { "### groups", HostsFile.GroupKeys },
        { "### rollout", HostsFile.RolloutKeys },
    };

    [Theory]
    [MemberData(nameof(Tables))]
    public void Every_key_is_in_the_table_of_its_section_and_no_other(string heading, string[] known)
    {
        IEnumerable<string> written = Page("docs/reference/hosts.md").Split('\n').SkipWhile(line => line != heading).Skip(1).TakeWhile(line => !line.StartsWith('#'))
            .Select(line => KeyRow().Match(line)).Where(match => match.Success).Select(match => match.Groups[1].Value);
        Assert.Equal(known.Order(), written.Order());
    }

    [Fact]
    public void The_annotated_sample_holds_every_key_and_is_read_without_a_problem()
    {
        string sample = Page("packaging/root/usr/share/doc/agentd/hosts.yaml");
        Inventory inventory = Inventories.Of(sample);
        Assert.All(HostsFile.Keys.Concat(HostsFile.HostKeys).Concat(HostsFile.GroupKeys).Concat(HostsFile.RolloutKeys), key => Assert.Matches($"(?m)^ *{key}:", sample));
        Assert.Equal(["stage1", "web1", "web2", "build"], inventory.Hosts.Select(host => host.Name));
        Assert.Equal("web1 web2", string.Join(' ', Targets.Select(["prod"], inventory, null).Hosts.Select(host => host.Name)));
        Assert.DoesNotContain(null, typeof(RolloutDefaults).GetProperties().Where(property => property.Name != nameof(RolloutDefaults.None)).Select(property => property.GetValue(Targets.Select(["prod"], inventory, null).Rollout)));
        Assert.Equal("stage1", Targets.SelectDefault(inventory, null).Hosts.Single().Name);
    }

    [Fact]
    public void The_projects_file_of_the_guide_is_read_without_a_problem()
    {
        string example = FencedYaml().Match(Page("docs/how-to/many-hosts.md")).Groups[1].Value;
        Assert.Equal("shop", Inventories.Of("hosts: {web1: ssh://web1}", example).App);
    }

    private static string Page(string path, [CallerFilePath] string here = "") => File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../../..", path));

    [GeneratedRegex(@"^\| `([a-z_]+)` \|")]
    private static partial Regex KeyRow();

    [GeneratedRegex("```yaml\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex FencedYaml();
}

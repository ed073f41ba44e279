using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Cli;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Cli;

public sealed class AppInitTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly string apps;

    public AppInitTests() => apps = Directory.CreateDirectory(Path.Combine(directory.Path, "apps.d")).FullName;

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task Writes_a_file_that_the_agent_understands_and_that_says_what_was_asked_for()
    {
        Assert.Equal(0, (await RunAsync("blog", "--channel", "stable", "--command", "bin/blog --title \"a: b\" #1")).Exit);
        Assert.Equal(DurableOperations.Mode600, File.GetUnixFileMode(Path.Combine(apps, "blog.yaml")));
        ConfigurationFiles configuration = ConfigurationFiles.Load(directory.Path, new Disk());
        Assert.Equal(new Track.Channel("stable"), configuration.App(new AppName("blog")).Track);
        var unit = Assert.IsType<UnitSource.Rendered>(configuration.Define(new AppName("blog"), null).Units.Single());
        Assert.Equal("bin/blog --title \"a: b\" #1", unit.Command);
    }

    [Fact]
    public async Task Without_options_it_decides_nothing_and_explains_everything()
    {
        Assert.Equal(0, (await RunAsync("blog")).Exit);
        string[] lines = File.ReadAllLines(Path.Combine(apps, "blog.yaml"));
        Assert.All(lines, line => Assert.True(line.Length == 0 || line.StartsWith('#'), line));
        Assert.Contains("#channel: stable", lines);
        Assert.DoesNotContain(lines, line => line.Contains("shop", StringComparison.Ordinal));
        Assert.Null(ConfigurationFiles.Load(directory.Path, new Disk()).App(new AppName("blog")).Track);
    }

    [Fact]
    public async Task Never_writes_over_a_file()
    {
        directory.Write("apps.d/blog.yaml", "keep: 5\n");
        (int exit, string text) = await RunAsync("blog");
        Assert.Equal(5, exit);
        Assert.Contains("blog.yaml exists already", text, StringComparison.Ordinal);
        Assert.Equal("keep: 5\n", File.ReadAllText(Path.Combine(apps, "blog.yaml")));
    }

    [Theory]
    [InlineData("../etc")]
    [InlineData("Blog")]
    public async Task A_name_that_is_none_writes_nothing(string name)
    {
        Assert.Equal(2, (await RunAsync(name)).Exit);
        Assert.Empty(Directory.GetFiles(directory.Path, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_command_of_two_lines_is_refused() => Assert.Equal(2, (await RunAsync("blog", "--command", "bin/blog\nuser: root")).Exit);

    [Fact]
    public async Task A_directory_that_is_not_there_is_named()
    {
        using var text = new StringWriter { NewLine = "\n" };
        Assert.Equal(2, await AgentCtl.RunAsync(["app", "init", "blog", "--directory", "/nowhere/apps.d"], text, text, TestContext.Current.CancellationToken));
        Assert.Contains("there is no directory /nowhere/apps.d", text.ToString(), StringComparison.Ordinal);
    }

    private async Task<(int Exit, string Text)> RunAsync(string name, params string[] options)
    {
        using var text = new StringWriter { NewLine = "\n" };
        int exit = await AgentCtl.RunAsync(["app", "init", name, .. options, "--directory", apps], text, text, TestContext.Current.CancellationToken);
        return (exit, text.ToString());
    }
}

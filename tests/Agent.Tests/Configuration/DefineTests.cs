using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

/// <summary>The operator's file over the release's.</summary>
public sealed class DefineTests : IDisposable
{
    private static readonly AppName Shop = new("shop");
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void The_release_says_what_the_operator_does_not()
    {
        AppDefinition definition = Define("", """
            command: bin/shop
            user: web
            units: [systemd/worker.service]
            environment: {A: "1"}
            checks: [{tcp: "127.0.0.1:80"}]
            gate: {start: 5s, stable: 3s}
            """);
        Assert.Equal<UnitSource>(
            [new UnitSource.Rendered(new UnitName("shop.service"), "bin/shop", "web"), new UnitSource.Shipped(new UnitName("worker.service"), "systemd/worker.service")], definition.Units);
        Assert.Equal("1", definition.Environment["A"]);
        Assert.Equal("tcp 127.0.0.1:80", Assert.Single(definition.Checks).Name);
        Assert.Equal(new GateOptions(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(3)), definition.Gate);
    }

    [Fact]
    public void The_operators_environment_wins_name_by_name()
    {
        AppDefinition definition = Define("environment: {A: operator, C: operator}", "command: bin/shop\nenvironment: {A: release, B: release}");
        Assert.Equal(new Dictionary<string, string> { ["A"] = "operator", ["B"] = "release", ["C"] = "operator" }, definition.Environment);
    }

    [Fact]
    public void The_operators_gate_wins_name_by_name()
    {
        AppDefinition definition = Define("gate: {stable: 30s}", "command: bin/shop\ngate: {start: 5s, stable: 3s}");
        Assert.Equal(new GateOptions(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30)), definition.Gate);
    }

    [Fact]
    public void The_operators_units_replace_the_releases_command()
    {
        AppDefinition definition = Define("units: [own.service]", "command: bin/shop\nunits: [systemd/worker.service]");
        Assert.Equal("own.service", Assert.Single(definition.Units).Name.Value);
    }

    [Fact]
    public void The_operators_user_runs_the_releases_command()
    {
        AppDefinition definition = Define("user: mine", "command: bin/shop\nuser: theirs");
        Assert.Equal("mine", Assert.IsType<UnitSource.Rendered>(Assert.Single(definition.Units)).User);
    }

    [Fact]
    public void The_operators_empty_list_of_checks_takes_them_all_away() =>
        Assert.Empty(Define("checks: []", "command: bin/shop\nchecks: [{tcp: \"a:1\"}]").Checks);

    [Fact]
    public void A_release_without_a_file_runs_the_operators_command()
    {
        AppDefinition definition = Define("command: bin/shop", null);
        Assert.Equal(new GateOptions(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(10)), definition.Gate);
        Assert.Null(Assert.IsType<UnitSource.Rendered>(Assert.Single(definition.Units)).User);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("environment: {A: b}")]
    [InlineData("units: []")]
    public void Refuses_a_release_that_nobody_says_how_to_run(string? release)
    {
        var error = Assert.Throws<OperatorException>(() => Define("", release));
        Assert.Equal(ExitCode.Refused, error.Code);
        Assert.Contains("nothing says what to run for shop", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("channel: stable\ncommand: bin/x", "agent.yaml of the release:1: channel is not a key here")]
    [InlineData("units: [/etc/x.service]", "agent.yaml of the release:1: units[0] is not a path inside the release")]
    [InlineData("units: [../x.service]", "is not a path inside the release")]
    [InlineData("units: [a//x.service]", "is not a path inside the release")]
    [InlineData("units: [systemd/x.mount]", "'x.mount' is not a unit name")]
    [InlineData("units: [.agentd/x.service]", "is not a path inside the release")]
    [InlineData("units: [systemd/agentd.service]", "one of the agent's own")]
    [InlineData("units: [systemd/blog.service]", "blog.service is a unit of blog")]
    [InlineData("units: [systemd/web.service]", "web.service is a unit of blog")]
    [InlineData("command: \"bin/x\\nExecStartPre=/bin/evil\"", "line break")]
    [InlineData("a: *b", "uses an alias")]
    public void Refuses_a_release_whose_file_is_wrong(string release, string problem)
    {
        directory.Write("apps.d/blog.yaml", "units: [web.service]");
        var error = Assert.Throws<OperatorException>(() => Define("", release));
        Assert.Equal(ExitCode.Refused, error.Code);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_file_of_the_release_that_is_too_large() =>
        Assert.Contains("larger than 1 MiB", Assert.Throws<OperatorException>(() => Define("", new string(' ', (1 << 20) + 1))).Message, StringComparison.Ordinal);

    private AppDefinition Define(string operators, string? release)
    {
        directory.Write("apps.d/shop.yaml", operators);
        return ConfigurationFiles.Load(directory.Path, new Disk()).Define(Shop, release);
    }
}

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
    public void The_operators_user_is_for_all_that_the_release_brings()
    {
        AppDefinition definition = Define("user: mine\nhooks: {before-flip: {command: /bin/x, user: own}}", "processes: {web: {command: bin/web, user: www}}\nhooks: {before-flip: {command: bin/x, user: root}}");
        Assert.Equal(("mine", "mine"), (definition.User, Assert.IsType<UnitSource.Rendered>(Assert.Single(definition.Units)).User));
        Assert.Equal(["mine", "own"], definition.Hooks!.Select(hook => hook.User));
    }

    [Fact]
    public void A_process_of_the_release_keeps_its_user_where_the_operator_is_silent()
    {
        AppDefinition definition = Define("", "user: shop2\nprocesses: {web: {command: bin/web, user: www}, worker: bin/worker}");
        Assert.Equal(["www", "shop2"], definition.Units.Cast<UnitSource.Rendered>().Select(unit => unit.User));
    }

    [Fact]
    public void The_operators_limits_win_name_by_name_over_the_releases_command()
    {
        AppDefinition definition = Define("memory: 2GiB\nallow: []", "command: bin/shop\nmemory: 1GiB\ntasks: 5\nallow: [tmp]");
        var unit = Assert.IsType<UnitSource.Rendered>(Assert.Single(definition.Units));
        Assert.Equal((2L << 30, 5), (unit.Memory, unit.Tasks));
        Assert.Empty(unit.Allow!);
    }

    [Fact]
    public void The_operators_processes_replace_the_releases_command()
    {
        AppDefinition definition = Define("processes: {web: bin/web}", "command: bin/shop\nunits: [systemd/worker.service]");
        Assert.Equal("shop-web.service", Assert.Single(definition.Units).Name.Value);
    }

    [Fact]
    public void What_is_shared_by_either_is_shared()
    {
        AppDefinition definition = Define("shared: {directories: [log, tmp]}", "command: bin/shop\nshared: {directories: [log], files: [a.yml]}");
        Assert.Equal(["log", "tmp"], definition.SharedDirectories!);
        Assert.Equal(["a.yml"], definition.SharedFiles!);
    }

    [Fact]
    public void What_only_one_of_the_two_may_say_is_in_the_definition()
    {
        AppDefinition definition = Define("watch: 1m\nsecrets: /x.env\ncredentials: {key: /k}", "command: bin/shop\ntemplates: [a.template]");
        Assert.Equal((TimeSpan.FromMinutes(1), "/x.env", "/k", "a.template"), (definition.Watch, definition.SecretsFile, definition.Credentials!["key"], Assert.Single(definition.Templates!)));
    }

    [Fact]
    public void What_nobody_says_is_null()
    {
        AppDefinition definition = Define("command: bin/shop", null);
        Assert.Equal<object?>(
            [null, null, null, null, null, null, null, null, null, null],
            [definition.User, definition.SecretsFile, definition.Credentials, definition.SharedDirectories, definition.SharedFiles, definition.Templates, definition.Hooks, definition.Watch, definition.Database, definition.Migrations]);
    }

    [Theory]
    [InlineData("memory: 1GB", "processes: {web: bin/web}", "limits or other settings for 'command' stand here, but the release has processes or units instead")]
    [InlineData("deadlines: {gate: 30s}", "command: bin/shop", "deadlines.gate is 30s, less than gate.start and gate.stable together; write 70s or more")]
    [InlineData("", "command: bin/shop\nmigrations: db", "the release has migrations, but no database is named; write 'database: DATABASE_URL', the name of the secret that holds the address, or 'migrations: none'")]
    [InlineData("shared: {files: [log/a]}", "command: bin/shop\nshared: {directories: [log]}", "shared log/a is log once more, or lies in it")]
    [InlineData("shared: {files: [log]}", "command: bin/shop\nshared: {directories: [log]}", "shared log is log once more")]
    [InlineData("shared: {directories: [config]}", "command: bin/shop\ntemplates: [config/a.template]", "templates: config/a.template is filled as config/a, which is shared as config")]
    public void Refuses_two_files_that_do_not_fit(string operators, string release, string problem)
    {
        var error = Assert.Throws<OperatorException>(() => Define(operators, release));
        Assert.Equal(ExitCode.Refused, error.Code);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("command: bin/x", true)]
    [InlineData("user: web\ncommand: bin/x", false)]
    [InlineData("units: [own.service]", false)]
    public void A_name_too_long_for_a_user_needs_another_where_one_is_needed(string operators, bool refused)
    {
        var name = new AppName(new string('a', 32));
        directory.Write($"apps.d/{name}.yaml", operators);
        ConfigurationFiles configuration = ConfigurationFiles.Load(directory.Path, new Disk());
        if (refused) Assert.Contains("is too long to be a user's name; write 'user: NAME'", Assert.Throws<OperatorException>(() => configuration.Define(name, null)).Message, StringComparison.Ordinal);
        else Assert.Single(configuration.Define(name, null).Units);
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

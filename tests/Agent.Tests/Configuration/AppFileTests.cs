using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Tests.Configuration;

/// <summary>The keys of an app's two files, one by one.</summary>
public class AppFileTests
{
    private static readonly AppName Shop = new("shop");

    [Fact]
    public void Reads_what_only_the_operator_decides()
    {
        AppFile app = Operators("""
            max_version: v1.9.9
            keep_free: 2GB
            deadlines: {fetch: 1h, gate: 5m}
            secrets: /run/keys/shop.env
            credentials: {tls-key: /etc/ssl/shop.key}
            watch: 30s
            """);
        Assert.Equal(
            (new ReleaseVersion("v1.9.9"), 2_000_000_000L, TimeSpan.FromSeconds(30), new FileReference("/run/keys/shop.env", 4)),
            (app.MaxVersion!, app.KeepFree, app.Watch, app.Secrets));
        Assert.Equal(new Dictionary<Step, TimeSpan> { [Step.Fetch] = TimeSpan.FromHours(1), [Step.Gate] = TimeSpan.FromMinutes(5) }, app.Deadlines);
        Assert.Equal(new Dictionary<string, FileReference> { ["tls-key"] = new("/etc/ssl/shop.key", 5) }, app.Credentials);
        Assert.Equal((app.MaxVersion, 2_000_000_000L, app.Deadlines), (app.Options.MaxVersion, app.Options.KeepFree, app.Options.Deadlines));
    }

    [Fact]
    public void Without_the_keys_nothing_is_limited()
    {
        AppFile app = Operators("");
        Assert.Equal((null, 0, null, null), (app.Options.MaxVersion, app.Options.KeepFree, app.Secrets, app.Watch));
        Assert.Empty(app.Options.Deadlines);
    }

    [Fact]
    public void Settings_beside_the_command_are_those_of_its_unit()
    {
        AppFile app = Operators("""
            command: bin/shop
            restart: on-failure
            notify: true
            memory: 512MiB
            cpu: 150%
            tasks: 200
            stop: 2m
            allow: [tmp, low-ports]
            """);
        var unit = Assert.IsType<UnitSource.Rendered>(Assert.Single(app.Units!));
        Assert.Equal("shop.service", unit.Name.Value);
        Assert.Equal(("on-failure", true, 512L << 20, 150, 200, TimeSpan.FromMinutes(2)), (unit.Restart, unit.Notify, unit.Memory, unit.Cpu, unit.Tasks, unit.Stop));
        Assert.Equal(["tmp", "low-ports"], unit.Allow!);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Processes_become_units_in_their_order(bool operators)
    {
        const string Yaml = """
            processes:
              web: {command: bin/web --port 80, user: www, memory: 1GiB, restart: no}
              worker: bin/worker
              nightly: {command: bin/report, schedule: "*-*-* 03:30", stop: 1m}
            """;
        AppFile app = operators ? Operators(Yaml) : Releases(Yaml);
        Assert.Equal<UnitSource>(
            [
                new UnitSource.Rendered(new UnitName("shop-web.service"), "bin/web --port 80", "www") { Memory = 1L << 30, Restart = "no" },
                new UnitSource.Rendered(new UnitName("shop-worker.service"), "bin/worker", null),
                new UnitSource.Rendered(new UnitName("shop-nightly.timer"), "bin/report", null) { Schedule = "*-*-* 03:30", Stop = TimeSpan.FromMinutes(1) },
            ],
            app.Units!);
    }

    [Fact]
    public void Units_may_be_of_every_kind()
    {
        AppFile app = Operators("units: [a.service, a.timer, b.socket, c.path, d.target]");
        Assert.Equal(["a.service", "a.timer", "b.socket", "c.path", "d.target"], app.Units!.Select(unit => unit.Name.Value));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Reads_shared_paths(bool operators)
    {
        const string Yaml = "shared: {directories: [log, var/uploads], files: [config/local.yml]}";
        AppFile app = operators ? Operators(Yaml) : Releases(Yaml);
        Assert.Equal(["log", "var/uploads"], app.SharedDirectories);
        Assert.Equal(["config/local.yml"], app.SharedFiles);
    }

    [Fact]
    public void Reads_the_templates_of_a_release() => Assert.Equal(["config/app.conf.template"], Releases("templates: [config/app.conf.template]").Templates);

    [Theory]
    [InlineData("max_version: newest", "app:1: max_version is wrong: 'newest' is not a version")]
    [InlineData("keep_free: 2G", "app:1: keep_free is '2G', which is no size; write a whole number and a unit: 500MB, 2GB (by 1000), 512MiB or 2GiB (by 1024)")]
    [InlineData("keep_free: -1", "keep_free is '-1', which is no size")]
    [InlineData("keep_free: 99999999999TB", "keep_free is '99999999999TB', which is no size")]
    [InlineData("deadlines: 1h", "app:1: deadlines is not a map")]
    [InlineData("deadlines: {fech: 1h}", "deadlines.fech is not a key here; write fetch")]
    [InlineData("deadlines:\n  fetch: 25h", "app:2: deadlines.fetch is 25h; write 1s to 24h")]
    [InlineData("deadlines: {gate: 500ms}", "deadlines.gate is 500ms; write 1s to 24h")]
    [InlineData("secrets: shop.env", "app:1: secrets is 'shop.env'")]
    [InlineData("secrets: /etc/../shop.env", "secrets is '/etc/../shop.env'")]
    [InlineData("credentials: [a]", "credentials is not a map")]
    [InlineData("credentials:\n  a b: /x", "app:2: credentials.a b is not a credential's name")]
    [InlineData("credentials: {a/b: /x}", "credentials.a/b is not a credential's name")]
    [InlineData("credentials: {a: x}", "credentials.a is not a path; write 'a: /absolute/path'")]
    [InlineData("credentials: {a: [/x]}", "credentials.a is not a path")]
    [InlineData("watch: 100ms", "watch is 100ms; write 1s to 1h")]
    [InlineData("user: Root!", "app:1: user is 'Root!', which is no user name")]
    [InlineData("command: bin/x\nrestart: sometimes", "app:2: restart is 'sometimes'; write always, on-failure or no")]
    [InlineData("command: bin/x\nnotify: maybe", "app:2: notify is 'maybe'; write true or false")]
    [InlineData("command: bin/x\nmemory: 1KB", "app:2: memory is 1KB; write 1MiB or more")]
    [InlineData("command: bin/x\ncpu: 150", "app:2: cpu is '150'; write 1% to 100000%; 100% is one core")]
    [InlineData("command: bin/x\ncpu: 0%", "cpu is '0%'")]
    [InlineData("command: bin/x\ntasks: 0", "tasks is '0'")]
    [InlineData("command: bin/x\nstop: 2h", "stop is 2h; write 1s to 1h")]
    [InlineData("command: bin/x\nallow: all", "allow is not a list")]
    [InlineData("command: bin/x\nallow: [internet]", "app:2: allow[0] is 'internet', which is no wall; use some of home, devices, tmp")]
    [InlineData("command: bin/x\nallow: [tmp, tmp]", "allow[1] is tmp once more")]
    [InlineData("processes: [a]", "processes is not a map")]
    [InlineData("processes:\n  Web: bin/x", "app:2: processes.Web is not a process's name")]
    [InlineData("processes:\n  web:", "processes.web is no process")]
    [InlineData("processes:\n  web: {user: x}", "app:2: processes.web has no command")]
    [InlineData("processes:\n  web: /bin/sh", "app:2: processes.web is wrong: /bin/sh is not inside the release")]
    [InlineData("processes:\n  web:\n    command: ../sh", "app:3: processes.web.command is wrong: ../sh is not a plain path")]
    [InlineData("processes: {web: {command: bin/x, comand: y}}", "processes.web.comand is not a key here; write command")]
    [InlineData("processes: {web: {command: bin/x, user: A}}", "processes.web.user is 'A'")]
    [InlineData("processes: {web: {command: bin/x, schedule: sometimes}}", "processes.web.schedule is wrong: 'sometimes' is no schedule")]
    [InlineData("processes: {web: {command: bin/x, schedule: daily, restart: always}}", "processes.web.restart is here besides schedule")]
    [InlineData("processes: {web: {command: bin/x, schedule: daily, notify: true}}", "processes.web.notify is here besides schedule")]
    [InlineData("processes: {web: bin/x}\nunits: [shop-web.service]", "app:2: units[0] is shop-web.service once more; keep one; 'processes.web' makes shop-web.service")]
    [InlineData("processes: {web: {command: bin/x, schedule: daily}}\nunits: [shop-web.service]", "'processes.web' makes shop-web.service")]
    [InlineData("processes: {web: bin/x}\nmemory: 1GB", "app:2: memory is for 'command', which is not here")]
    [InlineData("units: [agentd-x.service]", "one of the agent's own")]
    [InlineData("shared: [log]", "shared is not a map")]
    [InlineData("shared: {directory: [log]}", "shared.directory is not a key here; write directories")]
    [InlineData("shared: {directories: log}", "shared.directories is not a list")]
    [InlineData("shared: {directories: [../log]}", "shared.directories[0] is not a path inside the release")]
    [InlineData("shared: {directories: [/log]}", "shared.directories[0] is not a path inside the release")]
    [InlineData("shared: {directories: [log/]}", "shared.directories[0] is not a path inside the release")]
    [InlineData("shared: {directories: [.agentd/x]}", "shared.directories[0] is not a path inside the release")]
    [InlineData("shared: {files: [agent.yaml]}", "shared.files[0] is agent.yaml, which belongs to each release")]
    [InlineData("templates: [a.template]", "templates is not a key here")]
    public void Refuses_in_the_operators_file(string yaml, string problem) => Assert.Contains(problem, Wrong(() => Operators(yaml)), StringComparison.Ordinal);

    [Theory]
    [InlineData("max_version: v1.0.0", "max_version is not a key here")]
    [InlineData("secrets: /x", "secrets is not a key here")]
    [InlineData("credentials: {a: /x}", "credentials is not a key here")]
    [InlineData("watch: 10s", "watch is not a key here")]
    [InlineData("deadlines: {fetch: 1h}", "deadlines is not a key here")]
    [InlineData("keep_free: 1GB", "keep_free is not a key here")]
    [InlineData("memory: 1GB", "release:1: memory is for 'command', which is not here")]
    [InlineData("templates: a", "templates is not a list")]
    [InlineData("templates: [app.conf]", "templates[0] is app.conf, which does not end in .template")]
    [InlineData("templates: [config/.template]", "which does not end in .template")]
    [InlineData("templates: [../x.template]", "templates[0] is not a path inside the release")]
    [InlineData("templates: [a.template, a.template]", "templates[1] is a.template once more")]
    [InlineData("shared: {files: [VERSION]}", "which belongs to each release")]
    public void Refuses_in_the_releases_file(string yaml, string problem) => Assert.Contains(problem, Wrong(() => Releases(yaml)), StringComparison.Ordinal);

    [Theory]
    [InlineData("0", 0)]
    [InlineData("1024", 1024)]
    [InlineData("1KB", 1000)]
    [InlineData("1KiB", 1024)]
    [InlineData("3TiB", 3L << 40)]
    [InlineData("9223372036GB", 9_223_372_036_000_000_000)]
    public void Reads_and_shows_a_size(string text, long bytes)
    {
        Assert.True(Values.TryParseSize(text, out long read));
        Assert.Equal(bytes, read);
        Assert.True(Values.TryParseSize(Values.ShowSize(bytes), out long again));
        Assert.Equal(bytes, again);
    }

    private static AppFile Operators(string yaml) => Read(yaml, "app", (root, problems) => AppFile.ReadOperators(Shop, "app", root, "/etc/systemd/system", problems));

    private static AppFile Releases(string yaml) => Read(yaml, "release", (root, problems) => AppFile.ReadReleases(Shop, "release", root, problems));

    private static AppFile Read(string yaml, string file, Func<YamlNode.Map, Problems, AppFile> read)
    {
        var problems = new Problems();
        AppFile app = read(Yaml.Read(file, yaml, problems)!, problems);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return app;
    }

    private static string Wrong(Action read) => Assert.Throws<OperatorException>(read).Message;
}

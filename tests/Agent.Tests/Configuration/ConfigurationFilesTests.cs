using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

public sealed class ConfigurationFilesTests : IDisposable
{
    private static readonly AppName Shop = new("shop");
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Without_any_file_the_defaults_hold()
    {
        ConfigurationFiles configuration = Load();
        Assert.Equal(new AgentOptions(null, TimeSpan.FromSeconds(60), "/srv", "/var/lib/agentd", "/etc/systemd/system", "/run/agentd/agentd.sock"), configuration.Agent);
        Assert.Empty(configuration.Apps);
    }

    [Fact]
    public void Reads_every_key_of_the_agent()
    {
        directory.Write("agentd.yaml", """
            store: https://releases.example.com/shop
            poll: 5s
            releases: /opt/apps
            data: /data/agentd
            socket: /run/a.sock
            units: /run/systemd/system
            history: 10
            roles:
              viewer: [watchers, LDAP.users@example.com]
              deployer: [wheel]
              admin: []
            unsigned_push:
              apps: [shop]
              by: [ann, ci-runner]
            """);
        AgentOptions agent = Load().Agent;
        Assert.Equal(["watchers", "LDAP.users@example.com"], agent.Viewers);
        Assert.Equal(["wheel"], agent.Deployers);
        Assert.Empty(agent.Admins);
        Assert.Equal(["shop"], agent.UnsignedPush!.Apps);
        Assert.Equal(["ann", "ci-runner"], agent.UnsignedPush.By);
        AgentOptions expected = new("https://releases.example.com/shop", TimeSpan.FromSeconds(5), "/opt/apps", "/data/agentd", "/run/systemd/system", "/run/a.sock") { History = 10 };
        Assert.Equal(expected, agent with { Viewers = expected.Viewers, Deployers = expected.Deployers, Admins = expected.Admins, UnsignedPush = null });
    }

    [Fact]
    public void Reads_every_key_of_an_app()
    {
        directory.Write("apps.d/shop.yaml", """
            versions: ">=1.0.0 <2.0.0"
            keep: 5
            environment: {A: "1", B: no, C: ""}
            command: bin/shop --flag
            user: web
            units:
              - extra.service
              - {name: other.service, path: /etc/agentd/other.service}
              - {name: inside.service, path: systemd/x.service}
            checks:
              - {http: "http://127.0.0.1:8080/up", status: 204, interval: 500ms, timeout: 3s, healthy: 2, unhealthy: 4}
              - {tcp: "[::1]:81", name: port}
            gate: {start: 2m, stable: 0s}
            """);
        AppOptions app = Load().App(Shop);
        Assert.Equal(new Track.Range(new VersionRange(">=1.0.0 <2.0.0")), app.Track);
        Assert.Equal(5, app.Keep);
        Assert.Equal(new Dictionary<string, string> { ["A"] = "1", ["B"] = "no", ["C"] = "" }, app.Environment);
        Assert.Equal<UnitSource>(
            [
                new UnitSource.Rendered(new UnitName("shop.service"), "bin/shop --flag", null),
                new UnitSource.Operators(new UnitName("extra.service"), "/etc/systemd/system/extra.service"),
                new UnitSource.Operators(new UnitName("other.service"), "/etc/agentd/other.service"),
                new UnitSource.Shipped(new UnitName("inside.service"), "systemd/x.service"),
            ],
            app.Units!);
        Assert.Equal<CheckOptions>(
            [
                new CheckOptions.Http("http /up", new Uri("http://127.0.0.1:8080/up"), 204, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(3), 2, 4),
                new CheckOptions.Tcp("port", "::1", 81, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3),
            ],
            app.Checks!);
        Assert.Equal(new GateOptions(TimeSpan.FromMinutes(2), TimeSpan.Zero), app.Gate);
    }

    [Fact]
    public void An_empty_app_file_leaves_everything_to_the_release()
    {
        directory.Write("apps.d/shop.yaml", "# nothing yet\n");
        AppOptions app = Load().App(Shop);
        Assert.Equal((null, null, null, null, 3), (app.Track, app.Units, app.Checks, app.Gate, app.Keep));
        Assert.Empty(app.Environment);
    }

    [Fact]
    public void Tells_all_problems_of_all_files_together_with_file_line_and_key()
    {
        string agent = directory.Write("agentd.yaml", "pol: 30s\npoll: 1s\n");
        string shop = directory.Write("apps.d/shop.yaml", "channel: stable\ngate:\n  stable: '10'\nchecks:\n  - http: nonsense\n");
        var error = Assert.Throws<OperatorException>(Load);
        Assert.Equal(ExitCode.Usage, error.Code);
        Assert.Equal(
            [
                $"{agent}:1: pol is not a key here; write poll",
                $"{agent}:2: poll is 1s; write 5s to 24h",
                $"{shop}:5: checks[0].http is 'nonsense'; write a whole URL without user and fragment: http://127.0.0.1:8080/up",
                $"{shop}:3: gate.stable is '10', which is no duration; write a whole number and a unit: 500ms, 10s, 2m or 1h",
            ],
            error.Message.Split('\n'));
    }

    [Theory]
    [InlineData("store: relative/dir", ":1: store is 'relative/dir'")]
    [InlineData("store: ftp://x/y", ":1: store is 'ftp://x/y'")]
    [InlineData("store: https://me:secret@x/", ":1: store holds a user")]
    [InlineData("releases: /srv/../etc", ":1: releases is '/srv/../etc'")]
    [InlineData("data: /var/lib/", ":1: data is '/var/lib/'")]
    [InlineData("socket: /", ":1: socket is '/'")]
    [InlineData("poll:", ":1: poll has no value")]
    [InlineData("poll: [1s]", ":1: poll is not a single value")]
    [InlineData("poll: 99999999h", "no duration")]
    [InlineData("poll: 5 s", "no duration")]
    [InlineData("poll: 5s\npoll: 6s", ":2: poll is here twice, first in line 1")]
    [InlineData("- poll", ":1: is not a map")]
    [InlineData("poll: &a 5s", ":1: uses an anchor")]
    [InlineData("poll: *a", ":1: uses an alias")]
    [InlineData("poll: !!str 5s", ":1: uses a tag")]
    [InlineData("poll: 5s\n---\npoll: 6s", "a second document")]
    [InlineData("poll: 'open", "is not YAML")]
    [InlineData("poll: {5s", "is not YAML")]
    [InlineData("? [a]\n: b", "has a key that is no text")]
    [InlineData("data: \"/x\\uD800\"", "surrogate")]
    [InlineData("data: \"/x\\ny\"", ":1: data is")]
    [InlineData("history: 9", ":1: history is '9'; write a whole number from 10 to 100000")]
    [InlineData("roles: [a]", ":1: roles is not a map")]
    [InlineData("roles:\n  viewers: [a]", ":2: roles.viewers is not a key here; write viewer")]
    [InlineData("roles:\n  viewer: a", ":2: roles.viewer is not a list")]
    [InlineData("roles:\n  admin: [a b]", ":2: roles.admin[0] is 'a b', which is no group's name")]
    [InlineData("roles:\n  admin:\n    - a\n    - a", ":4: roles.admin[1] is a once more")]
    [InlineData("unsigned_push: true", ":1: unsigned_push is not a map")]
    [InlineData("unsigned_push:\n  apps: [shop]", ":1: unsigned_push does not say both for which apps and by whom")]
    [InlineData("unsigned_push:\n  apps: []\n  by: [ann]", ":1: unsigned_push does not say both")]
    [InlineData("unsigned_push:\n  apps: [Shop]\n  by: [ann]", ":2: unsigned_push.apps[0] is wrong: 'Shop' is not an app name")]
    [InlineData("unsigned_push:\n  apps: [shop]\n  by: ['*']", ":3: unsigned_push.by[0] is '*', which is no name of a user or caller")]
    public void Refuses_in_agentd_yaml(string yaml, string problem)
    {
        directory.Write("agentd.yaml", yaml);
        Assert.Contains(problem, Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("channel: stable\nversions: '*'", ":2: versions is here besides channel")]
    [InlineData("channel: a/b", ":1: channel is 'a/b'")]
    [InlineData("channel: ..", ":1: channel is '..'")]
    [InlineData("versions: newest", ":1: versions is wrong: 'newest' is not a version range")]
    [InlineData("keep: 0", ":1: keep is '0'; write a whole number from 1 to 100")]
    [InlineData("keep: +3", ":1: keep is '+3'")]
    [InlineData("environment: [A]", ":1: environment is not a map")]
    [InlineData("environment:\n  9A: x", ":2: environment.9A is not a variable's name")]
    [InlineData("environment:\n  A-B: x", ":2: environment.A-B is not a variable's name")]
    [InlineData("environment:\n  A:", ":2: environment.A has no value")]
    [InlineData("environment:\n  A: {b: c}", ":2: environment.A is not a single value")]
    [InlineData("environment:\n  A: \"x\\ny\"", ":2: environment.A holds a line break")]
    [InlineData("environment:\n  A: \"x\\0y\"", ":2: environment.A holds a line break or control character")]
    [InlineData("environment:\n  A: 1\n  A: 2", ":3: A is here twice, first in line 2")]
    [InlineData("user: Root!", ":1: user is 'Root!'")]
    [InlineData("command: /bin/sh", ":1: command is wrong: /bin/sh is not inside the release")]
    [InlineData("units: shop.service", ":1: units is not a list")]
    [InlineData("units: [shop]", ":1: units[0] is wrong: 'shop' is not a unit name")]
    [InlineData("units: [../x.service]", "is not a unit name")]
    [InlineData("units: [agentd.service]", "one of the agent's own")]
    [InlineData("units: [a@.service]", "is a template")]
    [InlineData("units: [a.service, a.service]", ":1: units[1] is a.service once more")]
    [InlineData("command: bin/x\nunits: [shop.service]", ":2: units[0] is shop.service once more; keep one; 'command' makes shop.service")]
    [InlineData("units:\n  - name: a.service", ":2: units[0].path is missing")]
    [InlineData("units:\n  - {name: a.service, path: ../a}", ":2: units[0].path is '../a'")]
    [InlineData("units:\n  - {name: a.service, path: /a/../b}", "path is '/a/../b'")]
    [InlineData("checks: {http: x}", ":1: checks is not a list")]
    [InlineData("checks: [up]", ":1: checks[0] is no check")]
    [InlineData("checks:\n  - status: 200", ":2: checks[0].http is missing, and so are tcp, socket, command and unit")]
    [InlineData("checks:\n  - {http: 'http://a/', tcp: 'a:1'}", "checks[0].tcp is here besides http")]
    [InlineData("checks:\n  - {tcp: 'a:1', status: 200}", "status is only for http")]
    [InlineData("checks:\n  - tcp: a:0", "checks[0].tcp is 'a:0'")]
    [InlineData("checks:\n  - tcp: a:65536", "checks[0].tcp is 'a:65536'")]
    [InlineData("checks:\n  - tcp: '8080'", "checks[0].tcp is '8080'")]
    [InlineData("checks:\n  - http: file:///etc/passwd", "checks[0].http is 'file:///etc/passwd'")]
    [InlineData("checks:\n  - http: http://u:p@a/", "checks[0].http is")]
    [InlineData("checks:\n  - {tcp: 'a:1', interval: 1ms}", "checks[0].interval is 1ms; write 100ms to 1h")]
    [InlineData("checks:\n  - {tcp: 'a:1', timout: 1s}", "checks[0].timout is not a key here; write timeout")]
    [InlineData("checks:\n  - tcp: a:1\n  - tcp: a:1", ":3: checks[1] has the name of another check, 'tcp a:1'")]
    [InlineData("gate: 10s", ":1: gate is not a map")]
    [InlineData("gate: {start: 0s}", "gate.start is 0s; write 1s to 1h")]
    [InlineData("databases: x", "databases is not a key here; write database")]
    [InlineData("tables: x", "tables is not a key here; the keys here are channel, versions")]
    [InlineData("a: {b: {c: {d: {e: {f: {g: {h: {i: {j: k}}}}}}}}}", "nested deeper than 8 levels")]
    public void Refuses_in_an_app_file(string yaml, string problem)
    {
        directory.Write("apps.d/shop.yaml", yaml);
        Assert.Contains(problem, Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Shop.yaml", "is named after no app")]
    [InlineData("agentd.yaml", "which the system uses")]
    [InlineData("private.yaml", "which the system uses")]
    [InlineData("root.yaml", "which the system uses")]
    [InlineData("www-data.yaml", "which the system uses")]
    [InlineData("docker.yaml", "which the system uses")]
    [InlineData("agentd-viewer.yaml", "which the system uses")]
    [InlineData("systemd-network.yaml", "which the system uses")]
    [InlineData("shop.yml", "rename it to shop.yaml")]
    public void Refuses_a_file_named(string name, string problem)
    {
        directory.Write($"apps.d/{name}", "");
        Assert.Contains(problem, Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Ignores_what_editors_and_package_managers_leave()
    {
        directory.Write("apps.d/shop.yaml", "");
        directory.Write("apps.d/shop.yaml~", "nonsense");
        directory.Write("apps.d/.shop.yaml.swp", "nonsense");
        directory.Write("apps.d/.hidden.yaml", "nonsense");
        directory.Write("apps.d/shop.yaml.dpkg-old", "nonsense");
        Assert.Equal([Shop], Load().Apps.Select(app => app.Name));
    }

    [Fact]
    public void Refuses_a_file_that_is_too_large()
    {
        directory.Write("agentd.yaml", "#" + new string('x', 1 << 20));
        Assert.Contains("is larger than 1 MiB", Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_file_that_is_not_utf8()
    {
        directory.Write("agentd.yaml", [(byte)'#', 0xff, 0xfe]);
        Assert.Contains("is not UTF-8", Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Refuses_a_directory_in_place_of_a_file()
    {
        Directory.CreateDirectory(Path.Combine(directory.Path, "agentd.yaml"));
        Assert.Contains("cannot be read", Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("units: [web.service]", "units: [web.service]", "web.service is a unit of blog")]
    [InlineData("command: bin/shop", "units: [shop.service]", "shop.service is a unit of shop")]
    [InlineData("", "units: [shop.service]", "shop.service is a unit of shop")]
    [InlineData("processes: {web: bin/web}", "units: [shop-web.service]", "shop-web.service is a unit of shop")]
    [InlineData("processes: {web: {command: bin/web, schedule: daily}}", "units: [shop-web.service]", "shop-web.service is a unit of shop")]
    [InlineData("processes: {web: {command: bin/web, schedule: daily}}", "units: [shop-web.timer]", "shop-web.timer is a unit of shop")]
    public void Two_apps_cannot_have_the_same_unit(string shop, string blog, string problem)
    {
        directory.Write("apps.d/shop.yaml", shop);
        directory.Write("apps.d/blog.yaml", blog);
        Assert.Contains(problem, Assert.Throws<OperatorException>(Load).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tells_fifty_problems_and_counts_the_rest()
    {
        directory.Write("agentd.yaml", string.Concat(Enumerable.Range(0, 60).Select(i => $"wrong{i}: x\n")));
        string[] lines = Assert.Throws<OperatorException>(Load).Message.Split('\n');
        Assert.Equal(51, lines.Length);
        Assert.Equal("... and 10 more", lines[^1]);
    }

    [Fact]
    public void Reload_replaces_the_whole()
    {
        directory.Write("agentd.yaml", "poll: 10s");
        ConfigurationFiles configuration = Load();
        directory.Write("agentd.yaml", "poll: 20s");
        directory.Write("apps.d/shop.yaml", "");
        configuration.Reload();
        Assert.Equal(TimeSpan.FromSeconds(20), configuration.Agent.Poll);
        Assert.Single(configuration.Apps);
    }

    [Fact]
    public void Reload_of_something_wrong_leaves_what_was_in_force()
    {
        directory.Write("agentd.yaml", "poll: 10s");
        ConfigurationFiles configuration = Load();
        directory.Write("agentd.yaml", "poll: 20s");
        directory.Write("apps.d/shop.yaml", "keep: x");
        Assert.Throws<OperatorException>(configuration.Reload);
        Assert.Equal(TimeSpan.FromSeconds(10), configuration.Agent.Poll);
        Assert.Empty(configuration.Apps);
    }

    [Fact]
    public void An_app_that_is_not_there_is_told_with_those_that_are()
    {
        directory.Write("apps.d/shop.yaml", "");
        var error = Assert.Throws<OperatorException>(() => Load().App(new AppName("blog")));
        Assert.Equal((ExitCode.Usage, "no app blog on this host; there is shop"), (error.Code, error.Message));
    }

    private ConfigurationFiles Load() => ConfigurationFiles.Load(directory.Path, new Disk());
}

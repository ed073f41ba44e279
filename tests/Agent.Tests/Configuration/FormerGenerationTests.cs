using System.Text.Json;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Releases;

namespace Agent.Tests.Configuration;

public class FormerGenerationTests
{
    // As the version before processes, hooks and secrets wrote it.
    private const string Former = """
        {
          "id": "20261101-120000-abcd",
          "release": {"version": "v1.2.0", "digest": "aaaa"},
          "definition": {
            "name": "shop",
            "environment": {"A": "1"},
            "units": [
              {"$type": "rendered", "command": "bin/shop", "user": null, "name": "shop.service"},
              {"$type": "shipped", "path": "systemd/x.service", "name": "x.service"},
              {"$type": "operators", "path": "/etc/systemd/system/y.service", "name": "y.service"}
            ],
            "checks": [
              {"$type": "http", "url": "http://127.0.0.1:8080/up", "status": 204, "name": "http /up", "interval": "00:00:01", "timeout": "00:00:02", "healthy": 1, "unhealthy": 3},
              {"$type": "tcp", "host": "::1", "port": 81, "name": "port", "interval": "00:00:01", "timeout": "00:00:02", "healthy": 1, "unhealthy": 3}
            ],
            "gate": {"start": "00:01:00", "stable": "00:00:10"}
          }
        }
        """;

    [Fact]
    public void A_generation_of_the_former_version_still_loads_with_the_defaults_of_what_it_lacks()
    {
        AppDefinition definition = JsonSerializer.Deserialize(Former, GenerationJson.Default.Generation)!.Definition;
        Assert.Equal<object?>(
            [null, null, null, null, null, null, null, null, null, null],
            [definition.User, definition.SecretsFile, definition.Credentials, definition.SharedDirectories, definition.SharedFiles, definition.Templates, definition.Hooks, definition.Watch, definition.Database, definition.Migrations]);
        Assert.Equal(new UnitSource.Rendered(new UnitName("shop.service"), "bin/shop", null), definition.Units[0]);
        Assert.Equal(
            new CheckOptions.Http("http /up", new Uri("http://127.0.0.1:8080/up"), 204, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3), definition.Checks[0]);
        Assert.Equal(3, definition.Started.Count());
    }

    [Theory]
    [InlineData(0, "Fetch")]
    [InlineData(2, "Prepare")]
    [InlineData(3, "Flip")]
    [InlineData(5, "Gate")]
    [InlineData(6, "Sweep")]
    public void A_step_of_the_version_that_wrote_numbers_is_still_the_same(int written, string step)
    {
        string former = Former.Replace("\"gate\": {", $$"""
            "hooks": [{"name": "a", "step": {{written}}, "before": true, "line": "bin/a", "user": null, "timeout": "00:01:00", "memory": null, "mayFail": false}], "gate": {
            """, StringComparison.Ordinal);
        Assert.Equal(step, Assert.Single(JsonSerializer.Deserialize(former, GenerationJson.Default.Generation)!.Definition.Hooks!).Step.ToString());
    }

    [Theory]
    [InlineData("7")]
    [InlineData("-1")]
    [InlineData("\"flop\"")]
    public void A_step_that_nobody_wrote_is_none(string written) =>
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize($$"""{"step": {{written}}}""", GenerationJson.Default.HookOptions));

    [Fact]
    public void All_that_a_file_may_say_is_kept_in_a_generation()
    {
        var problems = new Problems();
        YamlNode.Map root = Yaml.Read("app", """
            user: web
            secrets: /s.env
            credentials: {k: /k}
            command: bin/shop
            memory: 1GiB
            allow: [tmp]
            notify: true
            processes: {n: {command: bin/n, schedule: daily, cpu: 50%, tasks: 3, stop: 5s}}
            shared: {directories: [log], files: [f]}
            hooks: {after-gate: {command: /bin/x, user: u, memory: 1GB, on_failure: ignore}}
            checks: [{http: "http://a/", socket: /s, body: b, headers: {A: b}, request_headers: {C: d}}, {socket: /s}, {command: bin/c}, {unit: u.service}]
            watch: 5s
            database: {url: DB, admin: A, environment: {A: b}, lock_retries: 1, statement_timeout: 1m, restore_points: {keep: 2, max_age: 1h, command: /bin/b}}
            migrations: {command: bin/m, files: [a/*], phase: after-commit, timeout: 2m, memory: 1GB, compatible_with: v1.0.0}
            """, problems)!;
        AppDefinition definition = new Joined(AppFile.ReadOperators(new AppName("shop"), "app", root, "/units", problems), null, "app", "/s.env").Define();
        problems.ThrowIfAny(ExitCode.Usage, "");
        string json = JsonSerializer.Serialize(new Generation("id", new("v1.0.0", "aaaa"), definition), GenerationJson.Default.Generation);
        AppDefinition again = JsonSerializer.Deserialize(json, GenerationJson.Default.Generation)!.Definition;
        Assert.Equivalent(definition, again, strict: true);
        Assert.Equal(json, JsonSerializer.Serialize(new Generation("id", new("v1.0.0", "aaaa"), again), GenerationJson.Default.Generation));
    }
}

using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Tests.Fakes;

namespace Agent.Tests.Configuration;

/// <summary>What <c>agentctl config show</c> tells.</summary>
public sealed class EffectiveTests : IDisposable
{
    private static readonly AppName Shop = new("shop");
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Shows_the_agents_values_and_where_they_come_from()
    {
        directory.Write("agentd.yaml", "poll: 2m\nroles: {admin: [wheel], viewer: []}\n");
        Assert.Equal(
            """
            # What is in force for the agent, and where each value comes from.
            # no store: nothing is followed
            poll: 2m                                     # agentd.yaml
            history: 200                                 # default
            roles:
              viewer: []                                 # agentd.yaml
              deployer:
                - agentd                                 # default
              admin:
                - wheel                                  # agentd.yaml
            releases: /srv                               # default
            data: /var/lib/agentd                        # default
            socket: /run/agentd/agentd.sock              # default
            units: /etc/systemd/system                   # default

            """,
            Load().Effective(null, null));
    }

    [Fact]
    public void Shows_the_apps_values_and_where_they_come_from()
    {
        directory.Write("apps.d/shop.yaml", "channel: stable\nenvironment: {B: \"2: #\"}\nmemory: 1GiB\ngate: {stable: 30s}\nhooks: {after-gate: /bin/tell}\n");
        File.SetUnixFileMode(directory.Write("secrets.d/shop.env", "TOKEN=sesame\nKEY=sesame\n"), DurableOperations.Mode600);
        Assert.Equal(
            $$"""
            # What is in force for shop, and where each value comes from.
            channel: stable                              # apps.d/shop.yaml
            keep: 3                                      # default
            keep_free: 0                                 # default
            environment:
              A: 1                                       # agent.yaml of the release
              B: "2: #"                                  # apps.d/shop.yaml
            {{$"secrets: {directory.Path}/secrets.d/shop.env",-44}} # default
            # names in it, values are not shown: KEY, TOKEN
            user: shop                                   # default
            command: bin/shop --port 8080                # agent.yaml of the release
            restart: no                                  # agent.yaml of the release
            notify: false                                # default
            memory: 1GiB                                 # apps.d/shop.yaml
            stop: 30s                                    # default
            # templates of the release: app.conf.template
            hooks:
              after-gate:
                - command: bin/announce                  # agent.yaml of the release
                  timeout: 1m
                  on_failure: undo
                - command: /bin/tell                     # apps.d/shop.yaml
                  timeout: 1m
                  on_failure: undo
            checks: []                                   # default
            gate:
              start: 1m                                  # default
              stable: 30s                                # apps.d/shop.yaml
            watch: 10s                                   # default

            """,
            Load().Effective(Shop, "command: bin/shop --port 8080\nrestart: no\nenvironment: {A: 1, B: 1}\nhooks: {after-gate: bin/announce}\ntemplates: [app.conf.template]\n"));
    }

    [Fact]
    public void What_is_shown_is_read_again_as_the_same()
    {
        directory.Write("apps.d/shop.yaml", """
            versions: ">=1.0.0 <2.0.0"
            max_version: v1.5.0
            keep_free: 3GiB
            deadlines: {fetch: 1h}
            environment: {A: "null", B: "", C: " x ", D: "a\tb\\ \"c\"", E: "ü𝄞 # : - {}"}
            credentials: {key: /etc/ssl/key}
            user: web
            shared: {files: [config/local.yml]}
            hooks: {before-fetch: /bin/a, before-flip: [/bin/b, {command: bin/c, user: root, memory: 1GB, timeout: 5s, on_failure: ignore}]}
            watch: 1m
            database:
              admin: ADMIN_URL
              environment: {POOL_SIZE: "2"}
              lock_timeout: 500ms
              lock_retries: 3
              statement_timeout: 10m
              wait: 2h
              restore_points: {directory: /backup, keep: 7, max_age: 720h, max_size: 10GB, jobs: 2}
            """);
        const string Release = """
            command: bin/shop "a b" ${PORT}
            tasks: 5
            allow: [tmp]
            processes:
              web: {command: bin/web, user: www, cpu: 50%, notify: true}
              nightly: {command: bin/report, schedule: Mon..Fri 08:30}
            units: [systemd/x.socket]
            shared: {directories: [log]}
            migrations: {command: bin/shop eval "Shop.Release.migrate()", files: [priv/*], phase: after-commit, timeout: 5m, memory: 1GB, compatible_with: v1.1.0}
            hooks: {before-flip: bin/warm}
            checks:
              - {http: "http://127.0.0.1:8080/up?a=b", socket: /run/x.sock, status: 204, body: "a: \"b\"", headers: {A: b}}
              - {tcp: "[::1]:80", interval: 5s}
              - {socket: /run/y.sock}
              - {command: bin/check "x y"}
              - {unit: other.target, healthy: 2}
            """;
        AppDefinition first = Load().Define(Shop, Release);
        directory.Write("apps.d/shop.yaml", Load().Effective(Shop, Release));
        ConfigurationFiles again = Load();
        AppDefinition second = again.Define(Shop, null);

        Assert.Equivalent(first.Environment, second.Environment, strict: true);
        Assert.Equal(first.Units.Select(Plain), second.Units.Select(Plain));
        Assert.Equal(first.Hooks!, second.Hooks!);
        Assert.Equivalent(first.Checks, second.Checks, strict: true);
        Assert.Equal(first.Gate, second.Gate);
        Assert.Equal(
            (first.User, first.Watch, first.SharedDirectories![0], first.SharedFiles![0], first.Credentials!["key"]),
            (second.User, second.Watch, second.SharedDirectories![0], second.SharedFiles![0], second.Credentials!["key"]));
        Assert.Equivalent(first.Database, second.Database, strict: true);
        Assert.Equivalent(first.Migrations, second.Migrations, strict: true);
        AppOptions options = again.App(Shop);
        Assert.Equal(
            (new Track.Range(new VersionRange(">=1.0.0 <2.0.0")), new ReleaseVersion("v1.5.0"), 3L << 30, TimeSpan.FromHours(1)),
            ((Track.Range)options.Track!, options.MaxVersion!, options.KeepFree, options.Deadlines[Daemon.State.Step.Fetch]));

        // Defaults of units are written out.
        static object Plain(UnitSource unit) => unit is UnitSource.Rendered rendered
            ? (rendered with { Allow = null, Restart = rendered.Schedule is null ? rendered.Restart ?? "always" : null, Stop = rendered.Stop ?? TimeSpan.FromSeconds(30) }, string.Join(' ', rendered.Allow ?? []))
            : unit;
    }

    [Fact]
    public void Shows_the_database_by_the_name_of_its_secret_and_who_says_how_it_is_migrated()
    {
        directory.Write("apps.d/shop.yaml", "command: bin/shop\ndatabase: {restore_points: {command: /usr/bin/snapshot, restore_command: /usr/bin/back}}\n");
        string shown = Load().Effective(Shop, "migrations: db/sql\n");
        Assert.Contains(
            """
            database:                                    # apps.d/shop.yaml
              url: DATABASE_URL
              lock_timeout: 2s
              lock_retries: 10
              wait: 1h
              restore_points:
                keep: 5
                command: /usr/bin/snapshot
                restore_command: /usr/bin/back
            user: shop
            """, shown, StringComparison.Ordinal);
        Assert.Contains("migrations:                                  # agent.yaml of the release\n  directory: db/sql\n", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void Shows_the_store_of_restore_points()
    {
        directory.Write("apps.d/shop.yaml", "command: bin/shop\ndatabase: {restore_points: {store: /srv/store}}\n");
        Assert.Contains("  restore_points:\n    store: /srv/store\n    keep: 5\n    jobs: 1\n", Load().Effective(Shop, null), StringComparison.Ordinal);
    }

    [Fact]
    public void Shows_that_nothing_is_backed_up_or_migrated()
    {
        directory.Write("apps.d/shop.yaml", "database: {restore_points: none}\nmigrations: none\n");
        string shown = Load().Effective(Shop, "migrations: db/sql\n");
        Assert.Contains("  restore_points: none\n", shown, StringComparison.Ordinal);
        Assert.Contains("migrations: none                             # apps.d/shop.yaml\n", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_that_is_sent_may_be_a_secret()
    {
        directory.Write("apps.d/shop.yaml", "command: bin/shop\nchecks: [{http: 'http://a/', request_headers: {Authorization: Bearer sesame}}]\n");
        string shown = Load().Effective(Shop, null);
        Assert.Contains("Authorization: \"(not shown)\"", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void Says_that_nothing_says_what_to_run()
    {
        directory.Write("apps.d/shop.yaml", "");
        Assert.Contains("# nothing says what to run", Load().Effective(Shop, null), StringComparison.Ordinal);
    }

    [Fact]
    public void Says_that_the_secrets_cannot_be_used()
    {
        directory.Write("apps.d/shop.yaml", "secrets: /nonexistent/shop.env");
        Assert.Contains("# it cannot be used: see agentctl config check", Load().Effective(Shop, null), StringComparison.Ordinal);
    }

    [Fact]
    public void A_release_whose_file_is_wrong_is_refused()
    {
        directory.Write("apps.d/shop.yaml", "");
        Assert.Equal(ExitCode.Refused, Assert.Throws<OperatorException>(() => Load().Effective(Shop, "comand: x")).Code);
    }

    private ConfigurationFiles Load() => ConfigurationFiles.Load(directory.Path, new Disk());
}

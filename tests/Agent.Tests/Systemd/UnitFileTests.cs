using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Systemd;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Systemd;

public class UnitFileTests
{
    private static readonly UnitSource.Rendered s_shop = new(new UnitName("shop.service"), "bin/shop", null);

    private static readonly AppDefinition s_app = new(
        new AppName("shop"), new Dictionary<string, string>(), [], [], new GateOptions(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(10)));

    [Fact]
    public void A_command_becomes_a_unit()
    {
        string[] unit = Lines(s_shop with { Command = "bin/shop --title \"100% mine\" --port ${PORT}" });
        Assert.Contains("WorkingDirectory=/srv/shop/current", unit);
        Assert.Contains("ExecStart=/srv/shop/current/bin/shop --title \"100%% mine\" --port ${PORT}", unit);
        Assert.Contains("EnvironmentFile=/var/lib/agentd/env/shop", unit);
        Assert.Contains("ReadWritePaths=-/srv/shop/shared", unit);
        Assert.Contains("StateDirectory=shop", unit);
        foreach (string line in (string[])["Type=exec", "Restart=always", "RestartSec=1s", "TimeoutStopSec=30000ms", "WantedBy=multi-user.target"]) Assert.Contains(line, unit);
        Assert.DoesNotContain(unit, line => line.StartsWith("MemoryMax", StringComparison.Ordinal) || line.StartsWith("CPUQuota", StringComparison.Ordinal) || line.StartsWith("TasksMax", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(null, null, "shop", true)]
    [InlineData(null, "web", "web", true)]
    [InlineData("web", "web", "web", true)]
    [InlineData("worker", "web", "worker", false)]
    [InlineData("worker", null, "worker", false)]
    public void A_unit_runs_as_its_user_or_the_apps(string? units, string? apps, string user, bool ownsTheState)
    {
        string[] lines = Lines(s_shop with { User = units }, s_app with { User = apps });
        Assert.Contains($"User={user}", lines);
        Assert.Equal(ownsTheState, lines.Contains("StateDirectory=shop"));
        Assert.DoesNotContain(lines, line => line.StartsWith("DynamicUser", StringComparison.Ordinal));
    }

    [Fact]
    public void Limits_and_manners_of_a_unit_are_written()
    {
        string[] lines = Lines(s_shop with { Restart = "on-failure", Notify = true, Memory = 512L << 20, Cpu = 150, Tasks = 64, Stop = TimeSpan.FromSeconds(1.5) });
        foreach (string line in (string[])["Restart=on-failure", "RestartSec=1s", "Type=notify", "MemoryMax=536870912", "CPUQuota=150%", "TasksMax=64", "TimeoutStopSec=1500ms"]) Assert.Contains(line, lines);
        lines = Lines(s_shop with { Restart = "no" });
        Assert.Contains("Restart=no", lines);
        Assert.DoesNotContain("RestartSec=1s", lines);
        Assert.Throws<OperatorException>(() => Lines(s_shop with { Restart = "sometimes" }));
    }

    [Fact]
    public void A_schedule_becomes_a_timer_and_a_service()
    {
        var nightly = new UnitSource.Rendered(new UnitName("shop-tidy.timer"), "bin/tidy", null) { Schedule = "*-*-* 03:00" };
        IReadOnlyList<(string File, string Text)> files = UnitFile.Render(nightly, s_app, "/srv/shop", "/var/lib/agentd/env/shop");
        Assert.Equal(["shop-tidy.timer", "shop-tidy.service"], files.Select(file => file.File));
        Assert.Contains("\n[Timer]\nOnCalendar=*-*-* 03:00\n", files[0].Text, StringComparison.Ordinal);
        Assert.Contains("\nPersistent=yes\n", files[0].Text, StringComparison.Ordinal);
        Assert.EndsWith("\n[Install]\nWantedBy=timers.target\n", files[0].Text, StringComparison.Ordinal);
        Assert.Contains("\nType=oneshot\n", files[1].Text, StringComparison.Ordinal);
        Assert.DoesNotContain("[Install]", files[1].Text, StringComparison.Ordinal);
        Assert.DoesNotContain("Restart", files[1].Text, StringComparison.Ordinal);
        Assert.Throws<OperatorException>(() => Lines(s_shop with { Schedule = "daily" }));
        Assert.Throws<OperatorException>(() => UnitFile.Render(nightly with { Schedule = "daily\nUnit=other.service" }, s_app, "/srv/shop", "/e"));
    }

    [Fact]
    public void Secrets_come_after_the_environment_and_credentials_by_name()
    {
        AppDefinition app = s_app with { SecretsFile = "/etc/agentd/secrets.d/100%", Credentials = new Dictionary<string, string> { ["tls.key"] = "/etc/k%y", ["a"] = "/b:c" } };
        const string Expected = "EnvironmentFile=/var/lib/agentd/env/shop\nEnvironmentFile=/etc/agentd/secrets.d/100%%\nLoadCredential=a:/b:c\nLoadCredential=tls.key:/etc/k%%y\n";
        Assert.Contains(Expected, string.Join('\n', Lines(s_shop, app)), StringComparison.Ordinal);
        Assert.EndsWith("[Service]\n" + Expected, UnitFile.DropIn(app, "/var/lib/agentd/env/shop"), StringComparison.Ordinal);
        Assert.Throws<OperatorException>(() => UnitFile.DropIn(app with { Credentials = new Dictionary<string, string> { ["a b"] = "/c" } }, "/e"));
        Assert.Throws<OperatorException>(() => UnitFile.DropIn(app with { SecretsFile = "/a\nUser=root" }, "/e"));
    }

    [Theory]
    [InlineData("home", "ProtectHome=yes")]
    [InlineData("devices", "PrivateDevices=yes")]
    [InlineData("tmp", "PrivateTmp=yes")]
    [InlineData("writable-system", "ProtectSystem=strict")]
    [InlineData("namespaces", "RestrictNamespaces=yes")]
    [InlineData("realtime", "RestrictRealtime=yes")]
    [InlineData("privileges", "NoNewPrivileges=yes")]
    [InlineData("any-address-family", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK")]
    [InlineData("low-ports", "CapabilityBoundingSet=")]
    public void A_wall_that_is_left_out_is_not_there(string wall, string line)
    {
        Assert.Contains(line, Lines(s_shop));
        Assert.DoesNotContain(line, Lines(s_shop with { Allow = [wall] }));
        Assert.Contains("LockPersonality=yes", Lines(s_shop with { Allow = [.. ConfigurationKeys.Walls.Where(name => name != "privileges")] }));
    }

    // Source: systemd.exec(5), NoNewPrivileges=: these imply it for a service with User=.
    [Fact]
    public void Nothing_takes_the_privileges_back_that_are_allowed() =>
        Assert.DoesNotContain(Lines(s_shop with { Allow = ["privileges"] }), line => line.Split('=')[0] is "NoNewPrivileges" or "PrivateDevices" or "LockPersonality"
            or "SystemCallFilter" or "SystemCallArchitectures" or "ProtectClock" or "ProtectHostname" or "ProtectKernelLogs" or "ProtectKernelModules" or "ProtectKernelTunables"
            or "RestrictAddressFamilies" or "RestrictNamespaces" or "RestrictRealtime" or "RestrictSUIDSGID" or "MemoryDenyWriteExecute" or "DynamicUser");

    [Fact]
    public void What_a_wall_gives_way_to_is_written()
    {
        Assert.Contains("ReadWritePaths=-/srv/shop/shared -/home -/root -/run/user /tmp /var/tmp", Lines(s_shop with { Allow = ["tmp", "home"] }));
        Assert.Equal(["AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE"], Lines(s_shop with { Allow = ["low-ports"] }).Where(l => l.Contains("Capabilit", StringComparison.Ordinal)));
        OperatorException error = Assert.Throws<OperatorException>(() => Lines(s_shop with { Allow = ["hom"] }));
        Assert.Equal("allow names 'hom', which is no wall", error.Message);
    }

    [Fact]
    public void Every_setting_is_in_a_section_and_there_once()
    {
        string[] lines = [.. Lines(s_shop).Where(line => line.Length > 0 && line[0] is not ('#' or '['))];
        Assert.All(lines, line => Assert.Matches("^[A-Za-z]+=(.+)?$", line));
        Assert.Equal(lines.Length, lines.Select(line => line.Split('=')[0]).Distinct().Count());
    }

    [Theory]
    [InlineData("bin/shop\nUser=root", null)]
    [InlineData("bin/shop \\", null)]
    [InlineData("bin/shop", "web\nUser=root")]
    public void Nothing_can_add_a_setting(string command, string? user) => Assert.Throws<OperatorException>(() => Lines(s_shop with { Command = command, User = user }));

    [Fact]
    public void A_drop_in_names_the_environment() =>
        Assert.Contains("\n[Service]\nEnvironmentFile=/var/lib/agentd/100%%/shop\n", UnitFile.DropIn(s_app, "/var/lib/agentd/100%/shop"), StringComparison.Ordinal);

    [Fact]
    public void The_environment_is_sorted_and_quoted() =>
        Assert.EndsWith("\nA=\"\"\nB=\"\\\"\\\\\\$\\` # ;%\"\n", UnitFile.Environment(new Dictionary<string, string> { ["B"] = "\"\\$` # ;%", ["A"] = "" }), StringComparison.Ordinal);

    [Theory]
    [InlineData("A", "x\ny")]
    [InlineData("A", "x\0y")]
    [InlineData("A", "x\ry")]
    [InlineData("A B", "x")]
    [InlineData("A=B", "x")]
    [InlineData("", "x")]
    [InlineData("1A", "x")]
    public void Refuses_a_variable_that_cannot_be_written(string name, string value) =>
        Assert.Throws<OperatorException>(() => UnitFile.Environment(new Dictionary<string, string> { [name] = value }));

    [Fact]
    public void Every_environment_is_read_by_systemds_rules_as_it_was()
    {
        Gen<string> name = Gen.Elements("A", "b_1", "_X", "PATH", "Z9").Select(text => text);
        Gen<string> value = Gen.Elements([.. "\"\\$`'#;= \t%{}ab\u00e4\u2028\U0001F600\\\\\"\""]).ListOf().Select(list => string.Concat(list)).Where(IsText);
        Gen<Dictionary<string, string>> environment = name.SelectMany(n => value.Select(v => (n, v))).ListOf()
            .Select(pairs => pairs.DistinctBy(pair => pair.n).ToDictionary(pair => pair.n, pair => pair.v));
        Prop.ForAll(environment.ToArbitrary(), expected => Parse(UnitFile.Environment(expected)).OrderBy(pair => pair.Key).SequenceEqual(expected.OrderBy(pair => pair.Key)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    [Fact]
    public void Every_argument_reaches_the_unit_with_only_percent_doubled()
    {
        Gen<string> command = Gen.Elements([.. "ab %$;{}'\"\\"]).ListOf().Select(list => "bin/shop " + string.Concat(list)).Where(IsCommand);
        Prop.ForAll(command.ToArbitrary(), text =>
            {
                string line = Lines(s_shop with { Command = text }).Single(l => l.StartsWith("ExecStart=", StringComparison.Ordinal));
                return line["ExecStart=/srv/shop/current/".Length..].Replace("%%", "%", StringComparison.Ordinal) == text.Trim(' ')
                    && line.Replace("%%", "", StringComparison.Ordinal).All(c => c != '%');
            })
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    private static string[] Lines(UnitSource.Rendered unit, AppDefinition? app = null) =>
        Assert.Single(UnitFile.Render(unit, app ?? s_app, "/srv/shop", "/var/lib/agentd/env/shop")).Text.Split('\n');

    private static bool IsText(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) == text;

    private static bool IsCommand(string text)
    {
        try
        {
            return CommandLine.Check(text).Length > 0;
        }
        catch (OperatorException)
        {
            return false;
        }
    }

    /// <summary>The rules of systemd.exec(5), EnvironmentFile=, for lines of NAME="value": what this writes.</summary>
    private static Dictionary<string, string> Parse(string file)
    {
        var result = new Dictionary<string, string>();
        foreach (string line in file.Split('\n'))
        {
            if (line.Length == 0 || line[0] is '#' or ';') continue;
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            Assert.Equal('"', line[equals + 1]);
            var value = new StringBuilder();
            int i = equals + 2;
            for (; line[i] != '"'; i++)
            {
                if (line[i] == '\\' && line[i + 1] is '"' or '\\' or '`' or '$') i++;
                value.Append(line[i]);
            }
            Assert.Equal(line.Length - 1, i);
            result[line[..equals]] = value.ToString();
        }
        return result;
    }
}

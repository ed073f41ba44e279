using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Systemd;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Systemd;

public class UnitFileTests
{
    private static readonly AppName Shop = new("shop");

    [Fact]
    public void A_command_becomes_a_unit()
    {
        string[] unit = Render("bin/shop --title \"100% mine\" --port ${PORT}", user: null).Split('\n');
        Assert.Contains("WorkingDirectory=/srv/shop/current", unit);
        Assert.Contains("ExecStart=/srv/shop/current/bin/shop --title \"100%% mine\" --port ${PORT}", unit);
        Assert.Contains("DynamicUser=yes", unit);
        Assert.Contains("EnvironmentFile=/var/lib/agentd/env/shop", unit);
        Assert.Contains("ReadWritePaths=-/srv/shop/shared", unit);
        Assert.Contains("WantedBy=multi-user.target", unit);
    }

    [Fact]
    public void A_user_takes_the_place_of_the_dynamic_one()
    {
        string unit = Render("bin/shop", user: "web");
        Assert.Contains("\nUser=web\n", unit, StringComparison.Ordinal);
        Assert.DoesNotContain("DynamicUser", unit, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_setting_is_in_a_section_and_there_once()
    {
        string[] lines = [.. Render("bin/shop", user: null).Split('\n').Where(line => line.Length > 0 && line[0] is not ('#' or '['))];
        Assert.All(lines, line => Assert.Matches("^[A-Za-z]+=.+$", line));
        Assert.Equal(lines.Length, lines.Select(line => line.Split('=')[0]).Distinct().Count());
    }

    [Theory]
    [InlineData("bin/shop\nUser=root", null)]
    [InlineData("bin/shop \\", null)]
    [InlineData("bin/shop", "web\nUser=root")]
    public void Nothing_can_add_a_setting(string command, string? user) => Assert.Throws<OperatorException>(() => Render(command, user));

    [Fact]
    public void A_drop_in_names_the_environment() =>
        Assert.Contains("\n[Service]\nEnvironmentFile=/var/lib/agentd/100%%/shop\n", UnitFile.DropIn("/var/lib/agentd/100%/shop"), StringComparison.Ordinal);

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
                string line = Render(text, user: null).Split('\n').Single(l => l.StartsWith("ExecStart=", StringComparison.Ordinal));
                return line["ExecStart=/srv/shop/current/".Length..].Replace("%%", "%", StringComparison.Ordinal) == text.Trim(' ')
                    && line.Replace("%%", "", StringComparison.Ordinal).All(c => c != '%');
            })
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    private static string Render(string command, string? user) =>
        UnitFile.Render(new UnitSource.Rendered(new UnitName("shop.service"), command, user), Shop, "/srv/shop", "/var/lib/agentd/env/shop");

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

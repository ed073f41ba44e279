using Agent.Artifacts;
using Agent.Daemon.Configuration;

namespace Agent.Tests.Configuration;

public class CheckFileTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1), TwoSeconds = TimeSpan.FromSeconds(2);

    [Fact]
    public void Reads_every_kind()
    {
        Assert.Equal<CheckOptions>(
            [
                new CheckOptions.Tcp("tcp [::1]:80", "::1", 80, Second, TwoSeconds, 1, 3),
                new CheckOptions.UnixSocket("socket /run/shop.sock", "/run/shop.sock", Second, TwoSeconds, 1, 3),
                new CheckOptions.Command("command bin/check --quick", "bin/check --quick", TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(5), 2, 4),
                new CheckOptions.UnitActive("database", new UnitName("postgresql.service"), Second, TwoSeconds, 1, 3),
            ],
            Read("""
                checks:
                  - tcp: "[::1]:80"
                  - socket: /run/shop.sock
                  - {command: bin/check --quick, interval: 10s, timeout: 5s, healthy: 2, unhealthy: 4}
                  - {unit: postgresql.service, name: database}
                """));
    }

    [Fact]
    public void Reads_all_that_http_may_ask_and_expect()
    {
        var check = Assert.IsType<CheckOptions.Http>(Assert.Single(Read("""
            checks:
              - http: http://shop/up
                socket: /run/shop/web.sock
                status: 200
                body: '"ok"'
                headers: {Content-Type: application/json}
                request_headers: {Authorization: Bearer x, Accept: "*/*"}
            """)));
        Assert.Equal(("http /up", "/run/shop/web.sock", 200, "\"ok\""), (check.Name, check.Socket, check.Status, check.Body));
        Assert.Equal("application/json", Assert.Single(check.Headers!, header => header.Key == "Content-Type").Value);
        Assert.Equal(["Accept", "Authorization"], check.RequestHeaders!.Keys.Order());
    }

    [Fact]
    public void An_operator_may_check_by_a_program_of_the_host() =>
        Assert.Equal("/usr/bin/true", Assert.IsType<CheckOptions.Command>(Assert.Single(Read("checks: [{command: /usr/bin/true}]"))).Line);

    [Fact]
    public void A_release_may_not() =>
        Assert.Contains("checks[0].command is wrong: /usr/bin/true is not inside the release", Wrong("checks: [{command: /usr/bin/true}]", operators: false), StringComparison.Ordinal);

    [Fact]
    public void A_long_command_makes_a_short_name() =>
        Assert.Equal(100, Assert.Single(Read($"checks: [{{command: bin/check {new string('x', 200)}}}]")).Name.Length);

    [Theory]
    [InlineData("{status: 200}", "checks[0].http is missing, and so are tcp, socket, command and unit")]
    [InlineData("{tcp: 'a:1', socket: /x}", "checks[0].socket is here besides tcp")]
    [InlineData("{http: 'http://a/', unit: a.service}", "checks[0].unit is here besides http")]
    [InlineData("{http: 'http://a/', socket: x}", "checks[0].socket is 'x'; write the absolute path of a Unix socket, 107 bytes at most")]
    [InlineData("{socket: /run/../x}", "checks[0].socket is '/run/../x'")]
    [InlineData("{command: ''}", "checks[0].command is wrong: the command is empty")]
    [InlineData("{unit: a}", "checks[0].unit is wrong: 'a' is not a unit name")]
    [InlineData("{unit: a.service, body: x}", "checks[0].body is only for http")]
    [InlineData("{socket: /x, headers: {A: b}}", "checks[0].headers is only for http")]
    [InlineData("{command: bin/x, request_headers: {A: b}}", "checks[0].request_headers is only for http")]
    [InlineData("{http: 'http://a/', body: ''}", "checks[0].body is not a text to look for")]
    [InlineData("{http: 'http://a/', headers: [A]}", "checks[0].headers is not a map")]
    [InlineData("{http: 'http://a/', headers: {'A b': c}}", "checks[0].headers.A b is not a header's name")]
    [InlineData("{http: 'http://a/', headers: {A: \"b\\r\\nC: d\"}}", "checks[0].headers.A is not a header's value")]
    [InlineData("{http: 'http://a/', request_headers: {A: }}", "checks[0].request_headers.A is not a header's value")]
    [InlineData("{http: 'http://a/', request_headers: {A: b, a: c}}", "checks[0].request_headers.a is here once more, in other letters")]
    public void Refuses(string check, string problem) => Assert.Contains(problem, Wrong($"checks: [{check}]", operators: true), StringComparison.Ordinal);

    private static string Wrong(string yaml, bool operators) => Assert.Throws<OperatorException>(() => Read(yaml, operators)).Message;

    private static IReadOnlyList<CheckOptions> Read(string yaml, bool operators = true)
    {
        var problems = new Problems();
        IReadOnlyList<CheckOptions>? checks = CheckFile.Read(new Section(problems, "file", "", Yaml.Read("file", yaml, problems)!, ["checks"]), operators);
        problems.ThrowIfAny(ExitCode.Usage, "");
        return checks!;
    }
}

using System.Diagnostics;
using System.Runtime.CompilerServices;
using Agent.Cli;
using Agent.Cli.Rendering;

namespace Agent.Tests.Cli.Hosts;

public sealed class CompletionTests(FakeFleet fleet) : IClassFixture<FakeFleet>
{
    [Theory]
    [InlineData("agentctl sta", "status")]
    [InlineData("agentctl ho", "hold host hosts")]
    [InlineData("agentctl db m", "migrations")]
    [InlineData("agentctl comp", "completion")]                        // not what is for the scripts alone
    [InlineData("agentctl deploy --fo", "--force")]
    [InlineData("agentctl deploy --force --fo", "")]                   // said already
    [InlineData("agentctl status --output ", "json text")]
    [InlineData("agentctl status -o j", "json")]
    [InlineData("agentctl status --host web", "web web1 web2 web3")]
    [InlineData("agentctl status --host=web1,d", "--host=web1,db1")]
    [InlineData("agentctl status --host prod,-web1,!web", "prod,-web1,!web prod,-web1,!web1 prod,-web1,!web2 prod,-web1,!web3")]
    [InlineData("agentctl status --host a", "all alone")]
    [InlineData("agentctl status --host web1 --app", "--app")]
    [InlineData("agentctl hosts ", "add check remove")]
    [InlineData("agentctl hosts remove d", "db1")]
    [InlineData("agentctl completion ", "bash fish zsh")]
    [InlineData("agentctl publish --store ", "")]                      // the shell's own: files
    [InlineData("agentctl db shell -- -", "")]
    [InlineData("agentctl frobnicate x", "")]
    [InlineData("agentctl", "")]
    [InlineData("", "")]
    public async Task Offers_what_could_stand_there(string line, string words)
    {
        (int exit, string text) = await fleet.RunAsync("complete", "--", line);
        Assert.Equal((0, words), (exit, string.Join(' ', text.Split('\n', StringSplitOptions.RemoveEmptyEntries))));
    }

    [Fact]
    public async Task The_cursor_may_stand_within_the_line() => Assert.Equal((0, "status\n"), await fleet.RunAsync("complete", "--position", "12", "--", "agentctl sta --host web1"));

    [Fact]
    public async Task Files_that_are_wrong_are_no_matter()
    {
        fleet.Write("broken/hosts.yaml", "hosts: [");
        using var text = new StringWriter { NewLine = "\n" };
        var place = fleet.Workplace with { Configuration = Path.Combine(fleet.Home, "broken") };
        Assert.Equal(0, await AgentCtl.RunAsync(["complete", "--", "agentctl status --host "], Terminal.Plain(text, text), TimeProvider.System, TestContext.Current.CancellationToken, place));
        Assert.Equal("local\n", text.ToString());
    }

    [Theory]
    [InlineData("bash", "bash-completion/completions/agentctl")]
    [InlineData("zsh", "zsh/vendor-completions/_agentctl")]
    [InlineData("fish", "fish/vendor_completions.d/agentctl.fish")]
    public async Task The_script_is_what_packages_install(string shell, string file) =>
        Assert.Equal((0, await File.ReadAllTextAsync(Path.Combine(Share(), file), TestContext.Current.CancellationToken)), await fleet.RunAsync("completion", shell));

    [Theory]
    [InlineData("agentctl sta", "status")]
    [InlineData("agentctl status --host prod,-w", "prod,-web prod,-web1 prod,-web2 prod,-web3")]
    [InlineData("agentctl status --host=w", "web web1 web2 web3")]     // bash breaks words at =
    public async Task Bash_completes(string line, string words)
    {
        string directory = Path.Combine(fleet.Home, "bin");
        File.SetUnixFileMode(fleet.Write("bin/agentctl", $"#!/bin/sh\nXDG_CONFIG_HOME='{fleet.Home}/config' exec '{Environment.ProcessPath}' '{typeof(AgentCtl).Assembly.Location}' \"$@\"\n"),
            UnixFileMode.UserRead | UnixFileMode.UserExecute);
        // As readline would: words are broken at white space, : and =.
        const string script = """
            source "$1"
            COMP_LINE=$2 COMP_POINT=${#2}
            mapfile -t COMP_WORDS < <(printf '%s' "$2" | sed -E 's/([:=])/ \1 /g' | tr -s ' ' '\n')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _agentctl
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        var start = new ProcessStartInfo("bash", ["-c", script, "bash", Path.Combine(Share(), "bash-completion/completions/agentctl"), line]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{directory}:{start.Environment["PATH"]}";
        using Process bash = Process.Start(start)!;
        string output = await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string errors = await bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((words, ""), (string.Join(' ', output.Split('\n', StringSplitOptions.RemoveEmptyEntries)), errors));
    }

    private static string Share([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../../packaging/root/usr/share"));
}

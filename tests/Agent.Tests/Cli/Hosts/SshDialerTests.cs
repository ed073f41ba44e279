using System.Diagnostics;
using System.Globalization;
using System.Text;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Tests.Protos;
using Agent.V1;

namespace Agent.Tests.Cli.Hosts;

public sealed class SshDialerTests(FakeHost host) : IClassFixture<FakeHost>
{
    private const string Hello = "printf 'agentctl-dial-stdio 1\\n'";

    private static readonly HostAddress.Ssh Web1 = new("deploy", "web1", 2222);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_goes_through_it()
    {
        using var ssh = new FakeSsh($"echo 'Welcome!'; printf noise; echo banner >&2\n{FakeSsh.DialStdio(host.Socket)}");
        using (AgentConnection agent = Connect(ssh))
        {
            GetStatusResponse status = await agent.AskAsync((client, options) => client.GetStatusAsync(new GetStatusRequest { App = "shop" }, options), Cancel);
            Assert.Equal("shop", Assert.Single(status.Apps).App);
        }
        Assert.Equal(["-oBatchMode=yes", "-l", "deploy", "-p", "2222", "--", "web1", "agentctl dial-stdio"], ssh.Arguments[^8..]);
        await AssertEndsAsync(Assert.Single(ssh.Runs));
    }

    [Fact]
    public async Task An_agent_that_is_not_there_is_told_by_the_other_end()
    {
        using var ssh = new FakeSsh(FakeSsh.DialStdio(host.DeadSocket));
        OperatorException told = await FailsAsync(ssh);
        Assert.Equal(ExitCode.Unreachable, told.Code);
        Assert.Equal($"agentd does not run: nothing listens at {host.DeadSocket}", told.Message);
        Assert.StartsWith("there: sudo systemctl start agentd", told.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("echo '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >&2; echo 'Host key verification failed.' >&2; exit 255", 5, "it shows another host key than the one that ssh knows: either it was installed anew, or somebody else answers in its place", "ssh-keygen -R '[web1]:2222'")]
    [InlineData("echo 'Host key verification failed.' >&2; exit 255", 5, "ssh does not know its host key yet", "ssh -p 2222 deploy@web1, compare")]
    [InlineData("echo 'deploy@web1: Permission denied (publickey).' >&2; exit 255", 5, "it does not let you in: deploy@web1: Permission denied (publickey)", "ssh-add -l")]
    [InlineData("echo 'ssh: Could not resolve hostname web1: Name or service not known' >&2; exit 255", 4, "nobody knows its address: ssh: Could not resolve hostname web1: Name or service not known", "~/.ssh/config")]
    [InlineData("echo 'ssh: connect to host web1 port 22: Connection refused' >&2; exit 255", 4, "nothing there answers to ssh: ssh: connect to host web1 port 22: Connection refused", "sshd")]
    [InlineData("echo 'ssh: connect to host web1 port 22: Connection timed out' >&2; exit 255", 4, "it cannot be reached: ssh: connect to host web1 port 22: Connection timed out", "it is up")]
    [InlineData("printf 'channel 0: open failed: connect failed: No route to host\\r\\nstdio forwarding failed\\r\\nkex_exchange_identification: Connection closed by remote host\\r\\n' >&2; exit 255", 4, "it cannot be reached: channel 0: open failed: connect failed: No route to host", "it is up")]
    [InlineData("echo 'command-line: line 0: Bad configuration option: x' >&2; exit 255", 4, "ssh failed: command-line: line 0: Bad configuration option: x", "-v")]
    [InlineData("echo 'bash: line 1: agentctl: command not found' >&2; exit 127", 4, "there is no agentctl there that ssh finds", "agentctl host bootstrap ssh://deploy@web1:2222 --package")]
    [InlineData("echo \"error: there is no command 'agentctl dial-stdio'\" >&2; exit 2", 4, "agentctl there is too old to be asked over ssh", "upgrade it")]
    [InlineData("echo 'This account is currently not available.'; exit 1", 4, "agentctl there ended with exit status 1", "ssh -p 2222 deploy@web1")]
    [InlineData("echo 'agentctl-dial-stdio: {\"error\":\"you may not talk to agentd\",\"fix\":\"join\",\"exit_code\":5}' >&2; exit 5", 5, "you may not talk to agentd", "there: sudo usermod -aG agentd USER")]
    [InlineData("printf 'agentctl-dial-stdio: {\"error\":\"a\\\\u001b[31mb\\\\nc\",\"fix\":\"d\",\"exit_code\":0}\\n' >&2; exit 0", 4, "a?[31mb?c", "there: d")]
    [InlineData("echo 'agentctl-dial-stdio: {\"error\":7}' >&2; exit 4", 4, "agentctl there ended with exit status 4: agentctl-dial-stdio: {\"error\":7}", "ssh -p 2222 deploy@web1")]
    [InlineData("head -c 80000 /dev/zero; sleep 60", 4, "the shell there prints without end before a command runs", "start files")]
    public async Task What_went_wrong_is_told_with_what_to_do(string script, int exit, string what, string remedy)
    {
        using var ssh = new FakeSsh(script);
        OperatorException told = await FailsAsync(ssh);
        Assert.Equal(((ExitCode)exit, what), (told.Code, told.Message));
        Assert.Contains(remedy, told.Remedy, StringComparison.Ordinal);
        await AssertEndsAsync(Assert.Single(ssh.Runs));
    }

    [Fact]
    public async Task A_handshake_that_was_dropped_is_tried_again()
    {
        using var ssh = new FakeSsh("""
            if [ "$(wc -l <DIRECTORY/runs)" -lt 3 ]; then echo 'kex_exchange_identification: read: Connection reset by peer' >&2; exit 255; fi
            printf 'agentctl-dial-stdio 1\nfirst'; cat
            """);
        using var dialer = new SshDialer(Web1, mayAsk: false, TimeProvider.System, ssh.Program);
        await using Stream stream = await dialer.ConnectAsync(Cancel);
        await stream.WriteAsync("second"u8.ToArray(), Cancel);
        var heard = new byte[11];
        await stream.ReadExactlyAsync(heard, Cancel);
        Assert.Equal("firstsecond", Encoding.ASCII.GetString(heard));
        Assert.Equal(3, ssh.Runs.Length);
    }

    [Fact]
    public async Task A_handshake_that_is_dropped_again_and_again_is_told()
    {
        using var ssh = new FakeSsh("echo 'Connection closed by 192.0.2.7 port 22' >&2; exit 255");
        OperatorException told = await FailsAsync(ssh);
        Assert.Equal(ExitCode.Unreachable, told.Code);
        Assert.Equal("the connection was dropped before ssh had logged in: Connection closed by 192.0.2.7 port 22", told.Message);
        Assert.Contains("MaxStartups", told.Remedy, StringComparison.Ordinal);
        Assert.Equal(4, ssh.Runs.Length);
    }

    [Fact]
    public async Task Not_more_than_eight_handshakes_are_under_way_at_once()
    {
        using var ssh = new FakeSsh($$"""
            mkdir "DIRECTORY/at.$$"
            ls -d DIRECTORY/at.* | wc -l >>DIRECTORY/most
            sleep 0.2
            rmdir "DIRECTORY/at.$$"
            {{Hello}}
            cat
            """);
        SshDialer[] dialers = [.. Enumerable.Range(0, 20).Select(_ => new SshDialer(Web1, mayAsk: false, TimeProvider.System, ssh.Program))];
        await Task.WhenAll(dialers.Select(async dialer => await dialer.ConnectAsync(Cancel)));
        foreach (SshDialer dialer in dialers) dialer.Dispose();
        int most = File.ReadAllLines(Path.Combine(Path.GetDirectoryName(ssh.Program)!, "most")).Max(line => int.Parse(line, CultureInfo.InvariantCulture));
        Assert.InRange(most, 1, 8);
        foreach (int run in ssh.Runs) await AssertEndsAsync(run);
    }

    [Fact]
    public async Task One_that_does_not_end_by_itself_is_ended()
    {
        using var ssh = new FakeSsh($"{Hello}; exec sleep 600");
        using (var dialer = new SshDialer(Web1, mayAsk: false, TimeProvider.System, ssh.Program)) await dialer.ConnectAsync(Cancel);
        await AssertEndsAsync(Assert.Single(ssh.Runs));
    }

    [Fact]
    public async Task Ctrl_c_is_held_back_from_it()
    {
        using var ssh = new FakeSsh($"{Hello}; exec cat");
        using var dialer = new SshDialer(Web1, mayAsk: false, TimeProvider.System, ssh.Program);
        await dialer.ConnectAsync(Cancel);
        string blocked = File.ReadLines($"/proc/{ssh.Runs[0]}/status").Single(line => line.StartsWith("SigBlk:", StringComparison.Ordinal));
        Assert.Equal(1UL << 1, ulong.Parse(blocked.Split('\t')[1], NumberStyles.HexNumber) & (1UL << 1));
        string own = File.ReadLines("/proc/thread-self/status").Single(line => line.StartsWith("SigBlk:", StringComparison.Ordinal));
        Assert.Equal(0UL, ulong.Parse(own.Split('\t')[1], NumberStyles.HexNumber) & (1UL << 1));
    }

    [Fact]
    public async Task Where_there_is_no_ssh_it_says_so()
    {
        using var dialer = new SshDialer(Web1, mayAsk: false, TimeProvider.System, "/nonexistent/ssh");
        OperatorException told = await Assert.ThrowsAsync<OperatorException>(async () => await dialer.ConnectAsync(Cancel));
        Assert.Equal(ExitCode.Unreachable, told.Code);
        Assert.Contains("openssh-client", told.Remedy, StringComparison.Ordinal);
    }

    private static AgentConnection Connect(FakeSsh ssh) =>
        new(new HostEntry("web1", Web1), new SshDialer(Web1, mayAsk: false, TimeProvider.System, ssh.Program), TimeProvider.System);

    private static async Task<OperatorException> FailsAsync(FakeSsh ssh)
    {
        using AgentConnection agent = Connect(ssh);
        return await Assert.ThrowsAsync<OperatorException>(() => agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), Cancel));
    }

    private static Task AssertEndsAsync(int process) => Eventually.HoldsAsync(() =>
    {
        try
        {
            using Process running = Process.GetProcessById(process);
            return running.HasExited;
        }
        catch (ArgumentException)
        {
            return true;
        }
    });
}

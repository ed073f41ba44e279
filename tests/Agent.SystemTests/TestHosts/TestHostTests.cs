using System.Text;
using Agent.TestHosts;

namespace Agent.SystemTests.TestHosts;

public sealed class TestHostTests(HostFixture fixture) : SystemTest, IClassFixture<HostFixture>
{
    [Fact]
    public async Task Boots_to_running_with_a_bus_and_a_journal()
    {
        TestHost host = await fixture.HostAsync();
        Assert.Equal("running\n", (await host.RunAsync(["systemctl", "is-system-running"], Cancel)).Output);
        Assert.Equal("systemd\n", (await host.RunAsync(["cat", "/proc/1/comm"], Cancel)).Succeeded());
        Assert.Contains("org.freedesktop.systemd1", (await host.RunAsync(["busctl", "list", "--no-pager"], Cancel)).Succeeded(), StringComparison.Ordinal);
        (await host.ShellAsync("echo a-line-of-the-test | systemd-cat --identifier=a-test && journalctl --sync", Cancel)).Succeeded();
        Assert.Equal("a-line-of-the-test\n", (await host.RunAsync(["journalctl", "--identifier=a-test", "--output=cat"], Cancel)).Succeeded());
    }

    [Fact]
    public async Task Starts_nothing_that_the_machine_has_enabled()
    {
        TestHost host = await fixture.HostAsync();
        string enabled = (await host.RunAsync(["find", "/etc/systemd/system", "-name", "*.wants"], Cancel)).Succeeded();
        Assert.Equal("", enabled);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(200)]
    public async Task Hands_back_the_exit_status_of_a_command(int status)
    {
        TestHost host = await fixture.HostAsync();
        Assert.Equal(status, (await host.RunAsync(["sh", "-c", $"exit {status}"], Cancel)).Exit);
    }

    [Fact]
    public async Task Hands_on_input_and_environment_and_keeps_the_outputs_apart()
    {
        TestHost host = await fixture.HostAsync();
        CommandResult result = await host.RunAsync(
            ["sh", "-c", "cat; echo \"$WORD\" >&2"], Encoding.UTF8.GetBytes("in"), new Dictionary<string, string> { ["WORD"] = "env" }, TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal(("in", "env\n"), (result.Output, result.Errors));
    }

    [Fact]
    public async Task Ends_a_command_that_takes_too_long()
    {
        TestHost host = await fixture.HostAsync();
        await Assert.ThrowsAsync<TimeoutException>(() => host.RunAsync(["sleep", "3133"], null, null, TimeSpan.FromMilliseconds(300), Cancel));
        await WaitUntilAsync("sleep is gone", async () => (await host.RunAsync(["pgrep", "--full", "^sleep 3133$"], Cancel)).Exit == 1);
    }

    [Fact]
    public async Task Streams_lines_while_the_command_runs()
    {
        TestHost host = await fixture.HostAsync();
        await using HostProcess process = host.Start(["sh", "-c", "echo ready; read line; echo got $line; exit 3"]);
        await using IAsyncEnumerator<string> lines = process.LinesAsync(Cancel).GetAsyncEnumerator(Cancel);
        Assert.True(await lines.MoveNextAsync());
        Assert.Equal("ready", lines.Current);
        await process.Input.WriteLineAsync("it");
        await process.Input.FlushAsync(Cancel);
        Assert.True(await lines.MoveNextAsync());
        Assert.Equal("got it", lines.Current);
        Assert.Equal(3, await process.WaitAsync(Cancel));
    }

    [Fact]
    public async Task Copies_trees_in_and_out_with_their_modes()
    {
        TestHost host = await fixture.HostAsync();
        DirectoryInfo here = Directory.CreateTempSubdirectory("testhost-");
        try
        {
            const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserExecute;
            string program = Path.Combine(here.CreateSubdirectory("in/bin").FullName, "run");
            File.WriteAllText(program, "#!/bin/sh\necho ran\n");
            File.SetUnixFileMode(program, Executable);
            await host.CopyInAsync(Path.Combine(here.FullName, "in"), "/opt/a tree", Cancel);
            Assert.Equal("ran\n", (await host.RunAsync(["/opt/a tree/bin/run"], Cancel)).Succeeded());

            await host.CopyInAsync(program, "/opt/one", Cancel);
            Assert.Equal("ran\n", (await host.RunAsync(["/opt/one"], Cancel)).Succeeded());

            await host.CopyOutAsync("/opt/a tree", Path.Combine(here.FullName, "out"), Cancel);
            await host.CopyOutAsync("/opt/one", Path.Combine(here.FullName, "out/one"), Cancel);
            Assert.Equal(Executable, File.GetUnixFileMode(Path.Combine(here.FullName, "out/bin/run")));
            Assert.Equal(File.ReadAllText(program), File.ReadAllText(Path.Combine(here.FullName, "out/one")));
        }
        finally
        {
            here.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Keeps_what_it_does_away_from_the_machine()
    {
        TestHost host = await fixture.HostAsync();
        string[] places = ["/etc", "/root", "/srv", "/usr/bin", "/tmp", "/run"];
        (await host.ShellAsync(string.Join(" && ", places.Select(p => $"touch {p}/made-by-{host.Id}")), Cancel)).Succeeded();
        Assert.DoesNotContain(places, p => File.Exists($"{p}/made-by-{host.Id}"));
        Assert.Equal(1, (await host.RunAsync(["test", "-w", "/proc/sys/kernel/panic"], Cancel)).Exit);

        // capabilities(7): 16 module, 17 raw I/O, 25 clock, 27 device nodes.
        string[] sets = (await host.ShellAsync("sed -n 's/^CapBnd:\t//p' /proc/1/status /proc/self/status", Cancel)).Succeeded().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, sets.Length);
        Assert.All(sets, set => Assert.Equal(0UL, Convert.ToUInt64(set, 16) & (1UL << 16 | 1UL << 17 | 1UL << 25 | 1UL << 27)));
    }

    [Fact]
    public async Task Finds_its_disk_again_after_a_power_cut()
    {
        await using TestHost host = await UpAsync("cut");
        string machine = (await host.RunAsync(["cat", "/etc/machine-id"], Cancel)).Succeeded();
        (await host.ShellAsync("echo kept > /srv/file; echo lost > /tmp/file; systemd-run --unit=worker sleep 3600", Cancel)).Succeeded();
        string boot = (await host.ShellAsync("systemctl show --property=UserspaceTimestampMonotonic", Cancel)).Succeeded();

        await host.PowerCutAsync(Cancel);
        Assert.False(host.IsRunning);
        await Assert.ThrowsAsync<TestHostException>(() => host.RunAsync(["true"], Cancel));

        await host.BootAsync(Cancel);
        Assert.Equal("kept\n", (await host.RunAsync(["cat", "/srv/file"], Cancel)).Succeeded());
        Assert.Equal(machine, (await host.RunAsync(["cat", "/etc/machine-id"], Cancel)).Succeeded());
        Assert.NotEqual(boot, (await host.ShellAsync("systemctl show --property=UserspaceTimestampMonotonic", Cancel)).Succeeded());
        Assert.NotEqual(0, (await host.RunAsync(["test", "-e", "/tmp/file"], Cancel)).Exit);
        Assert.NotEqual(0, (await host.RunAsync(["systemctl", "is-active", "worker"], Cancel)).Exit);
    }
}

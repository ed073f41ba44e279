using System.Diagnostics;
using System.Globalization;
using Agent.TestHosts;

namespace Agent.SystemTests.TestHosts;

public sealed class LeftoverTests : SystemTest
{
    [Fact]
    public async Task Leaves_nothing_behind_after_down()
    {
        TestHost host = await UpAsync("down", new TestHostOptions { Network = "down" });
        int init = host.Init;
        Assert.NotEmpty(TracesOf(host.Id, "down"));
        await host.DownAsync();
        Assert.Empty(TracesOf(host.Id, "down"));
        await WaitUntilAsync("the machine has buried its PID 1", () => Task.FromResult(!Directory.Exists($"/proc/{init}")));
        await host.DownAsync();
    }

    [Fact]
    public async Task Leaves_nothing_behind_when_its_boot_fails()
    {
        SkipWhereNoHostsRun();
        var impossible = new TestHostOptions { Network = "no-boot", Binds = [new Bind("/no/such/directory", "/mnt", Writable: false)] };
        TestHostException e = await Assert.ThrowsAsync<TestHostException>(() => TestHost.UpAsync("no-boot", impossible, Cancel));
        Assert.Contains("/no/such/directory", e.Message, StringComparison.Ordinal);
        Assert.Empty(TracesOf($"no-boot.{Environment.ProcessId}", "no-boot"));
    }

    [Fact]
    public async Task Is_gone_when_its_owner_is_killed()
    {
        using Process owner = await StartOwnerAsync("orphan");
        string id = $"orphan.{owner.Id}";
        Assert.NotEmpty(TracesOf(id, "orphan", owner.Id));
        owner.Kill();
        await WaitUntilAsync("nothing of it is left", () => Task.FromResult(TracesOf(id, "orphan", owner.Id) is []));
    }

    [Fact]
    public async Task Is_removed_by_the_next_start_when_its_owner_and_its_janitor_were_killed()
    {
        using Process owner = await StartOwnerAsync("wreck");
        string id = $"wreck.{owner.Id}";
        using (Process janitor = Process.GetProcessById(JanitorOf(id))) janitor.Kill();
        owner.Kill();
        await owner.WaitForExitAsync(Cancel);
        Assert.NotEmpty(TracesOf(id, "wreck", owner.Id));

        await using TestHost next = await UpAsync("next");
        Assert.Empty(TracesOf(id, "wreck", owner.Id));
        Assert.True(next.IsRunning);
    }

    [Fact]
    public async Task Refuses_a_name_that_is_taken()
    {
        await using TestHost host = await UpAsync("twice");
        TestHostException e = await Assert.ThrowsAsync<TestHostException>(() => UpAsync("twice"));
        Assert.Contains(host.Id, e.Message, StringComparison.Ordinal);
        Assert.True(host.IsRunning);
    }

    /// <summary>A process of its own with a host of its own that is up.</summary>
    private static async Task<Process> StartOwnerAsync(string name)
    {
        SkipWhereNoHostsRun();
        var start = new ProcessStartInfo("dotnet", ["exec", typeof(TestHost).Assembly.Location, "up", name, "--attached", "--network", name])
        {
            RedirectStandardOutput = true,
        };
        Process owner = Process.Start(start)!;
        Assert.Equal($"{name}.{owner.Id}", await owner.StandardOutput.ReadLineAsync(Cancel));
        return owner;
    }

    private static int JanitorOf(string id) => Processes().Single(p => p.Arguments.Contains("janitor.sh", StringComparison.Ordinal) && p.Arguments.Contains($"\0{id}\0", StringComparison.Ordinal)).Pid;

    /// <summary>Directories, cgroups, mounts and processes that are of this host or of its network.</summary>
    private static IReadOnlyList<string> TracesOf(string id, string network, int? owner = null)
    {
        string[] paths =
        [
            Path.Combine(HostFiles.Hosts, id), Path.Combine(HostFiles.Hosts, $".new-{id}"),
            Path.Combine(Machine.Cgroups, id), Path.Combine(Machine.Cgroups, $"@{network}.{owner ?? Environment.ProcessId}"),
        ];
        return
        [
            .. paths.Where(Path.Exists),
            .. File.ReadLines("/proc/self/mountinfo").Where(l => l.Contains($"/{id}/", StringComparison.Ordinal)),
            .. Processes().Where(p => p.Arguments.Contains($"/{id}\0", StringComparison.Ordinal) || p.Arguments.Contains($"\0{id}\0", StringComparison.Ordinal)).Select(p => p.Arguments),
        ];
    }

    private static IEnumerable<(int Pid, string Arguments)> Processes()
    {
        foreach (string directory in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out int pid)) continue;
            string arguments;
            try
            {
                arguments = File.ReadAllText($"{directory}/cmdline");
            }
            catch (IOException)
            {
                continue;
            }
            yield return (pid, arguments);
        }
    }
}

using System.Diagnostics;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Systemd;
using Microsoft.Extensions.Logging.Abstractions;

namespace Agent.SystemTests.Systemd;

/// <summary>Commands and users; run by <see cref="SupervisorTests"/> inside of a throwaway host.</summary>
public sealed class CommandsInside : IDisposable
{
    private static readonly UnitName s_unit = new("shop-hook.service");

    private readonly CancellationToken limit = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;
    private readonly Supervisor supervisor = new(TimeProvider.System, NullLogger<Supervisor>.Instance);
    private readonly List<string> told = [];

    // Each test leaves nothing: not even the unit.
    public void Dispose()
    {
        supervisor.Dispose();
        Assert.Equal("not-found", Shell($"systemctl show -P LoadState {s_unit}").Trim());
        Assert.DoesNotContain("shop-hook", Shell("systemctl list-units --all --plain --no-legend; ls /run/systemd/transient"), StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Runs_a_command_and_takes_its_output()
    {
        CommandEnd end = await RunAsync("echo one; echo two >&2; echo three > /dev/stderr; printf 'four\\033[1m'");
        Assert.Equal((true, ""), (end.Succeeded, end.Cause));
        Assert.Equal(["one", "two", "three", "four[1m"], end.Output);
        Assert.Equal(end.Output, told);
    }

    [Fact(Explicit = true)]
    public async Task Arguments_arrive_as_they_are()
    {
        string[] odd = ["$HOME", "${HOME}", "100%", "%n", "a b", "\"q\" 'r'", "\\x41", ";", "", "\u00e4\u20ac", "-", "@", "!"];
        CommandEnd end = await supervisor.RunAsync(Command("") with { Arguments = ["/usr/bin/printf", "<%s>\\n", .. odd] }, told.Add, limit);
        Assert.Equal(odd.Select(text => $"<{text}>"), end.Output);
    }

    [Fact(Explicit = true)]
    public async Task User_directory_environment_and_limits_are_right()
    {
        File.WriteAllText("/run/hook.env", "SECRET=\"from the file\"\nB=over\n");
        File.SetUnixFileMode("/run/hook.env", UnixFileMode.UserRead);
        TransientCommand command = Command("id -un; pwd; echo \"$A|$B|$SECRET\"; echo x > /dev/stderr; systemctl show -P MemoryMax shop-hook; systemctl show -P NoNewPrivileges shop-hook; systemctl show shop-hook | grep -c 'from the fil[e]'") with
        {
            User = "nobody",
            WorkingDirectory = "/var/tmp",
            Environment = new Dictionary<string, string> { ["A"] = "100% $HOME \"q\"", ["B"] = "under" },
            EnvironmentFiles = ["/run/hook.env"],
            Memory = 64 << 20,
        };
        CommandEnd end = await supervisor.RunAsync(command, told.Add, limit);
        Assert.Equal(["nobody", "/var/tmp", "100% $HOME \"q\"|over|from the file", "x", "67108864", "yes", "0"], end.Output);
    }

    [Theory(Explicit = true)]
    [InlineData("echo last words; exit 3", "exit status 3")]
    [InlineData("kill -TERM $$", "signal 15")]
    [InlineData("kill -KILL $$", "signal 9")]
    [InlineData("kill -SEGV $$", "signal 11")]
    public async Task Tells_how_a_command_failed(string script, string cause)
    {
        CommandEnd end = await RunAsync(script);
        Assert.False(end.Succeeded);
        Assert.StartsWith(cause, end.Cause, StringComparison.Ordinal);
        Assert.Equal(script.Contains("echo", StringComparison.Ordinal) ? ["last words"] : [], end.Output);
    }

    [Fact(Explicit = true)]
    public async Task Tells_what_kept_a_command_from_running()
    {
        async Task<string> CauseAsync(TransientCommand command) => (await supervisor.RunAsync(command, told.Add, limit)).Cause;
        TransientCommand fine = Command("true");
        Assert.Equal("exit status 203 (the program cannot be run)", await CauseAsync(fine with { Arguments = ["/no/such/program"] }));
        Assert.Equal("exit status 217 (there is no such user or group)", await CauseAsync(fine with { User = "nosuchuser" }));
        Assert.Equal("exit status 200 (the working directory cannot be entered)", await CauseAsync(fine with { WorkingDirectory = "/no/such" }));
        Assert.Contains("(resources)", await CauseAsync(fine with { EnvironmentFiles = ["/no/such/file"] }), StringComparison.Ordinal);
        OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => CauseAsync(fine with { Arguments = ["not-absolute/x"] }));
        Assert.StartsWith("shop-hook.service did not start: ", error.Message, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Ends_a_command_that_needs_more_memory_than_it_may_have()
    {
        Assert.SkipUnless(File.ReadAllText("/sys/fs/cgroup/cgroup.controllers").Contains("memory", StringComparison.Ordinal), "this machine hands down no memory controller");
        CommandEnd end = await supervisor.RunAsync(Command("tail /dev/zero") with { Memory = 32 << 20 }, told.Add, limit);
        Assert.Contains("(oom-kill)", end.Cause, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public async Task Ends_a_command_and_its_children_that_take_too_long()
    {
        CommandEnd end = await supervisor.RunAsync(Command("echo begun; sleep 1201 & sleep 1201") with { Timeout = TimeSpan.FromSeconds(1.5) }, told.Add, limit);
        Assert.Equal((false, "took longer than 1.5 s"), (end.Succeeded, end.Cause));
        Assert.Equal(["begun"], end.Output);
        AssertNoneRuns("sleep 1201");
    }

    [Fact(Explicit = true)]
    public async Task Lines_come_while_the_command_runs()
    {
        var first = new TaskCompletionSource<string>();
        Task<CommandEnd> run = supervisor.RunAsync(Command("echo first; while [ ! -e /run/go-on ]; do sleep 0.05; done; echo second"), line => first.TrySetResult(line), limit);
        Assert.Equal("first", await first.Task.WaitAsync(limit));
        Assert.False(run.IsCompleted);
        File.WriteAllText("/run/go-on", "");
        Assert.Equal(["first", "second"], (await run).Output);
        File.Delete("/run/go-on");
    }

    [Fact(Explicit = true)]
    public async Task Output_is_complete_and_what_is_kept_of_it_is_bounded()
    {
        CommandEnd end = await RunAsync("seq 1 200000; head -c 1000000 /dev/zero | tr '\\0' x; echo; head -c 300 /dev/urandom");
        Assert.InRange(told.Count, 200_002, 200_300);
        Assert.Equal(Enumerable.Range(1, 200_000).Select(i => $"{i}"), told.Take(200_000));
        Assert.Equal(new string('x', 1000), told[200_000]);
        Assert.Equal(told.TakeLast(100), end.Output);
    }

    [Fact(Explicit = true)]
    public async Task A_watcher_that_fails_changes_nothing()
    {
        CommandEnd end = await supervisor.RunAsync(Command("echo one; echo two"), _ => throw new InvalidOperationException("gone"), limit);
        Assert.True(end.Succeeded);
        Assert.Equal(["one", "two"], end.Output);
    }

    [Fact(Explicit = true)]
    public async Task Cancelling_ends_the_command_and_its_children()
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(limit);
        var begun = new TaskCompletionSource();
        Task run = supervisor.RunAsync(Command("setsid sleep 1202 & trap '' HUP; echo begun; sleep 1202"), _ => begun.TrySetResult(), cancel.Token);
        await begun.Task.WaitAsync(limit);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        AssertNoneRuns("sleep 1202");
    }

    [Fact(Explicit = true)]
    public async Task A_child_that_holds_the_output_open_delays_nothing()
    {
        long began = Stopwatch.GetTimestamp();
        CommandEnd end = await RunAsync("setsid sleep 1203 & echo done");
        Assert.Equal((true, "done"), (end.Succeeded, Assert.Single(end.Output)));
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 4);
        AssertNoneRuns("sleep 1203");

        // One that got away into another unit keeps the pipe and is left alone.
        end = await RunAsync("systemd-run --quiet --scope --unit=got-away sleep 1204 & until systemctl -q is-active got-away.scope; do sleep 0.05; done; echo done");
        Assert.Equal((true, "done"), (end.Succeeded, Assert.Single(end.Output)));
        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 0, 10);
        Shell("systemctl stop got-away.scope");
    }

    [Theory(Explicit = true)]
    [InlineData("sleep 1205")]
    [InlineData("true")]
    [InlineData("exit 4")]
    public async Task What_was_left_under_the_name_makes_room(string script)
    {
        Shell($"systemd-run --quiet --unit={s_unit} -r sh -c '{script}'; sleep 0.5");
        Assert.Equal("loaded", Shell($"systemctl show -P LoadState {s_unit}").Trim());
        Assert.Equal(["mine"], (await RunAsync("echo mine")).Output);
        AssertNoneRuns("sleep 1205");
    }

    [Theory(Explicit = true)]
    [InlineData("systemctl restart dbus")]
    [InlineData("systemctl daemon-reexec")]
    [InlineData("systemctl daemon-reload")]
    public async Task Learns_the_end_of_a_command_although_it_happens(string what)
    {
        foreach (int status in (int[])[0, 5])
        {
            told.Clear();
            var begun = new TaskCompletionSource();
            Task<CommandEnd> run = supervisor.RunAsync(Command($"echo begun; sleep 2; echo ended; exit {status}"), line =>
            {
                told.Add(line);
                begun.TrySetResult();
            }, limit);
            await begun.Task.WaitAsync(limit);
            Shell(what);
            Assert.Equal(status == 0 ? "" : $"exit status {status}", (await run).Cause);
            Assert.Equal(["begun", "ended"], told);
        }
    }

    [Fact(Explicit = true)]
    public async Task Tells_that_somebody_else_stopped_it()
    {
        var begun = new TaskCompletionSource();
        Task<CommandEnd> run = supervisor.RunAsync(Command("echo begun; sleep 1206"), _ => begun.TrySetResult(), limit);
        await begun.Task.WaitAsync(limit);
        Shell($"systemctl stop {s_unit}");
        Assert.Equal((false, "it was stopped from outside"), (await run) is var end ? (end.Succeeded, end.Cause) : default);
    }

    [Fact(Explicit = true)]
    public async Task Makes_a_user_that_is_missing()
    {
        UserIds made = await supervisor.MakeUserAsync("shop-made", limit);
        Assert.Equal($"{made.Uid} {made.Gid} shop-made shop-made", Shell("echo $(id -u shop-made) $(id -g shop-made) $(id -un shop-made) $(id -gn shop-made)").Trim());
        Assert.Equal("shop-made, made by agentd", Shell("getent passwd shop-made | cut -d: -f5").Trim());
        Assert.InRange(made.Uid, 1u, 999u);
        Assert.Equal(made, await supervisor.MakeUserAsync("shop-made", limit));
        UserIds[] many = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => supervisor.MakeUserAsync($"many-{i % 2}", limit)));
        Assert.Equal(2, many.Distinct().Count());
        Assert.Equal(new UserIds(0, 0), await supervisor.MakeUserAsync("root", limit));
        Assert.Equal("not-found", Shell("systemctl show -P LoadState agentd-make-user").Trim());
    }

    [Theory(Explicit = true)]
    [InlineData("Shop")]
    [InlineData("a b")]
    [InlineData("x\" - \"y")]
    [InlineData("")]
    public async Task Makes_no_user_by_a_name_that_is_none(string name) =>
        Assert.Equal(ExitCode.Usage, (await Assert.ThrowsAsync<OperatorException>(() => supervisor.MakeUserAsync(name, limit))).Code);

    [Fact(Explicit = true)]
    public async Task Tells_why_a_user_was_not_made()
    {
        Shell("mount --bind /dev/null /usr/bin/systemd-sysusers");
        try
        {
            OperatorException error = await Assert.ThrowsAsync<OperatorException>(() => supervisor.MakeUserAsync("late", limit));
            Assert.Equal("the user late was not made: /usr/bin/systemd-sysusers: exit status 203 (the program cannot be run)", error.Message);
            Assert.Equal("make it: useradd --system --user-group late", error.Remedy);
        }
        finally
        {
            Shell("umount /usr/bin/systemd-sysusers");
        }
    }

    private static TransientCommand Command(string script) => new(
        s_unit, "hook of shop", ["/bin/sh", "-c", script], User: null, WorkingDirectory: "/", new Dictionary<string, string>(), EnvironmentFiles: [], TimeSpan.FromSeconds(30), Memory: null);

    private Task<CommandEnd> RunAsync(string script) => supervisor.RunAsync(Command(script), told.Add, limit);

    private static void AssertNoneRuns(string command) => Assert.Equal("", Shell($"pgrep -fx '{command}' || true"));

    private static string Shell(string script)
    {
        using Process process = Process.Start(new ProcessStartInfo("sh", ["-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{script}: {error.Result}");
        return output;
    }
}

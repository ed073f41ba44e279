using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using Agent.Tests.Fakes;

namespace Agent.Tests.Health;

/// <summary>Checks that go through systemd: commands and units.</summary>
public class CommandCheckTests
{
    private static readonly AppDefinition App = new(
        new AppName("shop"), new Dictionary<string, string> { ["PORT"] = "8080" }, [], [], new GateOptions(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));

    private static readonly CommandEnd Good = new(true, "", []);

    private readonly ManualTime time = new();
    private readonly List<TransientCommand> commands = [];

    [Fact]
    public async Task Runs_a_program_of_the_release_in_current_as_the_apps_user_with_its_environment()
    {
        Assert.Equal(new CheckAnswer("db", true, "exit status 0 in 0 ms"), await RunAsync("bin/check --url 'a b' $PORT"));
        TransientCommand command = Assert.Single(commands);
        Assert.Equal(["/srv/shop/current/bin/check", "--url", "a b", "$PORT"], command.Arguments);
        Assert.Equal(("agentd-check-shop-1.service", "shop", "/srv/shop/current"), (command.Unit.Value, command.User, command.WorkingDirectory));
        Assert.Same(App.Environment, command.Environment);
        Assert.Empty(command.EnvironmentFiles);
        Assert.Equal(TimeSpan.FromSeconds(2), command.Timeout);
    }

    [Fact]
    public async Task Runs_a_program_of_the_host_with_the_user_and_secrets_that_the_app_has()
    {
        await RunAsync("/usr/bin/pg_isready -q", Good, App with { User = "web", SecretsFile = "/etc/agentd/secrets.d/shop" });
        TransientCommand command = Assert.Single(commands);
        Assert.Equal(["/usr/bin/pg_isready", "-q"], command.Arguments);
        Assert.Equal("web", command.User);
        Assert.Equal(["/etc/agentd/secrets.d/shop"], command.EnvironmentFiles);
    }

    [Theory]
    [InlineData("../../other/current/bin/check", "../../other/current/bin/check is not inside the release")]
    [InlineData("bin/check 'open", "a quote (') in the command is not closed")]
    [InlineData("", "the command is empty")]
    public async Task Refuses_what_is_no_command_of_the_release(string line, string detail)
    {
        Assert.Equal(new CheckAnswer("db", false, detail), await RunAsync(line));
        Assert.Empty(commands);
    }

    [Fact]
    public async Task A_failure_tells_the_last_line_of_output() =>
        Assert.Equal(
            new CheckAnswer("db", false, "exit status 3: the queue is stuck"), await RunAsync("bin/check", new CommandEnd(false, "exit status 3", ["looking", " the queue is stuck", ""])));

    [Fact]
    public async Task A_failure_tells_no_output_of_a_command_that_has_secrets()
    {
        var end = new CommandEnd(false, "exit status 3", ["password hunter2 is wrong"]);
        Assert.Equal("exit status 3", (await RunAsync("bin/check", end, App with { SecretsFile = "/etc/agentd/secrets.d/shop" })).Detail);
        Assert.Equal("exit status 3", (await RunAsync("bin/check", end, App with { Credentials = new Dictionary<string, string> { ["a"] = "/b" } })).Detail);
    }

    [Fact]
    public async Task A_command_that_ignores_its_end_is_left_behind_and_its_unit_is_not_used_again_before_it_is_gone()
    {
        var hanging = new TaskCompletionSource<CommandEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool cancelled = false;
        HealthProbe probe = Probe((_, token) =>
        {
            token.Register(() => cancelled = true);
            return commands.Count == 1 ? hanging.Task : Task.FromResult(Good);
        });
        Task<CheckAnswer> first = probe.ProbeAsync(App, Check("bin/check"), CancellationToken.None);
        Assert.Equal(TimeSpan.FromSeconds(2), await time.NextTimerAsync());
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(new CheckAnswer("db", false, "did not end within 2 s"), await first);
        Assert.True(cancelled);

        Assert.True((await probe.ProbeAsync(App, Check("bin/check"), CancellationToken.None)).Passed);
        Assert.True((await probe.ProbeAsync(App, Check("bin/check"), CancellationToken.None)).Passed);
        Assert.Equal(["agentd-check-shop-1.service", "agentd-check-shop-2.service", "agentd-check-shop-2.service"], commands.Select(command => command.Unit.Value));
    }

    [Fact]
    public async Task Commands_at_the_same_time_have_names_of_their_own_and_a_bound()
    {
        var running = new TaskCompletionSource<CommandEnd>(TaskCreationOptions.RunContinuationsAsynchronously);
        HealthProbe probe = Probe((_, _) => running.Task);
        Task<CheckAnswer>[] answers = [.. Enumerable.Range(0, 17).Select(_ => probe.ProbeAsync(App, Check("bin/check"), CancellationToken.None))];
        Assert.Equal(new CheckAnswer("db", false, "16 runs of commands have not ended yet"), await answers[16]);
        Assert.Equal(16, commands.Select(command => command.Unit).Distinct().Count());
        running.SetResult(Good);
        Assert.All((await Task.WhenAll(answers))[..16], answer => Assert.True(answer.Passed));
    }

    [Fact]
    public async Task A_caller_that_cancels_gets_no_answer()
    {
        using var cancel = new CancellationTokenSource();
        HealthProbe probe = Probe((_, _) => new TaskCompletionSource<CommandEnd>().Task);
        Task<CheckAnswer> answer = probe.ProbeAsync(App, Check("bin/check"), cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answer);
    }

    [Fact]
    public async Task A_systemd_that_does_not_answer_is_no_answer_of_the_application()
    {
        var bus = new OperatorException(ExitCode.NeedsOperator, "the bus is gone", "systemctl status dbus");
        HealthProbe probe = Probe((_, _) => throw bus, _ => throw bus);
        Assert.Same(bus, await Assert.ThrowsAsync<OperatorException>(() => probe.ProbeAsync(App, Check("bin/check"), CancellationToken.None)));
        Assert.Same(bus, await Assert.ThrowsAsync<OperatorException>(() => probe.ProbeAsync(App, UnitCheck(), CancellationToken.None)));
    }

    [Theory]
    [InlineData("loaded", "active", "running", "success", true, "active (running)")]
    [InlineData("loaded", "reloading", "reload", "success", true, "reloading (reload)")]
    [InlineData("loaded", "failed", "failed", "oom-kill", false, "failed (failed), result oom-kill")]
    [InlineData("masked", "inactive", "dead", "success", false, "masked")]
    public async Task A_unit_passes_while_it_is_active(string load, string active, string sub, string result, bool passed, string detail)
    {
        HealthProbe probe = Probe((_, _) => throw new NotSupportedException(), unit => new UnitState(unit, load, active, sub, result, 0, 0, "", 0, "", null));
        Assert.Equal(new CheckAnswer("unit", passed, detail), await probe.ProbeAsync(App, UnitCheck(), CancellationToken.None));
    }

    private Task<CheckAnswer> RunAsync(string line, CommandEnd? end = null, AppDefinition? app = null) =>
        Probe((_, _) => Task.FromResult(end ?? Good)).ProbeAsync(app ?? App, Check(line), CancellationToken.None);

    private HealthProbe Probe(Func<TransientCommand, CancellationToken, Task<CommandEnd>> run, Func<UnitName, UnitState>? state = null) => new(
        new StaticSupervisor(state ?? (_ => throw new NotSupportedException()), (command, token) =>
        {
            commands.Add(command);
            return run(command, token);
        }), "/srv", time);

    private static CheckOptions.Command Check(string line) => new("db", line, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3);

    private static CheckOptions.UnitActive UnitCheck() => new("unit", new UnitName("postgresql.service"), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), 1, 3);
}

using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using static Agent.Tests.Deployments.EngineRoom;

namespace Agent.Tests.Deployments;

/// <summary>Which hooks run when, as whom and with what; and what their failure means.</summary>
public class HookRunnerTests
{
    private readonly EngineRoom room = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hook_of_the_release_runs_in_it_as_the_apps_user_with_environment_and_secrets()
    {
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with { User = "web", SecretsFile = "/etc/agentd/secrets.d/shop.env", Hooks = [Hook("before-flip", Step.Flip, "bin/warm --all 'a b'") with { Memory = 1 << 20 }] };
        await room.Hooks.RunAsync(Deploying(release, new ReleaseRef("v1.0.0", "1")), Step.Flip, before: true, room.Work(), Cancel);
        TransientCommand command = Assert.Single(room.Supervisor.Commands);
        Assert.Equal(("agentd-shop-2-before-flip.service", "before-flip of shop v2.0.0", "web", "/srv/shop/releases/v2.0.0"), (command.Unit.Value, command.Description, command.User, command.WorkingDirectory));
        Assert.Equal(["/srv/shop/releases/v2.0.0/bin/warm", "--all", "a b"], command.Arguments);
        Assert.Equal(["/etc/agentd/secrets.d/shop.env"], command.EnvironmentFiles);
        Assert.Equal((TimeSpan.FromSeconds(9), 1 << 20), (command.Timeout, command.Memory));
        Assert.Equal(["API_TOKEN", "FOR", "AGENTD_APP=shop", "AGENTD_DEPLOYMENT=shop-2", "AGENTD_FROM_VERSION=v1.0.0", "AGENTD_HOOK=before-flip", "AGENTD_VERSION=v2.0.0"], Environment(command));
        Assert.Equal(["user web"], room.Supervisor.Calls);
        Assert.Equal(["before-flip"], room.Told);
    }

    [Fact]
    public async Task Before_the_release_is_here_only_the_operators_hooks_run_in_the_root_directory()
    {
        room.Configuration.Change = definition => definition with { Hooks = [Hook("of-the-release", Step.Fetch, "bin/warm")] };
        room.Configuration.ChangeOptions = options => options with { Environment = new Dictionary<string, string> { ["MAIL"] = "ops" }, Hooks = [Hook("announce", Step.Fetch, "/bin/announce") with { User = "mail" }] };
        await room.Hooks.RunAsync(Deploying(new ReleaseRef("v2.0.0", "2")), Step.Fetch, before: true, room.Work(), Cancel);
        TransientCommand command = Assert.Single(room.Supervisor.Commands);
        Assert.Equal(("/", "mail"), (command.WorkingDirectory, command.User));
        Assert.Equal(["/bin/announce"], command.Arguments);
        Assert.Empty(command.EnvironmentFiles);
        Assert.Equal(["MAIL", "AGENTD_APP=shop", "AGENTD_DEPLOYMENT=shop-2", "AGENTD_FROM_VERSION=", "AGENTD_HOOK=announce", "AGENTD_VERSION=v2.0.0"], Environment(command));
    }

    [Fact]
    public async Task Where_the_operators_file_is_gone_there_is_no_hook_before_the_release_is_here()
    {
        room.Configuration.ChangeOptions = options => options with { Hooks = [Hook("announce", Step.Fetch, "/bin/announce")] };
        room.Configuration.Known = false;
        await room.Hooks.RunAsync(Deploying(new ReleaseRef("v2.0.0", "2")), Step.Fetch, before: true, room.Work(), Cancel);
        Assert.Empty(room.Supervisor.Commands);
    }

    [Fact]
    public async Task Only_those_of_the_step_and_the_side_run_in_their_order()
    {
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with
        {
            Hooks = [Hook("one", Step.Flip), Hook("other-step", Step.Gate), Hook("other-side", Step.Flip) with { Before = false }, Hook("two", Step.Flip)],
        };
        await room.Hooks.RunAsync(Deploying(release), Step.Flip, before: true, room.Work(), Cancel);
        Assert.Equal(["one", "two"], room.Told);
        Assert.Equal(["shop", "shop"], room.Supervisor.Commands.Select(command => command.User));
    }

    [Fact]
    public async Task A_hook_that_fails_stops_the_step_and_tells_its_last_line()
    {
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with { Hooks = [Hook("one", Step.Flip), Hook("two", Step.Flip)] };
        room.Supervisor.End = _ => new CommandEnd(false, "exit status 3", ["first", "no room"]);
        DeploymentWork work = room.Work();
        var failed = await Assert.ThrowsAsync<HookException>(() => room.Hooks.RunAsync(Deploying(release), Step.Flip, before: true, work, Cancel));
        Assert.Equal("hook one failed: exit status 3: no room", failed.Message);
        Assert.Equal(["one", "one: first", "one: no room"], room.Told);
        HookEvidence seen = Assert.Single(work.Hooks);
        Assert.Equal(("one", "exit status 3"), (seen.Name, seen.Cause));
        Assert.Equal(["first", "no room"], seen.Output);
        room.Supervisor.End = _ => new CommandEnd(false, "signal 9", []);
        failed = await Assert.ThrowsAsync<HookException>(() => room.Hooks.RunAsync(Deploying(release), Step.Flip, before: true, work, Cancel));
        Assert.Equal("hook one failed: signal 9", failed.Message);
    }

    [Theory]
    [InlineData("Flip", true)]
    [InlineData("Contract", false)]
    [InlineData("Sweep", false)]   // behind the commit point nothing is undone for it
    public async Task A_hook_that_may_fail_is_told_and_the_next_one_runs(string step, bool mayFail)
    {
        Step at = Enum.Parse<Step>(step);
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with { Hooks = [Hook("one", at) with { MayFail = mayFail }, Hook("two", at) with { MayFail = mayFail }] };
        room.Supervisor.End = command => command.Unit.Value.Contains("one", StringComparison.Ordinal) ? new CommandEnd(false, "exit status 3", []) : new CommandEnd(true, "", []);
        await room.Hooks.RunAsync(Deploying(release), at, before: true, room.Work(), Cancel);
        Assert.Equal(["one", "hook one failed: exit status 3 (goes on)", "two"], room.Told);
    }

    [Fact]
    public async Task What_a_hook_prints_is_clean_of_secrets_everywhere()
    {
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with { SecretsFile = "/etc/agentd/secrets.d/shop.env", Hooks = [Hook("one", Step.Flip)] };
        room.Supervisor.End = _ => new CommandEnd(false, "exit status 3", ["key is s3cret"]);
        DeploymentWork work = room.Work();
        var failed = await Assert.ThrowsAsync<HookException>(() => room.Hooks.RunAsync(Deploying(release), Step.Flip, before: true, work, Cancel));
        Assert.Equal("hook one failed: exit status 3: key is [secret]", failed.Message);
        Assert.Equal(["key is [secret]"], work.Hooks[0].Output);
        Assert.Contains("one: key is [secret]", room.Told);
    }

    [Fact]
    public async Task After_a_crash_every_hook_that_may_still_run_is_ended()
    {
        ReleaseRef release = room.Install("v2.0.0");
        room.Configuration.Change = definition => definition with { Hooks = [Hook("one", Step.Flip), Hook("two", Step.Restart)] };
        await room.Hooks.StopAsync(Deploying(release, null, new JournalRecord.StepStarted(Now, "shop-2", Step.Flip)), room.Work(), Cancel);
        Assert.Equal(["stop agentd-shop-2-one.service", "stop agentd-shop-2-two.service"], room.Supervisor.Calls);
    }

    private static HookOptions Hook(string name, Step step, string line = "bin/hook") => new(name, step, Before: true, line, null, TimeSpan.FromSeconds(9), null, MayFail: false);

    private static IEnumerable<string> Environment(TransientCommand command) =>
        command.Environment.OrderBy(pair => pair.Key.StartsWith("AGENTD_", StringComparison.Ordinal)).ThenBy(pair => pair.Key, StringComparer.Ordinal)
            .Select(pair => pair.Key.StartsWith("AGENTD_", StringComparison.Ordinal) ? $"{pair.Key}={pair.Value}" : pair.Key);
}

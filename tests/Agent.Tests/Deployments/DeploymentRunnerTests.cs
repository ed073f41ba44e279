using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>What a deployment leaves in records, log, evidence and on the disk, however it ends.</summary>
public class DeploymentRunnerTests
{
    private const string Downloads = "/var/lib/agentd/downloads/shop";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_log_tells_every_step_and_the_end()
    {
        using World world = await LiveAsync();
        Assert.Contains("1200 shop v1.1.0: fetch starts (shop-1)", world.Told);
        Assert.Equal("1204 shop v1.1.0 is live (shop-1)", world.Told[^1]);
        world.Told.Clear();
        await world.DeployAsync("v1.2.6");
        Assert.Contains(world.Told, line => line.StartsWith("1201 shop v1.2.6: gate failed (shop-2): ", StringComparison.Ordinal));
        Assert.Contains("1202 shop v1.2.6: going back over flip (shop-2)", world.Told);
        Assert.StartsWith("1205 shop v1.2.6: RolledBack (shop-2): not healthy within 2 s", world.Told[^2], StringComparison.Ordinal);
        Assert.Equal("1207 shop v1.2.6 is quarantined (shop-2)", world.Told[^1]);
        world.Told.Clear();
        world.System.Broken.Add("v1.1.0");
        await world.DeployAsync("v1.3.6");
        Assert.Contains(world.Told, line => line.StartsWith("1203 shop v1.3.6: going back over gate failed (shop-3): ", StringComparison.Ordinal));
        Assert.StartsWith("1205 shop v1.3.6: NeedsOperator (shop-3)", world.Told[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Downloads_of_a_bad_release_go_and_those_of_any_other_failure_are_kept_for_the_next_try()
    {
        using World world = await LiveAsync();
        Deployment started = await world.StartToAsync("v1.2.0", Step.Restart);
        Task<Deployment> cancelling = world.Engine.CancelAsync(started.Id, "ann", Cancel);
        world.GoOn();
        await cancelling;
        await world.Engine.IdleAsync();
        Assert.Equal(EntryKind.Directory, world.Disk.Kind(Downloads));
        await world.DeployAsync("v1.3.6");
        Assert.Equal(EntryKind.Missing, world.Disk.Kind(Downloads));
    }

    [Fact]
    public async Task Answers_of_both_releases_are_evidence()
    {
        using World world = await LiveAsync();
        Evidence seen = world.Engine.EvidenceOf((await world.DeployAsync("v1.2.6"))!)!;
        Assert.Equal([new CheckEvidence("http /up", false, "GET /up gave 500")], seen.Checks);
        world.System.Broken.Add("v1.1.0");
        seen = world.Engine.EvidenceOf((await world.DeployAsync("v1.3.6"))!)!;
        Assert.Equal("http /up", Assert.Single(seen.OldChecks!).Name);
    }

    [Fact]
    public async Task A_step_that_takes_too_long_fails_with_its_limit_and_blames_nobody()
    {
        using World world = await LiveAsync();
        world.Configuration.Change = definition => definition with { Gate = new GateOptions(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(1)) };
        world.Configuration.ChangeOptions = options => options with { Deadlines = new Dictionary<Step, TimeSpan> { [Step.Gate] = TimeSpan.FromSeconds(3) } };
        Deployment ended = (await world.DeployAsync("v1.2.6"))!;
        Assert.Equal((Outcome.RolledBack, "gate took too long (limit 3 s)"), (ended.Outcome, ended.Cause));
        Assert.Empty(world.Engine.State(World.Shop).Quarantined);
    }

    [Fact]
    public async Task A_store_that_fails_is_told_with_its_remedy_and_blames_nobody()
    {
        using World world = await LiveAsync();
        world.Source.Failure = new OperatorException(ExitCode.Unreachable, "the store is away", "look at it");
        JournalRecord.StepFailed failed = Failed((await world.DeployAsync("v1.2.0"))!);
        Assert.Equal((Step.Fetch, "the store is away", "look at it", false), (failed.Step, failed.Cause, failed.Remedy, failed.Blame));
    }

    [Fact]
    public async Task An_error_of_the_agents_own_is_told_by_its_name()
    {
        using World world = await LiveAsync();
        world.System.Asked = _ => throw new InvalidOperationException("boom");
        JournalRecord.StepFailed failed = Failed((await world.DeployAsync("v1.2.0"))!);
        Assert.Equal((Step.Prepare, "InvalidOperationException: boom", "", false), (failed.Step, failed.Cause, failed.Remedy, failed.Blame));
        world.AssertConsistent("prepare failed");
    }

    [Fact]
    public async Task Where_the_journal_takes_no_more_the_step_has_failed()
    {
        using World world = World.New(rich: true);
        await world.DeployAsync("v1.1.0");
        world.System.Asked = what =>
        {
            if (what == "hook after-gate") world.Disk.TroubleFrom(0, 1);   // just when the gate's end is to be written
        };
        Deployment ended = (await world.DeployAsync("v1.2.0"))!;
        JournalRecord.StepFailed failed = Failed(ended);
        Assert.Equal((Step.Gate, "the journal could not be written: No space left on device", false), (failed.Step, failed.Cause, failed.Blame));
        Assert.Equal("free space below the agent's data directory", failed.Remedy);
        Assert.Equal(Outcome.RolledBack, ended.Outcome);
        world.AssertConsistent("a full disk at the end of the gate");
    }

    [Fact]
    public async Task Hooks_of_the_sweep_run_on_both_sides_and_what_fails_there_changes_nothing()
    {
        using World world = await LiveAsync();
        var asked = new List<string>();
        world.System.Asked = asked.Add;
        world.Configuration.Change = definition => definition with { Hooks = [Hook("after", before: false), Hook("before", before: true)] };
        await world.DeployAsync("v1.2.0");
        Assert.Equal(["hook before", "hook after"], asked.Where(what => what.StartsWith("hook", StringComparison.Ordinal)));
        world.System.Asked = what =>
        {
            if (what == "hook before") throw new OperatorException(ExitCode.Refused, "no bus", "look at it");
        };
        Deployment ended = (await world.DeployAsync("v1.3.0"))!;
        Assert.Equal((Outcome.Live, null), (ended.Outcome, ended.Cause));
        JournalRecord.StepFailed failed = Failed(ended);
        Assert.Equal((Step.Sweep, "no bus", "look at it", false), (failed.Step, failed.Cause, failed.Remedy, failed.Blame));
        Assert.Contains(world.Told, line => line.StartsWith("1201 shop v1.3.0: sweep failed (shop-3): no bus", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Hooks_that_a_killed_agent_left_are_ended_before_the_way_back()
    {
        using World world = World.New(rich: true);
        await world.DeployAsync("v1.1.0");
        await world.LeaveAtAsync("v1.2.0", Step.Restart);
        world.System.Hooks.Add("agentd-shop-2-before-flip.service");
        using World later = world.After(Loss.AgentKilled);
        Assert.True(await later.RecoverAsync());
        Assert.Equal(Outcome.RolledBack, later.Engine.Find("shop-2").Outcome);
        later.AssertConsistent("killed in the restart");
    }

    [Fact]
    public async Task Who_watches_sees_what_the_gate_sees()
    {
        using World world = await LiveAsync();
        Deployment started = await world.StartToAsync("v1.2.0", Step.Gate);
        var told = new List<string>();
        await foreach (DeploymentEvent happened in world.Engine.WatchAsync(started.Id, Cancel))
        {
            world.GoOn();   // now that it is watched
            if (happened is DeploymentEvent.Progress { Step: Step.Gate } progress) told.Add(progress.Message);
        }
        Assert.Contains("all good; watching for 1 s", told);
    }

    [Fact]
    public async Task Going_back_to_what_ran_says_which()
    {
        using World world = await LiveAsync();
        await world.DeployAsync("v1.2.0");
        Deployment back = (await world.DeployAsync("v1.1.0", Trigger.Rollback))!;
        Assert.Equal("as shop-1 ran", back.Records.OfType<JournalRecord.StepDone>().Single(done => done.Step == Step.Prepare).Detail);
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(99, false)]
    public async Task Room_is_made_only_where_there_is_less_than_is_wanted(long free, bool stays)
    {
        using World world = await LiveAsync();
        await world.DeployAsync("v1.2.0");
        (world.Configuration.KeepFree, world.Disk.Free) = (100, free);
        await world.DeployAsync("v1.3.0");
        Assert.Equal(stays, world.Installed.List(World.Shop).Any(release => release.Version == "v1.1.0"));
    }

    [Fact]
    public async Task What_was_made_for_releases_that_go_goes_with_them_and_so_does_what_a_crash_left()
    {
        using World world = World.New(rich: true);
        world.Configuration.Keep = 1;
        await world.DeployAsync("v1.1.0");
        foreach (string left in new[] { "/srv/shop/current", "/srv/shop/rendered/current", SimulatedSystem.Units + "/shop.service" })
            world.Disk.WriteFile(left + DurableOperations.TemporarySuffix, DurableOperations.Mode644, _ => { });
        await world.DeployAsync("v1.2.0");
        world.AssertConsistent("leftovers");
        await world.DeployAsync("v1.3.0");
        world.AssertConsistent("v1.1.0 has gone");
        Assert.Equal(2, world.Installed.List(World.Shop).Count);
    }

    private static JournalRecord.StepFailed Failed(Deployment deployment) => deployment.Records.OfType<JournalRecord.StepFailed>().Single();

    private static HookOptions Hook(string name, bool before) => new(name, Step.Sweep, before, "bin/hook", null, TimeSpan.FromSeconds(60), null, MayFail: false);

    private static async Task<World> LiveAsync()
    {
        World world = World.New();
        Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.1.0"))!.Outcome);
        return world;
    }
}

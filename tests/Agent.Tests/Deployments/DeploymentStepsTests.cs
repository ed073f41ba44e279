using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using static Agent.Tests.Deployments.EngineRoom;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>What single steps ask of systemd and of the disk.</summary>
public class DeploymentStepsTests
{
    private static readonly ReleaseRef V1 = new("v1.0.0", "1"), V2 = new("v2.0.0", "2");

    private readonly EngineRoom room = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_goes_is_stopped_in_reverse_with_what_it_had_started_and_what_comes_is_started_and_enabled()
    {
        Generate("shop-1", V1, Service("shop.service"), Service("shop-queue.service"), Timer("shop-nightly.timer"));
        Generate("shop-2", V2, Service("shop.service"), Service("shop-worker.service"));
        Deployment deployment = Deploying(V2, V1);
        await room.Steps.DoAsync(deployment, Step.Restart, room.Work(), Cancel);
        Assert.Equal(
            [
                "reload", "stop shop-nightly.timer", "stop shop-nightly.service", "stop shop-queue.service", "restart shop.service", "restart shop-worker.service",
                "enable shop-worker.service",
            ],
            Taken());
        await room.Steps.UndoAsync(deployment, Step.Restart, room.Work(), Cancel);
        Assert.Equal(
            [
                "reload", "stop shop-worker.service", "restart shop.service", "restart shop-queue.service", "restart shop-nightly.timer", "enable shop-queue.service",
                "enable shop-nightly.timer",
            ],
            Taken());
    }

    [Fact]
    public async Task What_goes_is_disabled_while_its_file_is_there_and_what_stays_is_left_enabled()
    {
        Generate("shop-1", V1, Service("shop.service"), Service("shop-queue.service"));
        Generate("shop-2", V2, Service("shop.service"));
        Deployment deployment = Deploying(V2, V1);
        room.Generations.Install(World.Shop, null, room.Generations.Load(World.Shop, "shop-1"));
        await room.Steps.DoAsync(deployment, Step.Flip, room.Work(), Cancel);
        Assert.Equal(["disable shop-queue.service"], Taken());
        Assert.Equal(["shop.service"], room.Disk.List(Options.Units));
        Assert.Equal("v2.0.0", room.Releases.Current(World.Shop));
        await room.Steps.UndoAsync(deployment, Step.Flip, room.Work(), Cancel);
        Assert.Empty(Taken());
        Assert.Equal(["shop-queue.service", "shop.service"], room.Disk.List(Options.Units).Order(StringComparer.Ordinal));
        Assert.Equal("v1.0.0", room.Releases.Current(World.Shop));
    }

    [Fact]
    public async Task Enabling_and_disabling_survive_a_power_cut()
    {
        Generate("shop-1", V1, Service("shop.service"), Service("shop-queue.service"));
        Generate("shop-2", V2, Service("shop.service"));
        foreach ((Step step, Deployment deployment) in new[] { (Step.Flip, Deploying(V2, V1)), (Step.Restart, Deploying(V2, V1)), (Step.Restart, Deploying(V2)) })
        {
            room.Disk.MakeDirectories($"{Options.Units}/multi-user.target.wants");
            room.Disk.WriteFile($"{Options.Units}/multi-user.target.wants/of-systemd", DurableOperations.Mode644, _ => { });   // as systemctl leaves it
            await room.Steps.DoAsync(deployment, step, room.Work(), Cancel);
            Assert.Equal(EntryKind.File, room.Disk.After(Loss.Dropped, new Fuse(int.MaxValue)).Kind($"{Options.Units}/multi-user.target.wants/of-systemd"));
            room.Disk.RemoveDurable($"{Options.Units}/multi-user.target.wants/of-systemd");
        }
    }

    [Fact]
    public void A_limit_of_the_operators_wins_and_the_gate_has_its_own_times_on_top()
    {
        foreach (Step step in Enum.GetValues<Step>()) Assert.InRange(room.Steps.Deadline(World.Shop, step, null), TimeSpan.FromMinutes(1), TimeSpan.FromHours(4));
        AppDefinition definition = room.Define() with { Gate = new GateOptions(TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(2)) };
        Assert.Equal(TimeSpan.FromMinutes(8), room.Steps.Deadline(World.Shop, Step.Gate, definition));
        Assert.Equal(TimeSpan.FromMinutes(1), room.Steps.Deadline(World.Shop, Step.Gate, null));
        Assert.Equal(TimeSpan.FromHours(1), room.Steps.Deadline(World.Shop, Step.Fetch, definition));
        Assert.Equal(TimeSpan.FromMinutes(10), room.Steps.Deadline(World.Shop, Step.Stage, definition));
        Assert.Equal(TimeSpan.FromMinutes(5), room.Steps.Deadline(World.Shop, Step.Restart, definition));
        room.Configuration.ChangeOptions = options => options with { Deadlines = new Dictionary<Step, TimeSpan> { [Step.Gate] = TimeSpan.FromSeconds(7) } };
        Assert.Equal(TimeSpan.FromSeconds(7), room.Steps.Deadline(World.Shop, Step.Gate, definition));
        Assert.Equal(TimeSpan.FromMinutes(1), room.Steps.Deadline(World.Shop, Step.Flip, definition));
        Assert.Equal(TimeSpan.FromHours(1), room.Steps.Deadline(new AppName("blog"), Step.Fetch, null));
    }

    [Fact]
    public async Task Users_are_made_for_all_that_runs_as_one()
    {
        Assert.Equal(["user shop"], await PreparedAsync(definition => definition));
        Assert.Equal(["user web", "user jobs", "user web"], await PreparedAsync(definition => definition with { User = "web", Units = [Service("shop.service"), As("jobs"), Service("shop-2.service")] }));
        Assert.Empty(await PreparedAsync(definition => definition with { Units = [] }));
        Assert.Equal(["user shop"], await PreparedAsync(definition => definition with { Units = [], Checks = [new CheckOptions.Tcp("t", "localhost", 1, default, default, 1, 1), new CheckOptions.Command("c", "bin/check", default, default, 1, 1)] }));
        Assert.Equal(["user shop"], await PreparedAsync(definition => definition with { Units = [], SharedDirectories = ["log"] }));
        Assert.Equal(["user shop"], await PreparedAsync(definition => definition with { Units = [], Templates = [] }));
    }

    [Fact]
    public async Task What_is_on_this_host_already_is_not_fetched_again_and_not_staged()
    {
        ReleaseRef there = room.Install("v1.0.0");
        DeploymentWork work = room.Work();
        Assert.Equal("already on this host", await room.Steps.DoAsync(Deploying(there), Step.Fetch, work, Cancel));
        Assert.Null(work.Fetched);
        Assert.Null(await room.Steps.DoAsync(Deploying(there), Step.Stage, work, Cancel));
        Assert.True(room.Releases.Holds(World.Shop, there));
    }

    [Fact]
    public async Task Going_back_over_the_stage_leaves_what_proved_itself_here()
    {
        ReleaseRef there = room.Install("v1.0.0");
        var proved = AppState.Empty(World.Shop) with { Proved = [new ProvedRelease(there, "shop-1", Now)] };
        await room.Steps.UndoAsync(Deploying(there), Step.Stage, room.Work() with { StateNow = () => proved }, Cancel);
        Assert.True(room.Releases.Holds(World.Shop, there));
        await room.Steps.UndoAsync(Deploying(there), Step.Stage, room.Work(), Cancel);
        Assert.False(room.Releases.Holds(World.Shop, there));
    }

    [Fact]
    public async Task Where_the_app_is_not_configured_any_more_nothing_is_swept()
    {
        ReleaseRef there = room.Install("v1.0.0");
        room.Configuration.Known = false;
        await room.Steps.DoAsync(Deploying(V2), Step.Sweep, room.Work(), Cancel);
        Assert.True(room.Releases.Holds(World.Shop, there));
        room.Configuration.Known = true;
        await room.Steps.DoAsync(Deploying(V2), Step.Sweep, room.Work(), Cancel);
        Assert.False(room.Releases.Holds(World.Shop, there));
    }

    [Theory]
    [InlineData("active", true)]
    [InlineData("reloading", true)]
    [InlineData("activating", true)]
    [InlineData("inactive", false)]
    [InlineData("failed", false)]
    [InlineData("deactivating", false)]
    public async Task It_runs_where_every_unit_does(string state, bool runs)
    {
        Generate("shop-2", V2, Service("shop.service"), Service("shop-worker.service"));
        room.Supervisor.State = unit => RecordingSupervisor.Active(unit) with { ActiveState = unit.Value == "shop.service" ? "active" : state };
        Assert.Equal(runs, await room.Steps.IsRunningAsync(Deploying(V2), Cancel));
    }

    /// <summary>The old release is watched for a little longer than the new one took to fail, and no longer than its own stable time.</summary>
    [Theory]
    [InlineData("v1.2.5", 30, 2, 3)]     // exits at once
    [InlineData("v1.2.6", 30, 4, 5)]     // answers 500 until its start time is over
    [InlineData("v1.2.6", 3, 3, 3.5)]
    public async Task The_old_release_must_stay_good_for_longer_than_the_new_one_took_to_fail(string version, double stable, double least, double most)
    {
        using World world = World.New();
        world.Configuration.Change = definition => definition with { Gate = new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(stable)) };
        await world.DeployAsync("v1.1.0");
        Deployment ended = (await world.DeployAsync(version))!;
        Assert.Equal(Outcome.RolledBack, ended.Outcome);
        Assert.InRange(LookedFor(ended).TotalSeconds, least, most);
    }

    [Fact]
    public async Task A_step_that_its_hook_kept_from_beginning_took_no_time()
    {
        using World world = World.New();
        world.Configuration.Change = definition => definition with
        {
            Hooks = [new HookOptions("before-flip", Step.Restart, true, "bin/warm", null, TimeSpan.FromSeconds(60), null, false)],
            Gate = new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30)),
        };
        await world.DeployAsync("v1.1.0");
        Deployment ended = (await world.DeployAsync("v1.2.7"))!;
        Assert.Equal("hook before-flip failed: exit status 1: key is s3cret", ended.Cause);
        Assert.InRange(LookedFor(ended).TotalSeconds, 2, 3);
    }

    [Fact]
    public async Task Where_nobody_is_to_blame_it_is_enough_that_the_old_release_answers()
    {
        using World world = World.New();
        world.Configuration.Change = definition => definition with { Gate = new GateOptions(TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(30)) };
        await world.DeployAsync("v1.1.0");
        Task<string> waiting = world.StopAtAsync(Step.Restart);
        Deployment started = await world.StartAsync("v1.2.0");
        await waiting;
        Task<Deployment> cancelling = world.Engine.CancelAsync(started.Id, "ann", Cancel);
        world.GoOn();
        await cancelling;
        await world.Engine.IdleAsync();
        Assert.InRange(LookedFor(world.Engine.Find(started.Id)).TotalSeconds, 0, 1);
    }

    private static TimeSpan LookedFor(Deployment deployment) =>
        deployment.Records.OfType<JournalRecord.UndoDone>().Single(done => done.Step == Step.Gate).At - deployment.Records.OfType<JournalRecord.UndoStarted>().Single(begun => begun.Step == Step.Gate).At;

    private static UnitSource As(string user) => new UnitSource.Rendered(new UnitName($"shop-{user}.service"), "bin/run", user);

    private async Task<string[]> PreparedAsync(Func<AppDefinition, AppDefinition> change)
    {
        room.Configuration.Change = change;
        await room.Steps.DoAsync(Deploying(room.Install("v1.0.0")), Step.Prepare, room.Work(), Cancel);
        return Taken();
    }

    private void Generate(string id, ReleaseRef release, params UnitSource[] units)
    {
        room.Disk.MakeDirectories("/srv/shop");
        room.Generations.Prepare(id, release, room.Define(units), null);
    }

    private string[] Taken()
    {
        string[] taken = [.. room.Supervisor.Calls];
        room.Supervisor.Calls.Clear();
        return taken;
    }
}

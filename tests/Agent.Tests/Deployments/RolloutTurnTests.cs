using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>What a host keeps of a rollout, and which turns it refuses by it.</summary>
public class RolloutTurnTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task The_same_request_shows_what_it_began_and_begins_nothing()
    {
        using World world = Told(1);
        Deployment first = await TurnAsync(world, 1);
        await world.Engine.IdleAsync();
        world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.Finished));
        Deployment again = await TurnAsync(world, 1);
        Assert.Equal((first.Id, Outcome.Live, "r-1", "r-1"), (again.Id, again.Outcome, again.Request, again.Rollout));
        Assert.Single(world.Engine.State(World.Shop).Deployments);
        var refused = await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.3.0", request => request with { Request = "r-1" }));
        Assert.Equal((ExitCode.Refused, "request r-1 began shop-1, which is something else: v1.2.0", "give each request an id of its own"), (refused.Code, refused.Message, refused.Remedy));
    }

    [Fact]
    public async Task A_request_that_comes_twice_at_the_same_time_begins_one_deployment()
    {
        using World world = Told(1);
        var answers = new TaskCompletionSource();
        world.Source.Answers = answers.Task;
        Task<Deployment> one = TurnAsync(world, 1), two = TurnAsync(world, 1);
        await Assert.ThrowsAsync<OperatorException>(() => world.StartAsync("v1.2.0", request => request with { Request = "r-9" }));
        answers.SetResult();
        Assert.Equal((await one).Id, (await two).Id);
        await world.Engine.IdleAsync();
        Assert.Single(world.Engine.State(World.Shop).Deployments);
    }

    [Fact]
    public async Task A_request_that_is_under_way_is_shown_under_way()
    {
        using World world = Told(1);
        Task<string> stopped = world.StopAtAsync(Step.Gate);
        Deployment first = await TurnAsync(world, 1);
        await stopped;
        Deployment again = await TurnAsync(world, 1);
        Assert.Equal((first.Id, null), (again.Id, again.Outcome));
        world.GoOn();
        await world.Engine.IdleAsync();
    }

    [Theory]
    [InlineData("Paused", 2, "rollout r-1 is at revision 2 here, not 1: paused by bob@desk (lunch)", "look at it: agentctl rollout show r-1")]
    [InlineData("Aborted", 2, "rollout r-1 is over: aborted by bob@desk (lunch)", "begin a new one: agentctl deploy")]
    [InlineData("Finished", 2, "rollout r-1 is over: finished by bob@desk (lunch)", "begin a new one: agentctl deploy")]
    [InlineData("Running", 2, "rollout r-1 is at revision 2 here, not 1: driven by bob@desk (lunch)", "look at it: agentctl rollout show r-1")]
    [InlineData("RollingBack", 2, "rollout r-1 is at revision 2 here, not 1: rolled back by bob@desk (lunch)", "look at it: agentctl rollout show r-1")]
    public async Task A_driver_that_has_a_successor_starts_nothing(string state, long revision, string why, string remedy)
    {
        using World world = Told(1);
        world.Engine.KeepRollout(World.Shop, Rollout(revision, Enum.Parse<RolloutState>(state)));
        var refused = await Assert.ThrowsAsync<OperatorException>(() => TurnAsync(world, 1));
        Assert.Equal((ExitCode.Refused, why, remedy), (refused.Code, refused.Message, refused.Remedy));
        Assert.Empty(world.Engine.State(World.Shop).Deployments);
    }

    [Fact]
    public async Task A_rollout_that_was_not_told_or_is_paused_has_no_turns()
    {
        using World world = World.New();
        var refused = await Assert.ThrowsAsync<OperatorException>(() => TurnAsync(world, 1));
        Assert.Equal(("this host does not know rollout r-1", "put it on its hosts: agentctl rollout resume r-1"), (refused.Message, refused.Remedy));
        world.Engine.KeepRollout(World.Shop, Rollout(1, RolloutState.Paused) with { Reason = "" });
        refused = await Assert.ThrowsAsync<OperatorException>(() => TurnAsync(world, 1));
        Assert.Equal(("rollout r-1 does not run: paused by bob@desk", "go on with it: agentctl rollout resume r-1"), (refused.Message, refused.Remedy));
        world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.RollingBack));
        await Assert.ThrowsAsync<OperatorException>(() => TurnAsync(world, 2));
        Assert.Empty(world.Engine.State(World.Shop).Deployments);
    }

    [Fact]
    public async Task A_pause_that_comes_while_the_version_is_looked_up_still_counts()
    {
        using World world = Told(1);
        var answers = new TaskCompletionSource();
        world.Source.Answers = answers.Task;
        Task<Deployment> turn = TurnAsync(world, 1);
        world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.Paused));
        answers.SetResult();
        await Assert.ThrowsAsync<OperatorException>(() => turn);
        Assert.Empty(world.Engine.State(World.Shop).Deployments);
    }

    [Fact]
    public async Task While_a_rollout_rolls_back_a_host_goes_back()
    {
        using World world = Told(1);
        await world.DeployAsync("v1.1.0");
        await TurnAsync(world, 1);
        await world.Engine.IdleAsync();
        world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.RollingBack));
        Deployment back = await world.StartAsync("v1.1.0", request => request with { Trigger = Trigger.Rollback, Request = "r-1-back", Turn = new RolloutTurn("r-1", 2) });
        await world.Engine.IdleAsync();
        Assert.Equal(("v1.1.0", "r-1"), (world.Engine.State(World.Shop).Current!.Version, world.Engine.Find(back.Id).Rollout));
    }

    [Fact]
    public void The_highest_revision_is_kept_and_a_plan_never_changes()
    {
        using World world = Told(3);
        Assert.False(world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.Aborted)).Kept);
        Assert.False(world.Engine.KeepRollout(World.Shop, Rollout(3, RolloutState.Running) with { Driver = "eve" }).Kept);
        Assert.True(world.Engine.KeepRollout(World.Shop, Rollout(3, RolloutState.Running)).Kept);
        Assert.Single(world.Engine.State(World.Shop).Rollouts);
        var other = Assert.Throws<OperatorException>(() => world.Engine.KeepRollout(World.Shop, Rollout(4, RolloutState.Running) with { Plan = [2] }));
        Assert.Equal(("this host knows rollout r-1 with another plan", "a plan never changes: begin a new rollout"), (other.Message, other.Remedy));
        (bool kept, Rollout known) = world.Engine.KeepRollout(World.Shop, Rollout(9, RolloutState.Aborted));
        Assert.Equal((true, 9, RolloutState.Aborted), (kept, known.Revision, known.State));
        Assert.False(world.Engine.KeepRollout(World.Shop, Rollout(10, RolloutState.Running)).Kept);
        Assert.Equal(RolloutState.Aborted, world.Engine.State(World.Shop).Rollouts[0].State);
    }

    /// <summary>The driver lost its answer, asks again, and the power fails in that too.</summary>
    [Theory]
    [InlineData("v1.2.0")]
    [InlineData("v1.2.5")]
    public async Task No_host_deploys_twice_whatever_cuts_it(string version)
    {
        World live = Told(1);
        await live.DeployAsync("v1.1.0");
        int moments = 0;
        foreach (Loss loss in Enum.GetValues<Loss>())
            for (int cut = 0; ; cut++)
            {
                World world = live.After(Loss.AgentKilled, live.After(Loss.AgentKilled).Fuse.Used + cut);
                if (await EndsAsync(world, version)) break;
                moments++;
                World recovered = world.After(loss);
                Assert.True(await recovered.RecoverAsync());
                Assert.True(await EndsAsync(recovered, version));
                Assert.True(await EndsAsync(recovered, version));
                Deployment one = Assert.Single(recovered.Engine.State(World.Shop).Deployments, deployment => deployment.Request == "r-1");
                Assert.NotNull(one.Outcome);
                recovered.AssertConsistent($"cut {cut}, {loss}");
            }
        Assert.True(moments > 60, $"only {moments} moments were tried");
    }

    [Fact]
    public void A_rollout_is_kept_or_not_whatever_cuts_it()
    {
        World live = Told(1);
        foreach (Loss loss in Enum.GetValues<Loss>())
            for (int cut = 0; ; cut++)
            {
                World world = live.After(Loss.AgentKilled, live.After(Loss.AgentKilled).Fuse.Used + cut);
                bool kept = false;
                try
                {
                    kept = world.Engine.KeepRollout(World.Shop, Rollout(2, RolloutState.Paused)).Kept;
                }
                catch (PowerLostException)
                {
                    // The caller asks again.
                }
                using World later = world.After(loss);
                Rollout known = Assert.Single(later.Engine.State(World.Shop).Rollouts);
                Assert.True(known.Revision == 2 || (known.Revision == 1 && !kept), $"cut {cut}, {loss}: revision {known.Revision}");
                Assert.Equal(1, Assert.Single(known.Plan));
                if (kept) break;
            }
    }

    private static World Told(long revision)
    {
        World world = World.New();
        world.Engine.KeepRollout(World.Shop, Rollout(revision, RolloutState.Running));
        return world;
    }

    private static Rollout Rollout(long revision, RolloutState state) => new("r-1", revision, state, "bob@desk", "lunch", Noon, default, [1]);

    private static Task<Deployment> TurnAsync(World world, long revision, string version = "v1.2.0") =>
        world.StartAsync(version, request => request with { Request = "r-1", Turn = new RolloutTurn("r-1", revision) });

    /// <returns>False: power failed before the outcome.</returns>
    private static async Task<bool> EndsAsync(World world, string version)
    {
        try
        {
            await TurnAsync(world, 1, version);
            await world.Engine.IdleAsync();
            return !world.Fuse.Blown;
        }
        catch (PowerLostException)
        {
            return false;
        }
    }
}

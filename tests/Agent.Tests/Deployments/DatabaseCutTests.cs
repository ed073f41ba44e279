using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>Releases that migrate, and the end of the agent or of the power at every effect.</summary>
public class DatabaseCutTests
{
    [Theory]
    [InlineData("first deploy", "", "v1.2.0", "Live")]
    [InlineData("first deploy of a bad release", "", "v1.3.5", "RolledBack")]
    [InlineData("nothing pending", "v1.1.0", "v1.1.1", "Live")]
    [InlineData("only adds", "v1.4.0", "v1.5.0", "Live")]
    [InlineData("only adds, exits", "v1.4.0", "v1.5.5", "RolledBack")]
    [InlineData("changes", "v1.1.0", "v1.2.0", "Live")]
    [InlineData("changes, exits, taken back", "v1.1.0", "v1.2.5", "RolledBack")]
    [InlineData("changes for good", "v1.2.0", "v1.3.0", "Live")]
    [InlineData("changes for good, exits", "v1.2.0", "v1.3.5", "NeedsOperator")]
    [InlineData("contracts", "v1.3.0", "v1.4.0", "Live")]
    [InlineData("contracts, exits", "v1.3.0", "v1.4.5", "RolledBack")]
    [InlineData("rollback over what can be taken back", "v1.1.0 v1.2.0", "v1.1.0", "Live")]
    [InlineData("rollback to a release that does not run any more", "v1.1.0 v1.2.0", "v1.1.0", "RolledBack")]
    [InlineData("rollback over what cannot be taken back", "v1.2.0 v1.3.0", "v1.2.0", "Refused")]
    [InlineData("rollback over what was contracted", "v1.3.0 v1.4.0", "v1.3.0", "Refused")]
    public async Task Never_runs_a_release_on_a_database_that_it_cannot_read_but_says_so(string story, string before, string version, string outcome)
    {
        Trigger trigger = story.StartsWith("rollback", StringComparison.Ordinal) ? Trigger.Rollback : Trigger.Track;
        World live = World.New(database: true);
        foreach (string earlier in before.Split(' ', StringSplitOptions.RemoveEmptyEntries)) Assert.Equal(Outcome.Live, (await live.DeployAsync(earlier))!.Outcome);
        if (story.EndsWith("does not run any more", StringComparison.Ordinal)) live.System.Broken.Add(version);
        foreach (Loss loss in Enum.GetValues<Loss>())
            for (int cut = 0; ; cut++)
            {
                World world = live.After(Loss.AgentKilled, live.After(Loss.AgentKilled).Fuse.Used + cut);
                string? old = world.Installed.Current(World.Shop);
                if (await world.DeployAsync(version, trigger) is { } ended)
                {
                    Assert.Equal(outcome, ended.Outcome.ToString());
                    AssertFits(world, $"{story}, not cut");
                    break;
                }
                string where = $"{story}, cut {cut}, {loss}";
                World recovered = world.After(loss);
                Assert.True(await recovered.RecoverAsync());
                string? current = recovered.Installed.Current(World.Shop);
                Assert.True(current == old || current == version, $"{where}: current is {current}");
                AssertFits(recovered, where);
                Deployment? next = await recovered.DeployAsync("v1.9.0");
                Assert.True(next?.Outcome == Outcome.Live, $"{where}: the next deployment ended {next?.Outcome}: {next?.Cause}");
                recovered.AssertConsistent(where + ", next deployment");
                AssertFits(recovered, where + ", next deployment");
            }
    }

    [Fact]
    public async Task What_was_left_in_place_is_what_runs_until_a_person_chooses()
    {
        World world = World.New(database: true);
        await world.DeployAsync("v1.1.0");
        await world.DeployAsync("v1.2.0");
        Deployment stuck = (await world.DeployAsync("v1.3.5"))!;
        Assert.Equal((Outcome.NeedsOperator, "choose", "v1.3.5"), (stuck.Outcome, stuck.Remedy, world.Installed.Current(World.Shop)));
        Assert.Contains("v1.2.0 cannot live with the database, so v1.3.5 was left where it was", world.Engine.Verdict(stuck), StringComparison.Ordinal);
        Deployment refused = await RollBackAsync(world, ignoreSchema: false);
        Assert.Equal((Outcome.Refused, "v1.3.5", "v1.2.0"), (refused.Outcome, refused.From?.Version, refused.To.Version));
        Assert.Equal("v1.3.5", world.Installed.Current(World.Shop));
        Deployment back = await RollBackAsync(world, ignoreSchema: true);
        Assert.Equal((Outcome.Live, "v1.2.0"), (back.Outcome, back.To.Version));
        world.AssertConsistent("after the choice");
    }

    private static async Task<Deployment> RollBackAsync(World world, bool ignoreSchema)
    {
        Deployment started = await world.Engine.StartAsync(
            new(World.Shop, null, Trigger.Rollback, "test", Force: false) { IgnoreSchema = ignoreSchema }, TestContext.Current.CancellationToken);
        await world.Engine.IdleAsync();
        return world.Engine.Find(started.Id);
    }

    /// <summary>What `current` points at can live with the database, or a person was told; nobody holds the lock.</summary>
    private static void AssertFits(World world, string where)
    {
        AppState state = world.Engine.State(World.Shop);
        Assert.True(state.Running is null, $"{where}: {state.Running?.Id} has no outcome");
        Assert.False(world.Database!.Locked, $"{where}: the lock is held");
        Assert.True(
            world.Installed.Current(World.Shop) is not { } current || world.Database.Fits(current) || state.Attention is not null,
            $"{where}: {world.Installed.Current(World.Shop)} runs on {string.Join(' ', world.Database.Applied)}");
        if (state.Attention is null) world.AssertConsistent(where);
    }
}

using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Deployments;

/// <summary>The end of the agent or of the power at every effect, and again at every effect of the recovery.</summary>
public class PowerCutTests
{
    [Theory]
    [InlineData("first deploy")]
    [InlineData("first deploy of a bad release")]
    [InlineData("upgrade")]
    [InlineData("upgrade to a release that exits")]
    [InlineData("upgrade to a release that answers 500")]
    [InlineData("rollback")]
    [InlineData("redeploy")]
    [InlineData("rich: first deploy")]
    [InlineData("rich: first deploy of a bad release")]
    [InlineData("rich: upgrade")]
    [InlineData("rich: upgrade to a release that exits")]
    [InlineData("rich: upgrade to a release whose hook before the flip fails")]
    [InlineData("rich: upgrade to a release whose hook after the gate fails")]
    [InlineData("rich: upgrade that compacts the journal and sweeps old releases")]
    [InlineData("rich: rollback")]
    [InlineData("rich: rollback to a release that does not run any more")]
    [InlineData("rich: redeploy")]
    public async Task Ends_on_the_old_or_the_new_release_whatever_the_moment(string story)
    {
        (string[] before, string version, Trigger trigger) = StoryOf(story);
        int moments = 0;
        World live = await LiveAsync(story, before);
        foreach (Loss loss in Enum.GetValues<Loss>())
            for (int cut = 0; ; cut++)
            {
                World world = Started(live, cut);
                string? old = world.Installed.Current(World.Shop);
                Deployment? ended = await world.DeployAsync(version, trigger, force: story.EndsWith("redeploy", StringComparison.Ordinal));
                if (ended is not null)
                {
                    world.AssertConsistent($"{story}, not cut");
                    break;
                }
                moments++;
                await RecoverAndCheckAsync(world, loss, old, version, $"{story}, cut {cut}, {loss}");
            }
        Assert.True(moments > 60, $"only {moments} moments were tried");
    }

    [Theory]
    [InlineData("upgrade")]
    [InlineData("upgrade to a release that exits")]
    [InlineData("first deploy of a bad release")]
    [InlineData("rollback")]
    public async Task Ends_on_the_old_or_the_new_release_when_the_recovery_is_cut_too(string story)
    {
        (string[] before, string version, Trigger trigger) = StoryOf(story);
        int moments = 0;
        World live = await LiveAsync(story, before);
        foreach (Loss loss in Enum.GetValues<Loss>())
            for (int cut = 0; ; cut++)
            {
                World world = Started(live, cut);
                string? old = world.Installed.Current(World.Shop);
                if (await world.DeployAsync(version, trigger) is not null) break;
                for (int again = 0; ; again++)
                {
                    World recovering;
                    try
                    {
                        recovering = world.After(loss, again);
                    }
                    catch (PowerLostException)
                    {
                        continue;   // before the agent had even opened its journal
                    }
                    if (await recovering.RecoverAsync()) break;
                    moments++;
                    await RecoverAndCheckAsync(recovering, loss, old, version, $"{story}, cut {cut}, {loss}, again at {again}");
                }
            }
        Assert.True(moments > 500, $"only {moments} moments were tried");
    }

    private static (string[] Before, string Version, Trigger Trigger) StoryOf(string story) => story.Replace("rich: ", "", StringComparison.Ordinal) switch
    {
        "first deploy" => ([], "v1.1.0", Trigger.Deploy),
        "first deploy of a bad release" => ([], "v1.1.5", Trigger.Deploy),
        "upgrade" => (["v1.1.0"], "v1.2.0", Trigger.Track),
        "upgrade to a release that exits" => (["v1.1.0"], "v1.2.5", Trigger.Track),
        "upgrade to a release that answers 500" => (["v1.1.0"], "v1.2.6", Trigger.Deploy),
        "upgrade to a release whose hook before the flip fails" => (["v1.1.0"], "v1.2.7", Trigger.Track),
        "upgrade to a release whose hook after the gate fails" => (["v1.1.0"], "v1.2.8", Trigger.Track),
        "upgrade that compacts the journal and sweeps old releases" => (["v1.1.0", "v1.1.1", "v1.1.2", "v1.1.3"], "v1.2.0", Trigger.Track),
        "rollback" or "rollback to a release that does not run any more" => (["v1.1.0", "v1.2.0"], "v1.1.0", Trigger.Rollback),
        "redeploy" => (["v1.1.0"], "v1.1.0", Trigger.Deploy),
        _ => throw new ArgumentOutOfRangeException(nameof(story)),
    };

    /// <summary>A world in which some releases were deployed.</summary>
    private static async Task<World> LiveAsync(string story, string[] versions)
    {
        World world = World.New(rich: story.StartsWith("rich", StringComparison.Ordinal));
        foreach (string version in versions)
            Assert.Equal(Outcome.Live, (await world.DeployAsync(version))!.Outcome);
        if (story.EndsWith("does not run any more", StringComparison.Ordinal)) world.System.Broken.Add(versions[0]);
        return world;
    }

    /// <summary>The agent started again, with so many effects left behind its start.</summary>
    private static World Started(World world, int effects) => world.After(Loss.AgentKilled, world.After(Loss.AgentKilled).Fuse.Used + effects);

    private static async Task RecoverAndCheckAsync(World world, Loss loss, string? old, string version, string where)
    {
        World recovered = world.After(loss);
        Assert.True(await recovered.RecoverAsync());
        string? current = recovered.Installed.Current(World.Shop);
        Assert.True(current == old || current == version, $"{where}: current is {current}");
        recovered.AssertConsistent(where);
        Deployment? next = await recovered.DeployAsync("v1.9.0");
        Assert.True(next?.Outcome == Outcome.Live, $"{where}: the next deployment ended {next?.Outcome}: {next?.Cause}");
        recovered.AssertConsistent(where + ", next deployment");
    }
}

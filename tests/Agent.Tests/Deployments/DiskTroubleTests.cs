using Agent.Artifacts;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>The disk refuses writes (full, no inodes, read-only) from each moment of a deployment on, for a while or for good; the journal lies on it too.</summary>
public class DiskTroubleTests
{
    [Theory]
    [InlineData("v1.2.0", 1)]
    [InlineData("v1.2.0", 5)]
    [InlineData("v1.2.0", int.MaxValue)]
    [InlineData("v1.2.5", 1)]
    [InlineData("v1.2.5", int.MaxValue)]
    public async Task A_deployment_on_a_sick_disk_ends_and_the_agent_lives(string version, int lasts)
    {
        int moments = 0, refused = 0;
        for (int after = 0; ; after++)
        {
            using World world = World.New(rich: true);
            Assert.Equal(Outcome.Live, (await world.DeployAsync("v1.1.0"))!.Outcome);
            world.Disk.TroubleFrom(after, lasts);
            string where = $"{version}, {lasts} writes refused after {after}";
            Deployment? ended = null;
            try
            {
                ended = await world.DeployAsync(version, Trigger.Track);
            }
            catch (IOException)
            {
                refused++;   // its first record could not be written
            }
            if (!world.Disk.Refused) break;
            moments++;
            if (ended is not null)
            {
                Assert.True(ended.Outcome is not null, $"{where}: no outcome");
                Assert.True(ended.Outcome == Outcome.Live || ended.Cause?.Length > 0, $"{where}: no cause");
            }
            // Room again: what is left behind may only be litter, and what a full disk kept from going back is told.
            world.Disk.TroubleFrom(int.MaxValue, 0);
            string? current = world.Installed.Current(World.Shop);
            Assert.True(current == "v1.1.0" || current == version, $"{where}: current is {current}");
            if (ended?.Outcome is Outcome.RolledBack or Outcome.Refused or null) Assert.True(current == "v1.1.0", $"{where}: {ended?.Outcome}, and current is {current}");
            if (ended?.Outcome == Outcome.Live) Assert.True(current == version, $"{where}: live, and current is {current}");
            using World later = world.After(Loss.AgentKilled);
            Assert.True(await later.RecoverAsync());
            Deployment? next = await later.DeployAsync("v1.9.0", force: true);
            Assert.True(next?.Outcome == Outcome.Live, $"{where}: the next deployment ended {next?.Outcome}: {next?.Cause}");
            later.AssertConsistent(where + ", next deployment");
        }
        Assert.True(moments > 60, $"only {moments} moments were tried");
        Assert.True(refused > 0, "the first record was always written");
    }
}

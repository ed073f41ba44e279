using System.Globalization;
using Agent.Artifacts;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Deployments;

/// <summary>
/// Lives of a host: deployments, rollbacks and wishes of people, cut by power failures and deaths of the agent, also in recovery and in the
/// recovery of that. A life is its seed: <c>AGENTD_SEEDS=4711-4711</c> runs one again, <c>AGENTD_SEEDS=0-99999</c> many.
/// </summary>
public class SeedTests
{
    [Fact]
    public async Task Every_life_agrees_with_its_journal_whatever_cuts_it()
    {
        string[] range = (Environment.GetEnvironmentVariable("AGENTD_SEEDS") ?? "0-999").Split('-');
        int first = int.Parse(range[0], CultureInfo.InvariantCulture), last = int.Parse(range[^1], CultureInfo.InvariantCulture);
        int cuts = 0;
        await Parallel.ForAsync(first, last + 1, TestContext.Current.CancellationToken, async (seed, _) => Interlocked.Add(ref cuts, await LiveAsync(seed)));
        Assert.True(last - first < 100 || cuts > last - first, $"only {cuts} cuts");
    }

    /// <returns>How often it was cut.</returns>
    private static async Task<int> LiveAsync(int seed)
    {
        var random = new Random(seed);
        World world = World.New(rich: random.Next(4) > 0);
        int cuts = 0;
        for (int chapter = 0; chapter < 6; chapter++)
        {
            string where = $"seed {seed}, chapter {chapter}";
            // Restarted with so many effects to live; some lives see no end.
            Fuse now = world.Fuse;
            world = world.After(Loss.AgentKilled, random.Next(3) == 0 ? int.MaxValue : world.After(Loss.AgentKilled).Fuse.Used + random.Next(220));
            string? before = world.Installed.Current(World.Shop);
            string wanted = await HappenAsync(world, random);
            while (world.Fuse.Blown)
            {
                cuts++;
                var loss = (Loss)random.Next(4);
                try
                {
                    world = world.After(loss, random.Next(2) == 0 ? int.MaxValue : random.Next(150));
                    await world.RecoverAsync();
                }
                catch (PowerLostException)
                {
                    // Before the agent had even opened its journal; the disk is as it was.
                }
            }
            string? current = world.Installed.Current(World.Shop);
            Assert.True(current == before || current == wanted, $"{where}: current is {current}, it was {before}, wanted was {wanted}");
            world.AssertConsistent(where);
        }
        return cuts;
    }

    private static async Task<string> HappenAsync(World world, Random random)
    {
        string version = $"v1.{random.Next(20)}.{random.Next(10)}";
        try
        {
            switch (random.Next(10))
            {
                case 0:
                    world.Engine.Hold(World.Shop, "ann", "why not");
                    return "";
                case 1:
                    world.Engine.Resume(World.Shop, "ann");
                    return "";
                case 2 or 3:
                    ReleaseRef? back = world.Engine.State(World.Shop).Proved.Skip(1).Select(p => p.Release).FirstOrDefault(r => world.Installed.Holds(World.Shop, r));
                    if (back is not null) await world.DeployAsync(back.Version, Trigger.Rollback);
                    return back?.Version ?? "";
                default:
                    await world.DeployAsync(version, random.Next(2) == 0 ? Trigger.Track : Trigger.Deploy, force: random.Next(2) == 0);
                    return version;
            }
        }
        catch (OperatorException)
        {
            return version;   // quarantined, or another content of a version that ran here
        }
        catch (PowerLostException)
        {
            return version;
        }
    }
}

using Agent.Daemon.Health;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Health;

public class WatchedTimeTests
{
    [Fact]
    public void Counts_all_where_it_is_looked_often()
    {
        var time = new WatchedTime();
        Assert.Equal(TimeSpan.FromSeconds(0.25), time.Look(TimeSpan.FromSeconds(0.25)));
        Assert.Equal(TimeSpan.FromSeconds(1.25), time.Look(TimeSpan.FromSeconds(1.25)));
        Assert.False(time.GapSince(TimeSpan.Zero));
    }

    [Fact]
    public void Counts_a_second_of_a_gap_and_remembers_its_end()
    {
        var time = new WatchedTime();
        time.Look(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(2), time.Look(TimeSpan.FromHours(9)));
        Assert.True(time.GapSince(TimeSpan.FromSeconds(1)));
        Assert.True(time.GapSince(TimeSpan.FromHours(9)));
        Assert.False(time.GapSince(TimeSpan.FromHours(9) + TimeSpan.FromTicks(1)));
    }

    [Fact]
    public void Never_goes_back_and_never_counts_more_than_passed_or_more_than_a_second_a_look() => Prop.ForAll<int[]>(steps =>
    {
        var time = new WatchedTime();
        TimeSpan at = TimeSpan.Zero, before = TimeSpan.Zero;
        foreach (int step in steps)
        {
            at += TimeSpan.FromMilliseconds(step * 37);       // also back
            TimeSpan now = time.Look(at);
            if (now < before || now - before > WatchedTime.Most) return false;
            before = now;
        }
        return before <= TimeSpan.FromMilliseconds(steps.Where(step => step > 0).Sum(step => step * 37L));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
}

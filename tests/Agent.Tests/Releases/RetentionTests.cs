using System.Collections.Immutable;
using Agent.Daemon.Releases;
using Agent.Daemon.State;
using Agent.Tests.Fakes;

namespace Agent.Tests.Releases;

/// <summary>What stays and why, and what goes.</summary>
public class RetentionTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly ReleaseRef Bad = new("v9.0.0", "9"), Stranger = new("v8.0.0", "8");

    [Fact]
    public void What_runs_the_last_good_one_and_as_many_good_ones_as_are_wanted_stay()
    {
        Assert.Equal(["5: runs", "4: last good", "3: good, 2 of 2 kept"], Reasons(Good(5), keep: 2));
        Assert.Equal(["5: runs", "4: last good"], Reasons(Good(5), keep: 1));
        Assert.Empty(Reasons(Good(0), keep: 2));
    }

    [Fact]
    public void A_pinned_release_stays_and_is_no_spare()
    {
        AppState pinned = Good(5) with { Pin = new Pin("v1.0.0", "ann", "", Now) };
        Assert.Equal(["5: runs", "4: last good", "3: good, 2 of 2 kept", "1: pinned"], Reasons(pinned, keep: 2));
        Assert.Equal(["v3.0.0"], Retention.Spare(pinned, 2).Select(release => release.Version));
    }

    [Fact]
    public void What_is_under_way_stays_with_what_it_came_from()
    {
        AppState running = Good(1) with { Deployments = [Deploying(Bad, from: new ReleaseRef("v1.0.0", "1"))] };
        Assert.Equal(["9: shop-9 is under way", "1: runs"], Reasons(running, keep: 2));
        AppState first = Good(0) with { Deployments = [Deploying(Bad, from: null)] };
        Assert.Equal(["9: shop-9 is under way"], Reasons(first, keep: 2));
    }

    [Fact]
    public void Where_space_is_short_the_oldest_goes_first_and_never_the_last_good_one()
    {
        Assert.Equal(["v2.0.0", "v3.0.0"], Retention.Spare(Good(5), 3).Select(release => release.Version));
        Assert.Empty(Retention.Spare(Good(5), 1));
    }

    [Fact]
    public void What_goes_says_why()
    {
        AppState state = Good(5) with { Quarantined = ImmutableDictionary<string, Quarantine>.Empty.Add("9", new Quarantine(Bad, "500", "shop-9", Now)) };
        Assert.Null(Retention.Goes(state, 2, new ReleaseRef("v3.0.0", "3")));
        Assert.Equal("2 newer good ones are kept", Retention.Goes(state, 2, new ReleaseRef("v2.0.0", "2")));
        Assert.Equal("it failed here", Retention.Goes(state, 2, Bad));
        Assert.Equal("it never proved healthy here", Retention.Goes(state, 2, Stranger));
    }

    private static AppState Good(int count) => AppState.Empty(World.Shop) with
    {
        Proved = [.. Enumerable.Range(1, count).Reverse().Select(n => new ProvedRelease(new ReleaseRef($"v{n}.0.0", $"{n}"), $"shop-{n}", Now.AddDays(n)))],
    };

    private static Deployment Deploying(ReleaseRef to, ReleaseRef? from) => new(
        "shop-9", World.Shop, from, null, to, Trigger.Deploy, "ann", Now, null, null, null, null, null, []);

    private static IEnumerable<string> Reasons(AppState state, int keep) =>
        Retention.Reasons(state, keep).OrderByDescending(reason => reason.Key, StringComparer.Ordinal).Select(reason => $"{reason.Key}: {reason.Value}");
}

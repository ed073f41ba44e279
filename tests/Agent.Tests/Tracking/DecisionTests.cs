using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Daemon.Tracking;

namespace Agent.Tests.Tracking;

public class DecisionTests
{
    private static readonly Track Channel = new Track.Channel("stable");
    private static readonly Track Range = new Track.Range(new VersionRange("*"));

    public static TheoryData<bool> Tracks => [true, false];

    [Theory, MemberData(nameof(Tracks))]
    public void Deploys_the_first_release(bool channel) => Deploys("v1.0.0", States.Empty, Of(channel));

    [Theory, MemberData(nameof(Tracks))]
    public void Deploys_a_higher_version(bool channel) => Deploys("v1.10.0", States.Running("v1.9.0"), Of(channel));

    [Theory, MemberData(nameof(Tracks))]
    public void Leaves_what_is_current(bool channel) => Leaves("v1.0.0", States.Running("v1.0.0"), Of(channel), "v1.0.0 is current");

    [Fact]
    public void A_range_never_goes_down() => Leaves("v1.0.0", States.Running("v1.1.0"), Range, "v1.0.0 is not above v1.1.0, and a range never goes down");

    [Fact]
    public void A_range_does_not_move_between_builds_of_one_version() => Leaves("v1.0.0+b", States.Running("v1.0.0+a"), Range, "is not above");

    [Fact]
    public void A_channel_that_points_lower_was_signed_to_do_so() => Deploys("v1.0.0", States.Running("v1.1.0"), Channel);

    [Theory, MemberData(nameof(Tracks))]
    public void Never_a_quarantined_digest(bool channel)
    {
        AppState state = States.Running("v1.0.0");
        var quarantine = new Quarantine(States.Ref("v1.1.0"), "up failed", "d1", default);
        state = state with { Quarantined = state.Quarantined.Add(States.Id("v1.1.0").Digest.Hex, quarantine) };
        Leaves("v1.1.0", state, Of(channel), "v1.1.0 is quarantined here: up failed");
        Deploys("v1.2.0", state, Of(channel));
    }

    [Theory, MemberData(nameof(Tracks))]
    public void After_a_persons_rollback_only_a_newer_one_is_deployed(bool channel)
    {
        AppState state = States.Running("v1.0.0") with { HeldAt = "v1.2.0" };
        Leaves("v1.2.0", state, Of(channel), "v1.2.0 is held back: a person rolled back from v1.2.0");
        Leaves("v1.1.0", state, Of(channel), "is held back");
        Leaves("v0.9.0", state, Of(channel), "is held back");
        Deploys("v1.2.1", state, Of(channel));
    }

    [Theory, MemberData(nameof(Tracks))]
    public void A_hold_stops_everything_and_says_who_and_why(bool channel)
    {
        AppState state = States.Running("v1.0.0") with { Hold = new Hold("uid 1000 (ann)", "audit", new DateTimeOffset(2026, 5, 4, 3, 2, 1, TimeSpan.Zero)) };
        Leaves("v1.1.0", state, Of(channel), "held since 2026-05-04 03:02 UTC by uid 1000 (ann): audit");
    }

    [Fact]
    public void A_pin_goes_where_it_points_whatever_was_rolled_back_before()
    {
        AppState state = States.Running("v1.5.0") with { Pin = new Pin("v1.2.0", "uid 0 (root)", "", default), HeldAt = "v1.9.0", PassedOver = "v1.2.0" };
        Deploys("v1.2.0", state, new Track.Exactly(new ReleaseVersion("v1.2.0")));
        Leaves("v1.5.0", state, new Track.Exactly(new ReleaseVersion("v1.5.0")), "is current");
    }

    [Theory, MemberData(nameof(Tracks))]
    public void Never_above_the_operators_ceiling(bool channel)
    {
        Leaves("v2.0.0", States.Running("v1.0.0"), Of(channel), "v2.0.0 is above v1.9.9, the operator's max_version", most: new ReleaseVersion("v1.9.9"));
        Deploys("v1.9.9", States.Running("v1.0.0"), Of(channel), most: new ReleaseVersion("v1.9.9"));
    }

    [Fact]
    public void What_a_person_deployed_stays_until_the_channel_moves()
    {
        AppState state = States.Running("v1.3.0") with { PassedOver = "v1.2.0" };
        Leaves("v1.2.0", state, Channel, "v1.2.0 was passed over: a person deployed v1.3.0 while channel stable pointed at it");
        Deploys("v1.1.0", state, Channel);
        Deploys("v1.4.0", state, Channel);
    }

    [Theory, MemberData(nameof(Tracks))]
    public void Leaves_an_app_that_needs_an_operator(bool channel) =>
        Leaves("v1.1.0", States.Running("v1.0.0") with { Attention = new Attention("d7", "v1.0.5", "") }, Of(channel), "left alone since deployment d7 needs an operator");

    [Theory, MemberData(nameof(Tracks))]
    public void Leaves_an_app_that_is_being_deployed(bool channel) =>
        Leaves("v1.1.0", States.Running("v1.0.0") with { Deployments = [States.Deployment("d7", "v1.0.5", null)] }, Of(channel), "deployment d7 of v1.0.5 is under way");

    [Theory, MemberData(nameof(Tracks))]
    public void Leaves_a_release_that_failed_until_its_pause_is_over(bool channel)
    {
        Leaves("v1.1.0", States.Running("v1.0.0"), Of(channel), "tried again in 90 s", TimeSpan.FromSeconds(90));
        Deploys("v1.1.0", States.Running("v1.0.0"), Of(channel), TimeSpan.FromSeconds(-1));
    }

    [Theory, MemberData(nameof(Tracks))]
    public void Leaves_a_version_that_came_back_with_another_content(bool channel)
    {
        AppState state = States.Running("v1.0.0") with { Proved = [new ProvedRelease(new ReleaseRef("v1.0.0", new string('f', 64)), "shop-1", default)] };
        Leaves("v1.0.0", state, Of(channel), "another content");
    }

    [Fact]
    public void Nothing_that_matches_is_told()
    {
        var nothing = Assert.IsType<Decision.Nothing>(Decision.Decide(States.Empty, null, Channel, null, TimeSpan.Zero));
        Assert.Equal("nothing in the store matches channel stable", nothing.Reason);
    }

    private static Track Of(bool channel) => channel ? Channel : Range;

    private static void Deploys(string latest, AppState state, Track track, TimeSpan pause = default, ReleaseVersion? most = null) =>
        Assert.Equal(new Decision.Deploy(States.Id(latest)), Decision.Decide(state, States.Id(latest), track, most, pause));

    private static void Leaves(string latest, AppState state, Track track, string reason, TimeSpan pause = default, ReleaseVersion? most = null) =>
        Assert.Contains(reason, Assert.IsType<Decision.Nothing>(Decision.Decide(state, States.Id(latest), track, most, pause)).Reason, StringComparison.Ordinal);
}

/// <summary>States of the app shop.</summary>
internal static class States
{
    public static readonly AppName Shop = new("shop");

    public static readonly AppState Empty = AppState.Empty(Shop);

    public static ReleaseId Id(string version) => new(Shop, new ReleaseVersion(version), Digest.Of(System.Text.Encoding.UTF8.GetBytes(version)));

    public static ReleaseRef Ref(string version) => new(version, Id(version).Digest.Hex);

    public static AppState Running(string version) => Empty with { Proved = [new ProvedRelease(Ref(version), "shop-1", default)] };

    public static Deployment Deployment(string id, string to, Outcome? outcome) =>
        new(id, Shop, null, null, Ref(to), Trigger.Track, "tracking", default, null, outcome, null, null, null, []);
}

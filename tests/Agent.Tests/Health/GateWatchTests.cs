using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;
using Agent.Daemon.Health;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Health;

/// <summary>What holds of the gate's decision whatever is seen, and in whatever order.</summary>
public class GateWatchTests
{
    private static readonly TimeSpan Start = TimeSpan.FromSeconds(3), Stable = TimeSpan.FromSeconds(5);
    private static readonly UnitName Unit = new("shop.service");
    private static readonly UnitState Running = new(Unit, "loaded", "active", "running", "success", 0, 100, "", 0, "i1", null);

    /// <summary>A look: after so long, of check <c>a</c>, check <c>b</c> or the unit, which was good or not.</summary>
    private sealed record Look(int Milliseconds, int What, bool Good);

    // Some runs mostly good, so that they reach the end of the stable time; some with a check that is slow to become good.
    private static readonly Arbitrary<Look[]> s_looks = (
        from count in Gen.Choose(20, 120)
        from weight in Gen.Choose(1, 12)
        from looks in (
            from milliseconds in Gen.Choose(0, 600)
            from what in Gen.Choose(0, 2)
            from good in Gen.Frequency((weight, Gen.Constant(true)), (1, Gen.Constant(false)))
            select new Look(milliseconds, what, good || (what == 2 && weight % 2 == 0))).ArrayOf(count)
        select looks).ToArbitrary();

    [Fact]
    public void Is_healthy_only_when_everything_was_last_seen_good_after_the_stable_time() => Holds((looks, end, verdict) =>
    {
        if (verdict is not { Healthy: true }) return true;
        Look[] seen = looks[..end];
        TimeSpan at = TimeSpan.Zero;
        TimeSpan[] times = [.. seen.Select(look => at += TimeSpan.FromMilliseconds(look.Milliseconds))];
        for (int what = 0; what < 3; what++)
        {
            int last = Array.FindLastIndex(seen, look => look.What == what);
            if (last < 0 || !seen[last].Good || times[last] < Stable) return false;
        }
        return true;
    });

    [Fact]
    public void Is_not_healthy_before_the_stable_time_has_passed_since_the_last_of_them_was_first_good() => Holds((looks, end, verdict) =>
    {
        if (verdict is not { Healthy: true }) return true;
        TimeSpan at = TimeSpan.Zero;
        TimeSpan[] times = [.. looks.Select(look => at += TimeSpan.FromMilliseconds(look.Milliseconds))];
        TimeSpan allGood = Enumerable.Range(0, 3).Max(what => times[Array.FindIndex(looks, look => look.What == what && look.Good)]);
        return times[end - 1] - allGood >= Stable;
    });

    [Fact]
    public void A_unit_that_was_seen_failed_is_never_healthy_again() => Holds((looks, end, verdict) =>
        verdict is not { Healthy: true } || !looks[..end].Any(look => look is { What: 2, Good: false }));

    [Fact]
    public void A_decision_stays() => Prop.ForAll(s_looks, looks =>
    {
        GateWatch watch = New();
        TimeSpan now = TimeSpan.Zero;
        bool failed = false;
        foreach (Look look in looks)
        {
            now = See(watch, look, now);
            GateVerdict? verdict = watch.At(now);
            if (failed && verdict is not { Healthy: false }) return false;
            if (verdict is { Healthy: true }) return watch.At(now) is { Healthy: true };
            failed |= verdict is not null;
        }
        return true;
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void Always_ends_also_when_nothing_is_seen_any_more() => Prop.ForAll(s_looks, looks =>
    {
        GateWatch watch = New();
        TimeSpan now = TimeSpan.Zero;
        foreach (Look look in looks)
        {
            now = See(watch, look, now);
            if (watch.At(now) is not null) return true;
        }
        return watch.At(now + Start + Stable + TimeSpan.FromMinutes(1)) is not null;
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Fact]
    public void The_generated_looks_reach_both_ends()
    {
        var ends = s_looks.Generator.Sample(300).Select(looks => Decide(looks).Verdict?.Healthy).ToList();
        Assert.InRange(ends.Count(healthy => healthy == true), 5, 295);
        Assert.InRange(ends.Count(healthy => healthy == false), 5, 295);
    }

    private static void Holds(Func<Look[], int, GateVerdict?, bool> property) => Prop.ForAll(s_looks, looks =>
    {
        (int end, GateVerdict? verdict) = Decide(looks);
        return property(looks, end, verdict);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    [Theory]
    [InlineData(null, null, true)]
    [InlineData("always", null, true)]
    [InlineData("on-failure", null, false)]
    [InlineData("no", null, false)]
    [InlineData(null, "daily", false)]
    public void Only_what_systemd_would_start_again_by_itself_was_stopped_by_hand(string? restart, string? schedule, bool byHand)
    {
        UnitName unit = schedule is null ? Unit : new UnitName("shop.timer");
        var watch = new GateWatch(Definition([new UnitSource.Rendered(unit, "bin/shop", null) { Restart = restart, Schedule = schedule }]), Start, Stable);
        watch.Saw(Running with { Unit = unit, ActiveState = "inactive", SubState = "dead" }, TimeSpan.Zero);
        GateVerdict verdict = watch.At(TimeSpan.Zero)!;
        Assert.Equal((false, byHand, byHand ? $"{unit} was stopped while it was watched" : $"{unit} ended"), (verdict.Healthy, verdict.ByHand, verdict.Cause));
    }

    [Fact]
    public void A_unit_that_somebody_else_brought_and_that_ends_has_ended()
    {
        var watch = new GateWatch(Definition([new UnitSource.Shipped(Unit, "shop.service")]), Start, Stable);
        watch.Saw(Running with { ActiveState = "inactive", SubState = "dead", ExitKind = "exited", Result = "success" }, TimeSpan.Zero);
        Assert.Equal("shop.service ended: exit status 0", watch.At(TimeSpan.Zero)!.Cause);
    }

    [Theory]
    [InlineData(1, 0, "1 unit good for 5 s")]
    [InlineData(2, 0, "2 units good for 5 s")]
    [InlineData(0, 1, "1 check good for 5 s")]
    [InlineData(1, 2, "1 unit and 2 checks good for 5 s")]
    public void What_held_is_counted(int units, int checks, string told)
    {
        AppDefinition definition = Definition(
            [.. Enumerable.Range(1, units).Select(n => new UnitSource.Rendered(new UnitName($"shop-{n}.service"), "bin/shop", null))],
            [.. Enumerable.Range(1, checks).Select(n => new CheckOptions.Tcp($"check {n}", "localhost", n, Start, Start, 1, 1))]);
        var watch = new GateWatch(definition, Start, Stable);
        foreach (TimeSpan at in new[] { TimeSpan.Zero, Stable })
        {
            foreach (UnitSource unit in definition.Units) watch.Saw(Running with { Unit = unit.Name }, at);
            foreach (CheckOptions check in definition.Checks) watch.Saw(new CheckAnswer(check.Name, true, ""), at);
            GateVerdict? verdict = watch.At(at);
            Assert.Equal(at == Stable ? told : null, verdict?.Cause);
        }
    }

    private static AppDefinition Definition(UnitSource[] units, params CheckOptions[] checks) =>
        new(new AppName("shop"), new Dictionary<string, string>(), units, checks, new GateOptions(Start, Stable));

    /// <returns>After how many looks, and what; null: they did not suffice.</returns>
    private static (int End, GateVerdict? Verdict) Decide(Look[] looks)
    {
        GateWatch watch = New();
        TimeSpan now = TimeSpan.Zero;
        for (int i = 0; i < looks.Length; i++)
        {
            now = See(watch, looks[i], now);
            if (watch.At(now) is { } verdict) return (i + 1, verdict);
        }
        return (looks.Length, null);
    }

    private static TimeSpan See(GateWatch watch, Look look, TimeSpan now)
    {
        now += TimeSpan.FromMilliseconds(look.Milliseconds);
        if (look.What == 2) watch.Saw(look.Good ? Running : Running with { ActiveState = "failed", SubState = "failed" }, now);
        else watch.Saw(new CheckAnswer(look.What == 0 ? "a" : "b", look.Good, ""), now);
        return now;
    }

    private static GateWatch New()
    {
        TimeSpan second = TimeSpan.FromSeconds(1);
        var definition = new AppDefinition(
            new AppName("shop"), new Dictionary<string, string>(), [new UnitSource.Rendered(Unit, "bin/shop", null)],
            [new CheckOptions.Tcp("a", "localhost", 1, second, second, 1, 2), new CheckOptions.Tcp("b", "localhost", 2, second, second, 2, 3)], new GateOptions(Start, Stable));
        return new GateWatch(definition, Start, Stable);
    }
}

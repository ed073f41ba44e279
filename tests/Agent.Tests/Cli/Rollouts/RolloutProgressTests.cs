using System.Collections.Immutable;
using Agent.Cli.Rollouts;
using FsCheck;
using FsCheck.Fluent;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>What comes next in a rollout, whatever becomes of its hosts.</summary>
public class RolloutProgressTests
{
    private static readonly Stand[] outcomes =
        [Stand.Live, Stand.Live, Stand.Live, Stand.Live, Stand.Already, Stand.RolledBack, Stand.Refused, Stand.NeedsOperator, Stand.Unreachable];

    /// <summary>A rollout lived to its end: some hosts, some limits, and what happens by the numbers.</summary>
    [Fact]
    public void Keeps_within_its_limits_and_ends() => Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), ArbMap.Default.ArbFor<NonEmptyArray<byte>>(), (shape, numbers) =>
    {
        var luck = new Luck(numbers.Get);
        RolloutProgress progress = Rollout(shape);
        var turns = new Dictionary<string, int>();
        var backs = new Dictionary<string, int>();
        int moves = 0;
        while (progress.Next() is not RolloutMove.End)
        {
            Assert.True(++moves < 1000, "it does not end");
            progress = Step(progress, luck, turns, backs);
        }
        Assert.DoesNotContain(progress.Stands.Values, RolloutProgress.IsUnderWay);
        Assert.All(turns.Values.Concat(backs.Values), count => Assert.Equal(1, count));
        if (progress.Will == Will.GoBack) Assert.DoesNotContain(progress.Stands.Values, stand => stand is Stand.Live or Stand.Unhealthy);
        if (progress.Will == Will.GoOn) Assert.DoesNotContain(Stand.Waiting, progress.Stands.Values);
        Assert.Equal(progress.Stands.Values.All(stand => stand is Stand.Live or Stand.Already), progress.ExitStatus() == 0);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void One_batch_at_a_time_and_the_canary_first()
    {
        RolloutProgress progress = Plan([["a"], ["b", "c"], ["d"]]) with { MaxUnavailable = 2, Soak = TimeSpan.FromMinutes(10), Pause = TimeSpan.FromSeconds(30) };
        AssertStarts(progress, 0, "a");
        progress = progress.With("a", Stand.UnderWay);
        Assert.IsType<RolloutMove.Wait>(progress.Next());
        progress = progress.With("a", Stand.Live);
        Assert.Equal(new RolloutMove.Settle(0, TimeSpan.FromMinutes(10)), progress.Next());
        Assert.IsType<RolloutMove.Wait>((progress with { Settling = true }).Next());
        progress = progress with { Settled = 1 };
        AssertStarts(progress, 1, "b", "c");
        progress = progress.With(["b", "c"], Stand.Live);
        Assert.Equal(new RolloutMove.Settle(1, TimeSpan.FromSeconds(30)), progress.Next());
        progress = progress with { Settled = 2 };
        AssertStarts(progress, 2, "d");
        Assert.IsType<RolloutMove.End>(progress.With("d", Stand.Live).Next());
    }

    [Fact]
    public void No_more_than_may_be_are_unavailable_within_a_batch()
    {
        RolloutProgress progress = Plan([["a", "b", "c", "d"]]) with { MaxUnavailable = 2, MaxFailures = 9 };
        AssertStarts(progress, 0, "a", "b");
        progress = progress.With(["a", "b"], Stand.UnderWay).With("a", Stand.RolledBack);
        AssertStarts(progress, 0, "c");
        progress = progress.With("c", Stand.UnderWay).With("b", Stand.NeedsOperator).With("c", Stand.Live);
        AssertStarts(progress, 0, "d");
        Assert.Equal(
            new RolloutMove.Decide(Will.Stop, "2 hosts are down, and no more than 2 may be"),
            Plan([["a", "b", "c"]]) is var three ? (three with { MaxUnavailable = 2, MaxFailures = 9 }).With(["a", "b"], Stand.Unreachable).Next() : null);
    }

    [Theory]
    [InlineData(false, "Stop")]
    [InlineData(true, "GoBack")]
    public void Stops_or_goes_back_where_too_many_have_failed(bool rollbackAll, string will)
    {
        RolloutProgress progress = Plan([["a"], ["b"], ["c"], ["d"]]) with { MaxFailures = 2, RollbackAll = rollbackAll };
        progress = progress.With("a", Stand.Live).With("b", Stand.RolledBack);
        AssertStarts(progress, 2, "c");
        progress = progress.With("c", Stand.Refused);
        Assert.Equal(new RolloutMove.Decide(Enum.Parse<Will>(will), "b rolled back, c refused"), progress.Next());
        Assert.IsType<RolloutMove.Start>((progress with { Forgiven = ["b"] }).Next());
    }

    [Fact]
    public void Goes_back_the_last_first_and_leaves_alone_what_ran_it_before()
    {
        RolloutProgress progress = Plan([["a"], ["b"], ["c"], ["d"], ["e"]]) with { Will = Will.GoBack };
        progress = progress.With("a", Stand.Already).With("b", Stand.Live).With("c", Stand.Live).With("d", Stand.RolledBack);
        Assert.Equal(["c"], Assert.IsType<RolloutMove.Return>(progress.Next()).Hosts);
        progress = progress.With("c", Stand.GoingBack);
        Assert.IsType<RolloutMove.Wait>(progress.Next());
        progress = progress.With("c", Stand.WentBack);
        Assert.Equal(["b"], Assert.IsType<RolloutMove.Return>(progress.Next()).Hosts);
        Assert.IsType<RolloutMove.End>(progress.With("b", Stand.NotBack).Next());
    }

    [Theory]
    [InlineData("Live Already", 0)]
    [InlineData("Live RolledBack", 1)]
    [InlineData("Live WentBack", 1)]
    [InlineData("Live Unhealthy", 1)]
    [InlineData("RolledBack NeedsOperator Unreachable", 3)]
    [InlineData("NotBack Unreachable", 3)]
    [InlineData("RolledBack Unreachable Refused", 4)]
    [InlineData("Live Refused", 5)]
    [InlineData("Live Waiting", 130)]
    [InlineData("RolledBack Waiting", 1)]
    public void The_exit_status_says_the_worst(string stands, int status)
    {
        Stand[] all = [.. stands.Split(' ').Select(Enum.Parse<Stand>)];
        RolloutProgress progress = Plan([[.. all.Select((_, n) => $"h{n}")]]);
        foreach ((int n, Stand stand) in all.Index()) progress = progress.With($"h{n}", stand);
        Assert.Equal(status, progress.ExitStatus());
    }

    private static RolloutProgress Step(RolloutProgress progress, Luck luck, Dictionary<string, int> turns, Dictionary<string, int> backs)
    {
        RolloutMove move = progress.Next();
        switch (move)
        {
            case RolloutMove.Start start:
                Assert.Equal(Will.GoOn, progress.Will);
                Assert.True(progress.Failures < progress.MaxFailures, "something new after the limit");
                Assert.All(start.Hosts, host => Assert.Equal(Stand.Waiting, progress.Stands[host]));
                Assert.All(progress.Batches.Take(start.Batch).SelectMany(batch => batch), host => Assert.NotEqual(Stand.Waiting, progress.Stands[host]));
                foreach (string host in start.Hosts) turns[host] = turns.GetValueOrDefault(host) + 1;
                progress = progress.With(start.Hosts, Stand.UnderWay);
                int unavailable = progress.Stands.Values.Count(stand => RolloutProgress.IsUnderWay(stand) || RolloutProgress.IsDown(stand));
                Assert.True(unavailable <= progress.MaxUnavailable, $"{unavailable} unavailable, {progress.MaxUnavailable} may be");
                return progress;
            case RolloutMove.Return back:
                Assert.Equal(Will.GoBack, progress.Will);
                Assert.All(back.Hosts, host => Assert.True(progress.Stands[host] is Stand.Live or Stand.Unhealthy));
                int down = progress.Stands.Values.Count(RolloutProgress.IsDown);
                foreach (string host in back.Hosts) backs[host] = backs.GetValueOrDefault(host) + 1;
                progress = progress.With(back.Hosts, Stand.GoingBack);
                Assert.True(
                    progress.Stands.Values.Count(stand => RolloutProgress.IsUnderWay(stand) || RolloutProgress.IsDown(stand)) <= Math.Max(progress.MaxUnavailable, down + 1), "too many go back at once");
                return progress;
            case RolloutMove.Settle settle:
                Assert.True(settle.Span > TimeSpan.Zero);
                string[] live = [.. progress.Hosts.Where(host => progress.Stands[host] == Stand.Live)];
                return live.Length > 0 && luck.Next(5) == 0
                    ? progress.With(live[luck.Next(live.Length)], Stand.Unhealthy)
                    : progress with { Settled = settle.Batch + 1 };
            case RolloutMove.Decide decide:
                Assert.True(decide.Will > progress.Will);
                Assert.NotEmpty(decide.Reason);
                return progress with { Will = decide.Will };
            default:
                if (luck.Next(12) == 0 && progress.Will != Will.GoBack) return progress with { Will = progress.Will + 1 };
                string[] underWay = [.. progress.Hosts.Where(host => RolloutProgress.IsUnderWay(progress.Stands[host]))];
                Assert.NotEmpty(underWay);
                string ended = underWay[luck.Next(underWay.Length)];
                return progress.Stands[ended] == Stand.GoingBack
                    ? progress.With(ended, luck.Next(3) switch { 0 => Stand.NotBack, 1 => Stand.Unreachable, _ => Stand.WentBack })
                    : progress.With(ended, outcomes[luck.Next(outcomes.Length)]);
        }
    }

    /// <summary>Batches of 1 to 4 hosts, and limits, by the numbers.</summary>
    private static RolloutProgress Rollout(byte[] shape)
    {
        var luck = new Luck(shape.Length == 0 ? [1] : shape);
        int host = 0;
        ImmutableArray<ImmutableArray<string>> batches = [.. Enumerable.Range(0, 1 + luck.Next(8)).Select(_ => Enumerable.Range(0, 1 + luck.Next(4)).Select(_ => $"h{host++}").ToImmutableArray())];
        return Plan(batches) with
        {
            MaxFailures = 1 + luck.Next(4),
            MaxUnavailable = 1 + luck.Next(4),
            RollbackAll = luck.Next(2) == 0,
            Soak = TimeSpan.FromMinutes(luck.Next(3)),
            Pause = TimeSpan.FromSeconds(luck.Next(3)),
        };
    }

    private static RolloutProgress Plan(ImmutableArray<ImmutableArray<string>> batches) =>
        new(batches, batches.SelectMany(batch => batch).ToImmutableDictionary(host => host, _ => Stand.Waiting));

    private static void AssertStarts(RolloutProgress progress, int batch, params string[] hosts)
    {
        RolloutMove.Start start = Assert.IsType<RolloutMove.Start>(progress.Next());
        Assert.Equal((batch, string.Join(' ', hosts)), (start.Batch, string.Join(' ', start.Hosts)));
    }

    /// <summary>Numbers from a list, over and over.</summary>
    private sealed class Luck(byte[] numbers)
    {
        private uint at;

        public int Next(int below) => (int)((numbers[at % numbers.Length] + (at++ / numbers.Length)) % below);
    }
}

using System.Collections.Immutable;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Daemon.State;
using FsCheck;
using FsCheck.Fluent;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.State;

/// <summary>What compaction leaves folds to the same state, whatever happened before.</summary>
public class CompactionTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private enum Happening
    {
        Live,
        RolledBack,
        Quarantined,
        NeedsOperator,
        PersonRollsBack,
        PersonDeploys,
        Hold,
        Resume,
        Pin,
        Unpin,
        Unquarantine,
        UnsignedPush,
        Rollout,
        RolloutAgain,
        Compact,
    }

    [Fact]
    public void Folds_to_the_same_state_but_for_the_deployments_that_it_drops() => Prop.ForAll(
        ArbMap.Default.ArbFor<(Happening, bool)[]>(), ArbMap.Default.ArbFor<byte>(),
        (happenings, kept) =>
        {
            int history = 1 + (kept % 5);
            IReadOnlyList<JournalRecord> records = Story(happenings, history);
            AgentState whole = Fold(records), compacted = Fold(Compaction.Records(whole, history, Now));
            Assert.Equal(whole.Apps.Keys.Order(), compacted.Apps.Keys.Order());
            foreach ((string name, AppState before) in whole.Apps)
            {
                AppState after = compacted.Apps[name];
                Assert.Equal(Text(before with { Deployments = [], Dropped = 0 }), Text(after with { Deployments = [], Dropped = 0 }));
                Assert.Equal(before.Count, after.Count);
                Assert.Equal(before.Deployments.TakeLast(history).Select(Text), after.Deployments.Select(Text));
            }
            Assert.Equal(Text(compacted), Text(Fold(Compaction.Records(compacted, history, Now))));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Survives_the_journal() => Prop.ForAll(ArbMap.Default.ArbFor<(Happening, bool)[]>(), happenings =>
    {
        var disk = new Fakes.SimulatedDisk(new Fakes.Fuse(int.MaxValue));
        Journal journal = Journal.Open(disk, "/journal", out _, out _);
        IReadOnlyList<JournalRecord> records = Story(happenings, 2);
        foreach (JournalRecord record in records) journal.Append(record);
        IReadOnlyList<JournalRecord> kept = Compaction.Records(Fold(records), 2, Now);
        journal.Replace(kept);
        var one = new Held(Now, "shop", "ann", "after it");
        journal.Append(one);
        Journal.Open(disk, "/journal", out IReadOnlyList<JournalRecord> read, out long cut);
        Assert.Equal(0, cut);
        Assert.Equal(kept.Append(one).Select(Json), read.Select(Json));
    }).QuickCheckThrowOnFailure();

    /// <summary>A quarter more deployments than are wanted, but at least one more; or many records of another kind.</summary>
    [Theory]
    [InlineData(1, 2, 0, false)]
    [InlineData(1, 3, 0, true)]
    [InlineData(20, 25, 0, false)]
    [InlineData(20, 26, 0, true)]
    [InlineData(20, 1, 1004, false)]
    [InlineData(20, 1, 1005, true)]
    public void Is_due_where_it_is_worth_it(int history, int deployments, int others, bool due)
    {
        var records = new List<JournalRecord> { new Held(Now, "blog", "ann", "") };
        for (int n = 0; n < deployments; n++) records.Add(new DeploymentStarted(Now, $"shop-{n}", "shop", null, null, new ReleaseRef("v1.0.0", ""), Trigger.Deploy, "ann"));
        Assert.Equal(due, Compaction.IsDue(Fold(records), history, others));
    }

    [Fact]
    public void Remembers_the_rollouts_that_came_last_and_each_plan_once()
    {
        JournalRecord[] records =
        [
            .. Enumerable.Range(1, 25).Select(n => new RolloutKept(Now.AddMinutes(n), "shop", $"r-{n}", 1, RolloutState.Running, "ann", "", Now.AddYears(-n), [(byte)n])),
            new RolloutKept(Now.AddHours(1), "shop", "r-10", 2, RolloutState.Paused, "bob", "lunch", Now, null),
        ];
        AgentState state = Fold(records);
        Assert.Equal(Enumerable.Range(6, 20).Select(n => $"r-{n}"), state.App(new AppName("shop")).Rollouts.Select(rollout => rollout.Id));
        Rollout changed = state.App(new AppName("shop")).Rollouts.Single(rollout => rollout.Id == "r-10");
        Assert.Equal((2, RolloutState.Paused, "bob", "lunch", (byte)10), (changed.Revision, changed.State, changed.Driver, changed.Reason, Assert.Single(changed.Plan)));
        Assert.Equal(Text(state), Text(Fold(Compaction.Records(state, 20, Now))));
    }

    [Fact]
    public void Large_plans_make_it_due_before_they_fill_the_disk()
    {
        RolloutKept[] records = [.. Enumerable.Range(1, 80).Select(n => new RolloutKept(Now, "shop", $"r-{n}", 1, RolloutState.Running, "eve", "", Now, new byte[500_000]))];
        AgentState state = Fold(records);
        Assert.False(Compaction.IsDue(Fold(records[..20]), 20, records[..20].Sum(Compaction.Weight)));
        Assert.True(Compaction.IsDue(state, 20, records.Sum(Compaction.Weight)));
        Assert.False(Compaction.IsDue(Fold(Compaction.Records(state, 20, Now)), 20, Compaction.Others(state)));
    }

    [Fact]
    public void Many_rollouts_alone_do_not_make_it_due_again_and_again()
    {
        AgentState state = Fold(
            from app in Enumerable.Range(1, 60)
            from n in Enumerable.Range(1, 20)
            select new RolloutKept(Now, $"app{app}", $"r-{n}", 1, RolloutState.Running, "ann", "", Now, []));
        Assert.False(Compaction.IsDue(Fold(Compaction.Records(state, 20, Now)), 20, Compaction.Others(state)));
    }

    [Fact]
    public void Writes_the_same_for_the_same_state()
    {
        AgentState state = Fold(
            [
                new Held(Now, "shop", "ann", ""), new Held(Now, "blog", "ann", ""), .. Bad("shop-1", "2", 5), .. Bad("shop-2", "1", 7), .. Bad("shop-3", "3", 6),
            ]);
        JournalRecord[] records = [.. Compaction.Records(state, 1, Now)];
        Assert.Equal(["blog", "shop"], records.OfType<Compacted>().Select(compacted => compacted.App));
        Assert.Equal(["2", "3", "1"], records.OfType<Compacted>().Last().Quarantined.Select(quarantine => quarantine.Release.Digest));
    }

    private static JournalRecord[] Bad(string id, string digest, int minute) =>
        [new DeploymentStarted(Now, id, "shop", null, null, new ReleaseRef("v1.0.0", digest), Trigger.Deploy, "ann"), new DeploymentFinished(Now.AddMinutes(minute), id, Outcome.RolledBack, true)];

    private static AgentState Fold(IEnumerable<JournalRecord> records) => records.Aggregate(AgentState.Empty, (state, record) => state.Apply(record));

    private static List<JournalRecord> Story(IEnumerable<(Happening, bool)> happenings, int history)
    {
        var records = new List<JournalRecord>();
        foreach ((int n, (Happening happening, bool other)) in happenings.Index())
        {
            string app = other ? "blog" : "shop";
            AppState state = Fold(records).App(new AppName(app));
            string id = $"{app}-{state.Count + 1}";
            DateTimeOffset at = Now.AddMinutes(n);
            switch (happening)
            {
                case Happening.Hold: records.Add(new Held(at, app, "ann", $"{n}")); break;
                case Happening.Resume: records.Add(new Resumed(at, app, "ann")); break;
                case Happening.Pin: records.Add(new Pinned(at, app, $"v{n}.0.0", "ann", "")); break;
                case Happening.Unpin: records.Add(new Unpinned(at, app, "ann")); break;
                case Happening.Unquarantine when state.Quarantined.Keys.FirstOrDefault() is { } digest: records.Add(new Unquarantined(at, app, digest, "ann", "")); break;
                case Happening.Unquarantine: break;
                case Happening.UnsignedPush: records.Add(new UnsignedPushed(at, app, $"v0.{n}.0", $"{n % 7}", "ann")); break;
                case Happening.Rollout:
                    records.Add(new RolloutKept(at, app, $"r-{n}", 1, RolloutState.Running, "ann@laptop", "", at, [(byte)n]));
                    break;
                case Happening.RolloutAgain when state.Rollouts.LastOrDefault() is { } rollout:
                    records.Add(new RolloutKept(at, app, rollout.Id, rollout.Revision + 1, RolloutState.Paused, "bob@desk", "lunch", rollout.Started, null));
                    break;
                case Happening.RolloutAgain: break;
                case Happening.Compact:
                    records = [.. Compaction.Records(Fold(records), history, at)];
                    break;
                default:
                    Trigger trigger = happening switch { Happening.PersonRollsBack => Trigger.Rollback, Happening.PersonDeploys => Trigger.Deploy, _ => Trigger.Track };
                    records.Add(new DeploymentStarted(at, id, app, state.Current, state.Generation, new ReleaseRef($"v1.{n % 7}.0", $"{n % 7}"), trigger, "ann")
                    {
                        PassedOver = happening == Happening.PersonDeploys ? $"v9.{n}.0" : null,
                        Unsigned = happening == Happening.PersonDeploys && other,
                        Request = happening == Happening.PersonDeploys ? $"r-{n}" : null,
                    });
                    Outcome outcome = happening switch
                    {
                        Happening.RolledBack or Happening.Quarantined => Outcome.RolledBack,
                        Happening.NeedsOperator => Outcome.NeedsOperator,
                        _ => Outcome.Live,
                    };
                    if (outcome == Outcome.Live) records.Add(new Committed(at, id));
                    else records.Add(new StepFailed(at, id, Step.Gate, "no", "", true));
                    records.Add(new DeploymentFinished(at, id, outcome, happening == Happening.Quarantined));
                    break;
            }
        }
        return records;
    }

    private static string Json(JournalRecord record) => JsonSerializer.Serialize(record, JournalJson.Default.JournalRecord);

    private static string Text(Deployment deployment) => string.Join('\n', deployment.Records.Select(Json)) + $"{deployment.Outcome}{deployment.Cause}{deployment.PassedOver}";

    private static string Text(AppState state) =>
        $"{string.Join(',', state.Proved)}|{string.Join(',', state.Quarantined.Values.OrderBy(q => q.Since).ThenBy(q => q.Release.Digest, StringComparer.Ordinal))}|{state.HeldAt}|{state.PassedOver}|{state.Attention}|{state.Hold}|{state.Pin}|{state.Unsigned}|{state.Count}|{string.Join(';', state.Rollouts.Select(Text))}|{string.Join(';', state.Deployments.Select(Text))}";

    private static string Text(Rollout rollout) => $"{rollout with { Plan = [] }} {Convert.ToHexString(rollout.Plan)}";

    private static string Text(AgentState state) => string.Join("\n\n", state.Apps.OrderBy(app => app.Key, StringComparer.Ordinal).Select(app => Text(app.Value)));
}

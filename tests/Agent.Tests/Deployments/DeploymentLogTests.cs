using Agent.Artifacts.Durable;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using Agent.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;
using static Agent.Daemon.State.JournalRecord;
using Outcome = Agent.Daemon.State.Outcome;

namespace Agent.Tests.Deployments;

/// <summary>What is journaled, what is kept until it can be, and what those who watch get to see.</summary>
public class DeploymentLogTests
{
    private const string Path = "/var/lib/agentd/journal";

    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private readonly SimulatedDisk disk = new(new Fuse(int.MaxValue));

    public DeploymentLogTests() => disk.MakeDirectories("/var/lib/agentd");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void What_a_full_disk_did_not_take_is_journaled_in_order_with_the_next_record()
    {
        DeploymentLog log = Open();
        log.Record(Started(1));
        disk.Fault = new IOException("No space left on device");
        log.RecordIfPossible(new StepFailed(Now, "shop-1", Step.Fetch, "no", "", false));
        log.RecordIfPossible(new Interrupted(Now, "shop-1"));
        Assert.Equal("no", log.State.Find("shop-1")!.Cause);
        Assert.Throws<IOException>(() => log.Record(Finished(1)));
        Assert.Null(log.State.Find("shop-1")!.Outcome);
        disk.Fault = null;
        log.Record(Finished(1));
        Assert.Equal([typeof(DeploymentStarted), typeof(StepFailed), typeof(Interrupted), typeof(DeploymentFinished)], Read().Select(record => record.GetType()));
        Assert.Equal(Outcome.Refused, Open().State.Find("shop-1")!.Outcome);
    }

    [Fact]
    public void The_journal_is_not_shortened_while_something_is_not_in_it_or_where_the_disk_is_full()
    {
        DeploymentLog log = Open(history: 1);
        for (int n = 1; n <= 2; n++) Deploy(log, n);
        log.Record(Started(3));
        disk.Fault = new IOException("No space left on device");
        log.RecordIfPossible(Finished(3));
        log.CompactWhereDue();
        Assert.Equal(3, log.State.App(World.Shop).Deployments.Count);
        disk.Fault = null;
        Deploy(log, 4);
        Assert.Equal((4, 1), (log.State.App(World.Shop).Count, log.State.App(World.Shop).Deployments.Count));
        Assert.Equal(3, Read().Count);   // of the last deployment, and what all came to
    }

    [Fact]
    public void A_journal_that_could_not_be_shortened_is_whole()
    {
        DeploymentLog log = Open(history: 1);
        for (int n = 1; n <= 3; n++) log.Record(Started(n));
        disk.Fault = new IOException("No space left on device");
        log.CompactWhereDue();
        disk.Fault = null;
        Assert.Equal(3, log.State.App(World.Shop).Deployments.Count);
        Assert.Equal(3, Open(history: 100).State.App(World.Shop).Deployments.Count);
    }

    [Fact]
    public void Wishes_of_people_do_not_make_the_journal_grow_for_ever()
    {
        DeploymentLog log = Open();
        for (int n = 0; n < 1500; n++) log.Record(new Held(Now, "shop", "ann", $"{n}"));
        Assert.InRange(Read().Count, 1, 1002);
        Assert.Equal("1499", Open().State.App(World.Shop).Hold!.Reason);
    }

    [Fact]
    public async Task A_slow_watcher_loses_progress_and_no_record()
    {
        DeploymentLog log = Open();
        log.Record(Started(1));
        log.Record(Started(2));
        await using IAsyncEnumerator<DeploymentEvent> watcher = log.WatchAsync("shop-1", Cancel).GetAsyncEnumerator(Cancel);
        Assert.True(await watcher.MoveNextAsync());
        for (int n = 0; n < 500; n++) log.Progress(Progress("shop-1", $"{n}"));
        log.Progress(Progress("shop-2", "of another one"));
        log.Record(new StepStarted(Now, "shop-1", Step.Fetch));
        log.Record(new StepStarted(Now, "shop-2", Step.Fetch));
        log.Record(Finished(1));
        var seen = new List<DeploymentEvent>();
        while (await watcher.MoveNextAsync()) seen.Add(watcher.Current);
        string[] progress = [.. seen.OfType<DeploymentEvent.Progress>().Select(happened => happened.Message)];
        Assert.Equal(Enumerable.Range(0, 100).Select(n => $"{n}"), progress);
        Assert.Equal(["shop-1 StepStarted", "shop-1 DeploymentFinished"], seen.OfType<DeploymentEvent.Recorded>().Select(Text));
    }

    [Fact]
    public async Task Who_comes_late_sees_all_of_it_and_who_asks_for_nothing_known_sees_nothing()
    {
        DeploymentLog log = Open();
        Deploy(log, 1);
        Assert.Equal(["shop-1 DeploymentStarted", "shop-1 DeploymentFinished"], await WatchAsync(log, "shop-1"));
        Assert.Empty(await WatchAsync(log, "shop-7"));
    }

    [Fact]
    public async Task Who_goes_away_is_forgotten_and_holds_nobody_up()
    {
        DeploymentLog log = Open();
        log.Record(Started(1));
        using var leaving = new CancellationTokenSource();
        await using (IAsyncEnumerator<DeploymentEvent> watcher = log.WatchAsync("shop-1", leaving.Token).GetAsyncEnumerator(Cancel))
        {
            Assert.True(await watcher.MoveNextAsync());
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await watcher.MoveNextAsync());
        }
        log.Record(Finished(1));
        Assert.Equal(2, (await WatchAsync(log, "shop-1")).Count);
    }

    private DeploymentLog Open(int history = 100)
    {
        Journal journal = Journal.Open(disk, Path, out IReadOnlyList<JournalRecord> records, out _);
        return new DeploymentLog(journal, records, history, new ManualTime(), NullLogger<DeploymentLog>.Instance);
    }

    private IReadOnlyList<JournalRecord> Read()
    {
        Journal.Open(disk, Path, out IReadOnlyList<JournalRecord> records, out _);
        return records;
    }

    private static void Deploy(DeploymentLog log, int number)
    {
        log.Record(Started(number));
        log.Record(Finished(number));
    }

    private static async Task<List<string>> WatchAsync(DeploymentLog log, string deployment)
    {
        var seen = new List<string>();
        await foreach (DeploymentEvent happened in log.WatchAsync(deployment, Cancel)) seen.Add(Text((DeploymentEvent.Recorded)happened));
        return seen;
    }

    private static string Text(DeploymentEvent.Recorded happened) => $"{((OfDeployment)happened.Record).Deployment} {happened.Record.GetType().Name}";

    private static DeploymentEvent.Progress Progress(string deployment, string message) => new(Now, deployment, Step.Fetch, message, 0, 0);

    private static DeploymentStarted Started(int number) => new(Now, $"shop-{number}", "shop", null, null, new ReleaseRef($"v{number}.0.0", $"{number}"), Trigger.Deploy, "ann");

    private static DeploymentFinished Finished(int number) => new(Now, $"shop-{number}", Outcome.Refused, false);
}

using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Daemon.Deployments;
using Agent.Daemon.State;
using static Agent.V1.StepEvent.Types;

namespace Agent.Tests.Api;

public class MessagesTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 20, 12, 0, 0, TimeSpan.Zero);
    private static readonly ReleaseRef Old = new("v1.0.0", "aa"), New = new("v1.1.0", "bb");

    [Fact]
    public void A_step_tells_how_long_it_took()
    {
        var messages = new EventMessages(_ => throw new InvalidOperationException());
        messages.Of(Recorded(new JournalRecord.StepStarted(Noon, "d1", Step.Fetch)));
        V1.DeploymentEvent done = messages.Of(Recorded(new JournalRecord.StepDone(Noon.AddSeconds(3), "d1", Step.Fetch, "3 MB")))!;
        Assert.Equal(("fetch", Phase.Done, "3 MB", 3.0), (done.Step.Step, done.Step.Phase, done.Step.Detail, done.Step.Took.ToTimeSpan().TotalSeconds));
    }

    [Fact]
    public void A_clock_that_was_set_back_gives_no_time_rather_than_a_negative_one()
    {
        var messages = new EventMessages(_ => throw new InvalidOperationException());
        messages.Of(Recorded(new JournalRecord.StepStarted(Noon, "d1", Step.Gate)));
        Assert.Null(messages.Of(Recorded(new JournalRecord.StepFailed(Noon.AddSeconds(-3), "d1", Step.Gate, "503", "", true)))!.Step.Took);
    }

    [Fact]
    public void The_last_event_holds_the_outcome_and_its_cause()
    {
        Deployment failed = Failed();
        V1.DeploymentEvent last = new EventMessages(_ => failed).Of(Recorded(failed.Records[^1]))!;
        Assert.Equal((V1.Outcome.RolledBack, "gate", "GET /up gave 503", "v1.0.0", "v1.1.0"),
            (last.Finished.Outcome, last.Finished.Step, last.Finished.Cause, last.Finished.FromVersion, last.Finished.ToVersion));
    }

    [Fact]
    public void Every_record_of_the_journal_is_an_event_but_the_commit()
    {
        Deployment failed = Failed();
        var messages = new EventMessages(_ => failed);
        Assert.All(failed.Records, record => Assert.NotNull(messages.Of(Recorded(record))));
        Assert.Null(messages.Of(Recorded(new JournalRecord.Committed(Noon, "d1"))));
    }

    [Fact]
    public void Why_lists_the_ends_of_steps_and_those_that_a_crash_cut_short()
    {
        Assert.Equal(
            [("fetch", Phase.Done), ("restart", Phase.Started), ("gate", Phase.Failed), ("flip", Phase.UndoDone), ("stage", Phase.UndoFailed)],
            EventMessages.Steps(Failed()).Select(step => (step.Step, step.Phase)));
    }

    [Theory]
    [InlineData("exited", 3, "exit status 3")]
    [InlineData("killed", 9, "signal 9")]
    [InlineData("", 0, "")]
    public void Evidence_tells_how_a_unit_ended(string kind, int code, string told)
    {
        var evidence = new Evidence("gate", [new CheckEvidence("http /up", false, "503")], [new UnitEvidence("shop.service", "failed", "failed", "exit-code", kind, code, 2)],
            [new LogEvidence(Noon, "shop.service", 3, 12, "boom")], [], [], 7, 8);
        V1.Evidence message = Messages.Of(evidence, Failed());
        Assert.Equal(told, message.Units.Single().Exit);
        Assert.Equal(("boom", "http /up", 7L, 8L), (message.Log.Single().Message, message.Checks.Single().Name, message.DiskFreeBytes, message.MemoryAvailableBytes));
    }

    private static DeploymentEvent Recorded(JournalRecord record) => new DeploymentEvent.Recorded(record);

    private static Deployment Failed() => new("d1", new AppName("shop"), Old, "d0", New, Trigger.Deploy, "uid 0 (root)", Noon, Noon.AddSeconds(9), Outcome.RolledBack, Step.Gate,
        "GET /up gave 503", "agentctl why",
        [
            new JournalRecord.DeploymentStarted(Noon, "d1", "shop", Old, "d0", New, Trigger.Deploy, "uid 0 (root)"),
            new JournalRecord.StepStarted(Noon, "d1", Step.Fetch),
            new JournalRecord.StepDone(Noon, "d1", Step.Fetch, null),
            new JournalRecord.StepStarted(Noon, "d1", Step.Restart),
            new JournalRecord.Interrupted(Noon, "d1"),
            new JournalRecord.StepStarted(Noon, "d1", Step.Gate),
            new JournalRecord.StepFailed(Noon, "d1", Step.Gate, "GET /up gave 503", "look", true),
            new JournalRecord.UndoStarted(Noon, "d1", Step.Flip),
            new JournalRecord.UndoDone(Noon, "d1", Step.Flip),
            new JournalRecord.UndoStarted(Noon, "d1", Step.Stage),
            new JournalRecord.UndoFailed(Noon, "d1", Step.Stage, "disk"),
            new JournalRecord.DeploymentFinished(Noon, "d1", Outcome.RolledBack, true),
        ]);
}

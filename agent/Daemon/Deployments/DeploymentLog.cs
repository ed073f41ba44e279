using System.Threading.Channels;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>The journal, the state folded from it, and those who watch. Thread-safe.</summary>
/// <param name="history">Deployments of an app that the journal keeps.</param>
internal sealed class DeploymentLog(Journal journal, IReadOnlyList<JournalRecord> records, int history, TimeProvider time, ILogger<DeploymentLog> logger)
{
    /// <summary>Progress that a slow watcher may be behind before more is dropped for it; records are never dropped.</summary>
    private const int ProgressBacklog = 100;

    private readonly Lock gate = new();
    private readonly List<Watcher> watchers = [];
    private readonly Queue<JournalRecord> unsaved = [];
    private volatile AgentState state = Fold(records);
    private int others = records.Sum(Compaction.Weight);

    public AgentState State => state;

    /// <summary>Journals a fact, then makes it known. Durable on return.</summary>
    /// <exception cref="IOException">The disk does not take it: nothing has happened.</exception>
    public void Record(JournalRecord record)
    {
        lock (gate)
        {
            while (unsaved.TryPeek(out JournalRecord? earlier))
            {
                journal.Append(earlier);
                unsaved.Dequeue();
            }
            journal.Append(record);
            Publish(record);
            others += Compaction.Weight(record);
            if (record is JournalRecord.DeploymentFinished or JournalRecord.OfApp) CompactWhereDue();
        }
    }

    /// <summary>Journals what is decided on the state as it is at that very moment; nothing comes in between.</summary>
    /// <param name="decide">Null: nothing is journaled.</param>
    /// <exception cref="IOException">The disk does not take it: nothing has happened.</exception>
    public void Record(Func<AgentState, JournalRecord?> decide)
    {
        lock (gate)
        {
            if (decide(state) is { } record) Record(record);
        }
    }

    /// <summary>
    /// As <see cref="Record(JournalRecord)"/>, but goes on when the disk does not take it: for the way back, which must be walked on a full disk too.
    /// The fact is journaled with the next one; after a crash before that, the undo is simply done again.
    /// </summary>
    public void RecordIfPossible(JournalRecord.OfDeployment record)
    {
        lock (gate)
        {
            try
            {
                Record(record);
            }
            catch (IOException e)
            {
                logger.JournalNotWritten(record.Deployment, record.GetType().Name, e);
                unsaved.Enqueue(record);
                Publish(record);
            }
        }
    }

    /// <summary>Shortens the journal where it holds many more deployments than are wanted. A disk that does not take it changes nothing.</summary>
    public void CompactWhereDue()
    {
        lock (gate)
        {
            if (unsaved.Count > 0 || !Compaction.IsDue(state, history, others)) return;
            IReadOnlyList<JournalRecord> kept = Compaction.Records(state, history, time.GetUtcNow());
            try
            {
                journal.Replace(kept);
            }
            catch (IOException e)
            {
                logger.JournalNotCompacted(e);   // it is whole, and only longer than need be
                return;
            }
            state = Fold(kept);
            others = Compaction.Others(state);
        }
    }

    public void Progress(DeploymentEvent.Progress progress)
    {
        lock (gate)
        {
            foreach (Watcher watcher in watchers)
                if (watcher.Deployment == progress.Deployment && watcher.Events.Reader.Count < ProgressBacklog) watcher.Events.Writer.TryWrite(progress);
        }
    }

    /// <summary>All records of a deployment, then what comes, until its outcome.</summary>
    public async IAsyncEnumerable<DeploymentEvent> WatchAsync(
        string deployment, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var watcher = new Watcher(deployment, Channel.CreateUnbounded<DeploymentEvent>());
        lock (gate)
        {
            Deployment? known = state.Find(deployment);
            foreach (JournalRecord record in known?.Records ?? []) watcher.Events.Writer.TryWrite(new DeploymentEvent.Recorded(record));
            if (known is null || known.Outcome is not null) watcher.Events.Writer.Complete();
            else watchers.Add(watcher);
        }
        try
        {
            await foreach (DeploymentEvent happened in watcher.Events.Reader.ReadAllAsync(cancellationToken)) yield return happened;
        }
        finally
        {
            lock (gate) watchers.Remove(watcher);
        }
    }

    private static AgentState Fold(IEnumerable<JournalRecord> records) => records.Aggregate(AgentState.Empty, (state, record) => state.Apply(record));

    private void Publish(JournalRecord record)
    {
        state = state.Apply(record);
        if (record is not JournalRecord.OfDeployment { Deployment: var deployment }) return;
        foreach (Watcher watcher in watchers.Where(w => w.Deployment == deployment))
        {
            watcher.Events.Writer.TryWrite(new DeploymentEvent.Recorded(record));
            if (record is JournalRecord.DeploymentFinished) watcher.Events.Writer.Complete();
        }
    }

    private sealed record Watcher(string Deployment, Channel<DeploymentEvent> Events);
}

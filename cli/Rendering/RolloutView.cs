using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Rendering;

/// <summary>
/// A rollout on a terminal: a row for each host, painted over as it goes on. Where the window has fewer lines than there are hosts, those
/// that wait or are done become a count.
/// </summary>
internal sealed class RolloutView : IDisposable
{
    private static readonly TimeSpan OftenEnough = TimeSpan.FromMilliseconds(100);

    private readonly Terminal terminal;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly Dictionary<string, Row> rows = [];
    private readonly long begun;
    private readonly ITimer ticking;
    private Rollout rollout = new();
    private RolloutProgress? progress;
    private string note = "";
    private long painted;

    public RolloutView(Terminal terminal, TimeProvider time)
    {
        (this.terminal, this.time) = (terminal, time);
        begun = time.GetTimestamp();
        ticking = time.CreateTimer(_ => Paint(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
    }

    /// <summary>What the last line asks or says; empty: nothing.</summary>
    public string Note
    {
        set
        {
            lock (gate) note = value;
            Paint();
        }
    }

    public void Show(RolloutReport happened)
    {
        lock (gate)
        {
            Take(happened);
            // Downloads tell more than a person can read.
            if (happened is RolloutReport.Went { Event.KindCase: DeploymentEvent.KindOneofCase.Progress } && time.GetElapsedTime(painted) < OftenEnough) return;
        }
        Paint();
    }

    /// <summary>Paints for the last time; what is painted stays.</summary>
    public void Dispose()
    {
        ticking.Dispose();
        Paint();
        lock (gate) progress = null;
        terminal.KeepBlock();
    }

    private void Take(RolloutReport happened)
    {
        switch (happened)
        {
            case RolloutReport.Changed(var changed, var now):
                (rollout, progress) = (changed, now);
                foreach ((int n, RolloutBatch batch) in changed.Plan.Batches.Index())
                {
                    foreach (RolloutHost host in batch.Hosts)
                    {
                        rows.TryAdd(host.Name, new Row(host.Name, n + 1));
                        rows[host.Name].Stands(now.Stands[host.Name], time.GetTimestamp());
                    }
                }
                break;
            case RolloutReport.Began(var batch, var hosts):
                foreach (string host in hosts) rows[host].Begin(batch > 0 ? Stand.UnderWay : Stand.GoingBack, time.GetTimestamp());
                note = "";
                break;
            case RolloutReport.Went(var host, { KindCase: DeploymentEvent.KindOneofCase.Started } went):
                rows[host].Last = RolloutText.Deploying(went.Started);
                break;
            case RolloutReport.Went(var host, { KindCase: DeploymentEvent.KindOneofCase.Step } went) when RolloutText.StepWord(went.Step) is { } word:
                (rows[host].Step, rows[host].Last) = (word, "");
                break;
            case RolloutReport.Went(var host, { KindCase: DeploymentEvent.KindOneofCase.Progress } went):
                rows[host].Last = went.Progress.Total > 0 ? $"{Human.Size(went.Progress.Done)} of {Human.Size(went.Progress.Total)}" : went.Progress.Message;
                break;
            case RolloutReport.Lost(var host, var why):
                rows[host].Last = $"connection lost, asking again: {why}";
                break;
            case RolloutReport.Ended ended:
                rows[ended.Host].End(ended.Stand, ended.Why, time);
                break;
            case RolloutReport.Settling(var batch, var span):
                note = $"batch {batch} must stay healthy for {Human.Span(span)}";
                break;
            case RolloutReport.Ailing(var host, var stand, var why):
                rows[host].End(stand, why, time);
                break;
        }
    }

    private void Paint()
    {
        lock (gate)
        {
            if (progress is null) return;
            painted = time.GetTimestamp();
            try
            {
                terminal.Block(Lines());
            }
            catch (IOException)
            {
                // The terminal is gone; what is driven is not.
            }
        }
    }

    private List<Piece[]> Lines()
    {
        var lines = new List<Piece[]>(RolloutText.Heading(rollout).Take(1));
        string state = RolloutWords.Of(rollout.State) + (rollout.Reason.Length > 0 ? $": {rollout.Reason}" : "");
        lines.Add([$"{state}, {Human.Span(time.GetElapsedTime(begun))}  ", RolloutText.Summary(progress! with { Stands = progress.Stands.SetItems(rows.Values.Select(row => KeyValuePair.Create(row.Host, row.Stand))) })]);
        int room = Math.Max(1, terminal.Height() - lines.Count - 3), width = rows.Keys.Max(host => host.Length);
        // What is of most interest first, then all in the order of their turns.
        HashSet<string> shown = [.. rows.Values.OrderBy(row => Interest(row.Stand)).Take(room).Select(row => row.Host)];
        foreach (Row row in rows.Values.Where(row => shown.Contains(row.Host))) lines.Add(row.Pieces(width, time));
        if (shown.Count < rows.Count)
            lines.Add([new Piece($"... and {string.Join(", ", rows.Values.Where(row => !shown.Contains(row.Host)).CountBy(row => row.Stand).Select(count => $"{count.Value} {RolloutProgress.Word(count.Key)}"))}", Tone.Weak)]);
        if (note.Length > 0) lines.Add([new Piece(note, Tone.Strong)]);
        return lines;
    }

    private static int Interest(Stand stand) => stand switch
    {
        _ when RolloutProgress.IsUnderWay(stand) => 0,
        _ when RolloutProgress.IsFailure(stand) => 1,
        Stand.Waiting => 2,
        _ => 3,
    };

    private sealed class Row(string host, int batch)
    {
        private long? since;
        private TimeSpan? took;

        public string Host => host;

        public Stand Stand { get; private set; }

        public string Step { get; set; } = "";

        public string Last { get; set; } = "";

        /// <summary>It may be under way already, for whoever takes over.</summary>
        public void Stands(Stand stand, long now)
        {
            Stand = stand;
            if (RolloutProgress.IsUnderWay(stand)) since ??= now;
        }

        public void Begin(Stand stand, long now) => (Stand, since, took, Step, Last) = (stand, now, null, "", "");

        public void End(Stand stand, string why, TimeProvider time)
        {
            took = since is { } at ? time.GetElapsedTime(at) : null;
            (Stand, since, Step, Last) = (stand, null, "", why);
        }

        public Piece[] Pieces(int width, TimeProvider time)
        {
            TimeSpan? span = since is { } at ? time.GetElapsedTime(at) : took;
            Piece stand = Step.Length > 0 ? Step : RolloutText.Outcome(Stand);
            return [$"{host.PadRight(width)}  {batch,3}  ", stand with { Text = stand.Text.PadRight(20) }, $"  {(span is { } spent ? Human.Span(spent) : ""),10}  ", new Piece(Last, Tone.Weak)];
        }
    }
}

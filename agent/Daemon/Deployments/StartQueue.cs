using Agent.Artifacts;

namespace Agent.Daemon.Deployments;

/// <summary>One request for an app at a time gets to start a deployment; those who wait get their turn in the order in which they came.</summary>
internal sealed class StartQueue
{
    private readonly Lock gate = new();
    private readonly Dictionary<AppName, LinkedList<Turn>> waiting = [];

    /// <summary>Who has the turn, or is the first to wait; null: nobody.</summary>
    public string? First(AppName app)
    {
        lock (gate) return waiting.GetValueOrDefault(app)?.First?.Value.By;
    }

    /// <returns>Null: somebody else has the turn. To be disposed of when the deployment is started or refused.</returns>
    public IDisposable? TryTake(AppName app, string by)
    {
        lock (gate) return waiting.ContainsKey(app) ? null : Add(app, by);
    }

    /// <summary>As <see cref="TryTake"/>, but waits for the turn.</summary>
    public async Task<IDisposable> WaitAsync(AppName app, string by, CancellationToken cancellationToken)
    {
        Turn turn;
        lock (gate) turn = Add(app, by);
        try
        {
            await turn.Come.Task.WaitAsync(cancellationToken);
            return turn;
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    private Turn Add(AppName app, string by)
    {
        if (!waiting.TryGetValue(app, out LinkedList<Turn>? line)) waiting[app] = line = [];
        var turn = new Turn(this, app, by);
        line.AddLast(turn);
        if (line.Count == 1) turn.Come.SetResult();
        return turn;
    }

    private void Leave(Turn turn)
    {
        lock (gate)
        {
            LinkedList<Turn> line = waiting[turn.App];
            line.Remove(turn);
            if (line.First is { } next) next.Value.Come.TrySetResult();
            else waiting.Remove(turn.App);
        }
    }

    private sealed class Turn(StartQueue queue, AppName app, string by) : IDisposable
    {
        private bool left;

        public AppName App => app;

        public string By => by;

        public TaskCompletionSource Come { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Dispose()
        {
            if (left) return;
            left = true;
            queue.Leave(this);
        }
    }
}

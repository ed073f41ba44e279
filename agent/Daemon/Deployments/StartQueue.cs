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

    /// <summary>As <see cref="TryTake"/>, but waits for the turn where that is wanted, or where the same request stands in the line already.</summary>
    /// <param name="request">Null: it is the same as no other.</param>
    /// <returns>Null: somebody else has the turn, and it is not waited for.</returns>
    public async Task<IDisposable?> TakeAsync(AppName app, string by, string? request, bool wait, CancellationToken cancellationToken)
    {
        Turn turn;
        lock (gate)
        {
            if (!wait && waiting.TryGetValue(app, out LinkedList<Turn>? line) && (request is null || line.All(other => other.Request != request))) return null;
            turn = Add(app, by, request);
        }
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

    private Turn Add(AppName app, string by, string? request = null)
    {
        if (!waiting.TryGetValue(app, out LinkedList<Turn>? line)) waiting[app] = line = [];
        var turn = new Turn(this, app, by, request);
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

    private sealed class Turn(StartQueue queue, AppName app, string by, string? request) : IDisposable
    {
        private bool left;

        public AppName App => app;

        public string By => by;

        public string? Request => request;

        public TaskCompletionSource Come { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Dispose()
        {
            if (left) return;
            left = true;
            queue.Leave(this);
        }
    }
}

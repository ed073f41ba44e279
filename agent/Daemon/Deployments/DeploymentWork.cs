using System.Collections.Immutable;
using Agent.Daemon.Configuration;
using Agent.Daemon.State;

namespace Agent.Daemon.Deployments;

/// <summary>What the steps of one deployment hand on in memory. Nothing here is needed after a crash: then only undo or the sweep is left.</summary>
/// <param name="StateNow">The app's state as the journal tells it now.</param>
/// <param name="Transfer">Takes the progress of a download.</param>
/// <param name="Message">Takes progress for people.</param>
internal sealed record DeploymentWork(Func<AppState> StateNow, IProgress<TransferProgress> Transfer, IProgress<string> Message)
{
    /// <summary>Set by the fetch; null where the release was on this host already.</summary>
    public FetchedRelease? Fetched { get; set; }

    /// <summary>Set by prepare.</summary>
    public AppDefinition? Definition { get; set; }

    /// <summary>What hooks before prepare go by, read once; null: nobody needed it, or the release did not lie on this host.</summary>
    public AppDefinition? Foreseen { get; set; }

    /// <summary>Knows the app's secrets from prepare on.</summary>
    public Redactor Redactor { get; set; } = Redactor.Nothing;

    /// <summary>Hooks that have run, and what they said.</summary>
    public List<HookEvidence> Hooks { get; } = [];

    /// <summary>Set by the backup, and held until the migrations are done.</summary>
    public IMigration? Migration { get; set; }

    /// <summary>Migrations are left for behind the commit point. Set by the backup.</summary>
    public bool Contract { get; set; }

    public ImmutableList<ProvedRelease> Proved => StateNow().Proved;

    /// <summary>Lets other hosts have the database.</summary>
    public async ValueTask ReleaseDatabaseAsync()
    {
        if (Migration is not { } migration) return;
        Migration = null;
        await migration.DisposeAsync();
    }
}

/// <summary>Hands lines on, and keeps the last ones.</summary>
internal sealed class LastLines(IProgress<string> next) : IProgress<string>
{
    // As many as a hook's evidence has.
    private const int Most = 100;

    private readonly Lock gate = new();
    private readonly Queue<string> lines = new();

    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (gate) return [.. lines];
        }
    }

    public void Report(string value)
    {
        lock (gate)
        {
            if (lines.Count == Most) lines.Dequeue();
            lines.Enqueue(value);
        }
        next.Report(value);
    }
}

/// <summary>A person's wish to go back from a deployment under way.</summary>
internal sealed class Cancellation : IDisposable
{
    private readonly CancellationTokenSource source = new();

    /// <summary>Null: nobody wants it.</summary>
    public string? By { get; private set; }

    public CancellationToken Token => source.Token;

    public void Request(string by)
    {
        By ??= by;
        source.Cancel();
    }

    public void Dispose() => source.Dispose();
}

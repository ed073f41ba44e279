using Npgsql;

namespace Agent.Daemon.Migrations.Planning;

/// <summary>A lock that was seen held.</summary>
/// <param name="Held">From when it was first seen to the end of its file; zero: for less than the time between two looks.</param>
internal sealed record HeldLock(string Table, LockMode Mode, TimeSpan Held);

/// <summary>Watches from a connection of its own which tables a session keeps locked, every 50 ms. Tables that the watched transaction makes are not seen: nobody waits for them.</summary>
internal sealed class LockWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private const string Held = """
        SELECT CASE n.nspname WHEN 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END, l.mode
        FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid = $1 AND l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
            AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'agentd')
        """;

    private readonly NpgsqlConnection watcher;
    private readonly NpgsqlConnection watched;
    private readonly TimeProvider time;
    private readonly CancellationTokenSource stop = new();
    private readonly Lock gate = new();
    private readonly Dictionary<(string Table, LockMode Mode), long?> seen = [];
    private readonly Task watching;

    public LockWatch(NpgsqlConnection watcher, NpgsqlConnection watched, TimeProvider time)
    {
        this.watcher = watcher;
        this.watched = watched;
        this.time = time;
        watching = WatchAsync();
    }

    /// <summary>In the watched session, before it commits: all that it holds, for what was too quick to be seen.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        foreach ((string, LockMode) one in await HeldAsync(watched, cancellationToken))
        {
            lock (gate) seen.TryAdd(one, null);
        }
    }

    /// <summary>What was seen since the last time that it was asked.</summary>
    /// <param name="known">Tables that were there before.</param>
    public IReadOnlyList<HeldLock> Take(IReadOnlySet<string> known)
    {
        lock (gate)
        {
            HeldLock[] held =
            [
                .. seen.Where(pair => known.Contains(pair.Key.Table)).Select(pair => new HeldLock(pair.Key.Table, pair.Key.Mode, pair.Value is { } since ? time.GetElapsedTime(since) : TimeSpan.Zero))
                    .OrderBy(one => one.Table, StringComparer.Ordinal).ThenBy(one => one.Mode),
            ];
            seen.Clear();
            return held;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await watching;
        stop.Dispose();
    }

    private async Task WatchAsync()
    {
        try
        {
            while (true)
            {
                IReadOnlyList<(string, LockMode)> held = await HeldAsync(watcher, stop.Token);
                long now = time.GetTimestamp();
                lock (gate)
                {
                    foreach ((string, LockMode) one in held)
                    {
                        if (seen.GetValueOrDefault(one) is null) seen[one] = now;
                    }
                }
                await Task.Delay(Interval, time, stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // Enough was seen.
        }
        catch (Exception e) when (SqlFault.IsOf(watcher, e))
        {
            // What the watched session tells of itself has to do.
        }
    }

    private async Task<IReadOnlyList<(string, LockMode)>> HeldAsync(NpgsqlConnection asked, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(Held, asked) { Parameters = { new NpgsqlParameter { Value = watched.ProcessID } } };
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var held = new List<(string, LockMode)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            if (LockModes.OfServer(reader.GetString(1)) is { } mode) held.Add((reader.GetString(0), mode));
        }
        return held;
    }
}

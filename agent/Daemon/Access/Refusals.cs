using System.Collections.Concurrent;

namespace Agent.Daemon.Access;

/// <summary>Counts who is turned away before anything is known of them: a line in the log for each kind and minute, however many come. Thread-safe.</summary>
internal sealed class Refusals(TimeProvider time, ILogger<Refusals> logger)
{
    public const string Handshake = "no TLS 1.3 handshake", Expired = "certificate not valid now", Revoked = "revoked key", NoRole = "calls of keys without a role",
        Address = "too many connections from one address", Key = "too many connections of one key", Idle = "keys without a role that stayed";

    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, Kind> kinds = new(StringComparer.Ordinal);

    /// <param name="kind">One of the constants: it names a line of the log.</param>
    public void Count(string kind, string from) => kinds.GetOrAdd(kind, name => new Kind(name, time, logger)).Count(from);

    /// <summary>How many of a kind there were since the agent started.</summary>
    public long Total(string kind) => kinds.TryGetValue(kind, out Kind? counted) ? counted.Total : 0;

    private sealed class Kind(string name, TimeProvider time, ILogger logger)
    {
        private readonly Lock gate = new();
        private ITimer? minute;
        private long total, untold;
        private string last = "";

        public long Total
        {
            get
            {
                lock (gate) return total;
            }
        }

        // The first one is told at once, those of the minute after it together.
        public void Count(string from)
        {
            lock (gate)
            {
                total++;
                untold++;
                last = from;
                if (minute is not null) return;
                minute = time.CreateTimer(_ => EndMinute(), null, Minute, Timeout.InfiniteTimeSpan);
                Tell();
            }
        }

        private void EndMinute()
        {
            lock (gate)
            {
                if (untold > 0)
                {
                    Tell();
                    minute?.Change(Minute, Timeout.InfiniteTimeSpan);
                    return;
                }
                minute?.Dispose();
                minute = null;
            }
        }

        private void Tell()
        {
            logger.TurnedAway(untold, name, last);
            untold = 0;
        }
    }
}

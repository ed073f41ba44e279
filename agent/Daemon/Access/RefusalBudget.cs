namespace Agent.Daemon.Access;

/// <summary>How many refusals of one caller are recorded one by one: so that nobody fills the disk, or washes other people's records out of it. Thread-safe.</summary>
internal sealed class RefusalBudget(TimeProvider time)
{
    public const int MostInAMinute = 30;

    private const int MostCallers = 1000;
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private readonly Dictionary<string, Window> callers = new(StringComparer.Ordinal);

    /// <param name="who">All keys that nobody knows are one caller.</param>
    /// <param name="missed">How many were not recorded before this one, and have to be told with it.</param>
    /// <returns>Whether this one is to be recorded.</returns>
    public bool Take(string who, out int missed)
    {
        lock (gate)
        {
            missed = 0;
            if (!callers.TryGetValue(who, out Window? window) && callers.Count >= MostCallers) callers.Clear();
            if (window is null || time.GetElapsedTime(window.Start) >= Minute)
            {
                missed = window?.Missed ?? 0;
                callers[who] = window = new Window(time.GetTimestamp());
            }
            if (window.Taken < MostInAMinute)
            {
                window.Taken++;
                return true;
            }
            window.Missed++;
            return false;
        }
    }

    private sealed class Window(long start)
    {
        public long Start { get; } = start;

        public int Taken { get; set; }

        public int Missed { get; set; }
    }
}

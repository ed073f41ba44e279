namespace Agent.Tests.Fakes;

/// <summary>
/// Time that passes only while everything waits, and then at once: when <paramref name="loops"/> short waits (up to 1.5 s) are pending, the clock
/// jumps to the earliest and ends it, and so on. A longer wait (a deadline) ends when the clock comes past it. So a run is the same each time,
/// however slow the machine is.
/// </summary>
internal sealed class InstantTime(int loops) : TimeProvider
{
    private readonly int loops = loops;
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(1.5);
    private readonly Lock gate = new();
    private readonly List<Timer> waits = [];
    private readonly List<Timer> deadlines = [];
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private bool passing;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow()
    {
        lock (gate) return now;
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    private void Pass()
    {
        while (true)
        {
            List<Timer> due;
            lock (gate)
            {
                if (waits.Count < loops)
                {
                    passing = false;
                    return;
                }
                Timer first = waits.MinBy(timer => timer.Due)!;
                waits.Remove(first);
                now = first.Due;
                due = [.. deadlines.Where(timer => timer.Due <= now), first];
                deadlines.RemoveAll(timer => timer.Due <= now);
            }
            foreach (Timer timer in due) timer.Fire();
        }
    }

    private sealed class Timer(InstantTime time, Action fire) : ITimer
    {
        public DateTimeOffset Due { get; private set; }

        public void Fire() => fire();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (dueTime == Timeout.InfiniteTimeSpan) return true;
            lock (time.gate)
            {
                Due = time.now + dueTime;
                (dueTime > Short ? time.deadlines : time.waits).Add(this);
                if (time.passing || time.waits.Count < time.loops) return true;
                time.passing = true;
            }
            ThreadPool.QueueUserWorkItem(_ => time.Pass());
            return true;
        }

        public void Dispose()
        {
            lock (time.gate)
            {
                time.waits.Remove(this);
                time.deadlines.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

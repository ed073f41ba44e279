namespace Agent.Tests.Fakes;

/// <summary>
/// Time that does not pass by itself: a wait of up to 1.5 s ends at once and moves the clock by its length; a longer one (a deadline)
/// ends when the clock has been moved past it.
/// </summary>
internal sealed class InstantTime(DateTimeOffset start) : TimeProvider
{
    private static readonly TimeSpan Instant = TimeSpan.FromSeconds(1.5);
    private readonly Lock gate = new();
    private readonly List<Timer> deadlines = [];
    private DateTimeOffset now = start;

    public InstantTime() : this(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero)) { }

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

    public void Advance(TimeSpan by)
    {
        List<Timer> due;
        lock (gate)
        {
            now += by;
            due = deadlines.FindAll(timer => timer.Due <= now);
            deadlines.RemoveAll(timer => timer.Due <= now);
        }
        foreach (Timer timer in due) ThreadPool.QueueUserWorkItem(_ => timer.Fire());
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
                if (dueTime > Instant) time.deadlines.Add(this);
            }
            if (dueTime <= Instant)
            {
                time.Advance(dueTime);
                ThreadPool.QueueUserWorkItem(_ => fire());
            }
            return true;
        }

        public void Dispose()
        {
            lock (time.gate) time.deadlines.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

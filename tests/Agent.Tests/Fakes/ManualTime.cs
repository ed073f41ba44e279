namespace Agent.Tests.Fakes;

/// <summary>Time that moves when a test says so. Timers that become due run on the thread that moves it.</summary>
internal sealed class ManualTime : TimeProvider
{
    private readonly Lock gate = new();
    private readonly List<ManualTimer> timers = [];
    private long ticks;
    private DateTimeOffset wallAtZero = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private TaskCompletionSource added = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Interlocked.Read(ref ticks);

    public override DateTimeOffset GetUtcNow() => wallAtZero.AddTicks(GetTimestamp());

    /// <summary>Sets the wall clock alone, as an operator or NTP does.</summary>
    public void StepWallClock(TimeSpan by) => wallAtZero += by;

    public void Advance(TimeSpan by)
    {
        long until = GetTimestamp() + by.Ticks;
        while (FireNext(until)) { }
        Interlocked.Exchange(ref ticks, until);
    }

    /// <summary>Time passes and nothing runs, as when the machine stands still: what is due meanwhile is late.</summary>
    public void Stall(TimeSpan by) => Interlocked.Add(ref ticks, by.Ticks);

    /// <summary>Moves to the next timer and runs it; false where there is none.</summary>
    public bool AdvanceToNext() => FireNext(long.MaxValue);

    /// <summary>Time until the next timer, once there is one.</summary>
    public async Task<TimeSpan> NextTimerAsync()
    {
        while (true)
        {
            Task wait;
            lock (gate)
            {
                if (timers.Count > 0) return TimeSpan.FromTicks(timers.Min(timer => timer.Due) - ticks);
                wait = added.Task;
            }
            await wait;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private bool FireNext(long until)
    {
        ManualTimer? next;
        lock (gate)
        {
            next = timers.MinBy(timer => timer.Due);
            if (next is null || next.Due > until) return false;
            timers.Remove(next);
            if (next.Due > ticks) Interlocked.Exchange(ref ticks, next.Due);
        }
        SynchronizationContext? context = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(null);   // so that what awaits the timer goes on here and now
        try
        {
            next.Callback(next.State);
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
        return true;
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        public long Due { get; private set; }

        public TimerCallback Callback => callback;

        public object? State => state;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            if (period != Timeout.InfiniteTimeSpan && period != TimeSpan.Zero) throw new NotSupportedException("one-shot timers only");
            lock (time.gate)
            {
                time.timers.Remove(this);
                if (dueTime == Timeout.InfiniteTimeSpan) return true;
                Due = time.ticks + dueTime.Ticks;
                time.timers.Add(this);
                time.added.TrySetResult();
                time.added = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            return true;
        }

        public void Dispose() => Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

namespace Agent.Daemon.Health;

/// <summary>
/// The time of a watch, as far as somebody watched. Where the machine was suspended or stalled, a long time passes between two looks in which
/// the application may not have run either: it had no chance to become healthy, and nobody saw it stay so. Of each gap therefore
/// no more than <see cref="Most"/> counts, whatever the clock says.
/// </summary>
internal sealed class WatchedTime
{
    /// <summary>Four looks of the gate. A machine so busy that it looks rarer than this gets the more time for its deadlines; they still end.</summary>
    public static readonly TimeSpan Most = TimeSpan.FromSeconds(1);

    private TimeSpan last;
    private TimeSpan watched;
    private TimeSpan? gap;

    /// <summary>Something was looked at.</summary>
    /// <param name="at">Monotonic time since the begin of the watch; earlier than at a call before is as then.</param>
    /// <returns>The time watched so far.</returns>
    public TimeSpan Look(TimeSpan at)
    {
        TimeSpan passed = at - last;
        if (passed <= TimeSpan.Zero) return watched;
        last = at;
        if (passed > Most) gap = at;
        return watched += passed > Most ? Most : passed;
    }

    /// <summary>Whether nobody watched for a while after <paramref name="at"/>: what was begun then has had less time than the clock says.</summary>
    public bool GapSince(TimeSpan at) => gap >= at;
}

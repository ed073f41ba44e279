namespace Agent.Daemon.Tracking;

/// <summary>When to look at the store again, and when to try a release again.</summary>
internal static class PollTiming
{
    private const int MostPolls = 10;
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    /// <summary>
    /// Time until the next poll: 80 to 100 % of the interval, so that hosts that started together drift apart and none looks later than
    /// its interval; while the store fails twice that for each failure, up to ten intervals and 15 minutes.
    /// </summary>
    /// <param name="failures">Polls in a row that did not reach the store.</param>
    /// <param name="luck">From 0 to 1.</param>
    public static TimeSpan Next(TimeSpan interval, int failures, double luck)
    {
        TimeSpan most = Max(interval, Min(interval * MostPolls, LongestBackOff));
        return Doubled(interval, failures, most) * (0.8 + (0.2 * luck));
    }

    /// <summary>Time for which a release that failed without being to blame is left alone: 1, 2, 4, ... intervals, an hour at most.</summary>
    /// <param name="attempts">1 or more.</param>
    public static TimeSpan Pause(TimeSpan interval, int attempts) => Doubled(interval, attempts - 1, Max(interval, LongestPause));

    private static TimeSpan Doubled(TimeSpan interval, int times, TimeSpan most) => Min(interval * Math.Pow(2, Math.Min(times, 20)), most);

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;
}

using System.Threading.Channels;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Watches an app that was just (re)started until it has proved itself or failed. <see cref="GateWatch"/> decides; this looks.</summary>
internal sealed class Gate(IHealthProbe probe, ISupervisor supervisor, TimeProvider time)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Runs every check at its interval and looks at every unit four times a second. Time is the monotonic side of the provider:
    /// a clock that is set changes nothing.
    /// </summary>
    /// <param name="start">Within this everything must be good for the first time.</param>
    /// <param name="stable">For this long it must then stay good; the last look is after it.</param>
    /// <param name="progress">What changes, for people.</param>
    /// <exception cref="OperatorException">systemd does not answer: that says nothing about the release.</exception>
    public async Task<GateVerdict> WatchAsync(AppDefinition definition, TimeSpan start, TimeSpan stable, IProgress<string> progress, CancellationToken cancellationToken)
    {
        var watch = new GateWatch(definition, start, stable);
        long began = time.GetTimestamp();
        // One reader applies what was seen, so that the watch needs no lock; and at once, so that its time is right.
        var seen = Channel.CreateUnbounded<(Action<TimeSpan> Apply, TimeSpan At)>(new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        async Task Every(TimeSpan interval, Func<Task<Action<TimeSpan>>> look)
        {
            try
            {
                while (true)
                {
                    Action<TimeSpan> apply = await look().ConfigureAwait(false);
                    seen.Writer.TryWrite((apply, time.GetElapsedTime(began)));
                    await Task.Delay(interval, time, stop.Token).ConfigureAwait(false);
                }
            }
            catch (Exception e)
            {
                seen.Writer.TryComplete(e);   // the reader throws it; too late after the verdict, and then nobody cares
            }
        }

        async Task<GateVerdict> ReadAsync()
        {
            TimeSpan now = TimeSpan.Zero;
            await foreach ((Action<TimeSpan> apply, TimeSpan at) in seen.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                now = at > now ? at : now;
                apply(now);
                GateVerdict? verdict = watch.At(now);
                while (watch.TryGetNews(out string? message)) progress.Report(message);
                if (verdict is not null) return verdict;
            }
            throw new OperationCanceledException(cancellationToken);
        }

        Task<GateVerdict> reading = ReadAsync();   // before anything is seen, so that nothing waits for it
        var loops = new List<Task> { Every(Look, () => Task.FromResult<Action<TimeSpan>>(_ => { })) };   // deadlines pass also where nothing answers
        foreach (UnitSource unit in definition.Units)
        {
            loops.Add(Every(Look, async () =>
            {
                UnitState state = await supervisor.GetStateAsync(unit.Name, stop.Token).ConfigureAwait(false);
                return at => watch.Saw(state, at);
            }));
        }
        foreach (CheckOptions check in definition.Checks)
        {
            // A check that is rarer than the stable time would not be seen within it.
            TimeSpan interval = stable > Look && check.Interval > stable ? stable : check.Interval;
            loops.Add(Every(interval, async () =>
            {
                CheckAnswer answer = await probe.ProbeAsync(definition, check, stop.Token).ConfigureAwait(false);
                return at => watch.Saw(answer, at);
            }));
        }

        try
        {
            return await reading.ConfigureAwait(false);
        }
        finally
        {
            stop.Cancel();
            await Task.WhenAll(loops).ConfigureAwait(false);
        }
    }
}

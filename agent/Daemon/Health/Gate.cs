using System.Runtime.ExceptionServices;
using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Watches an app that was just (re)started until it has proved itself or failed. <see cref="GateWatch"/> decides; this looks.</summary>
internal sealed class Gate(IHealthProbe probe, ISupervisor supervisor, TimeProvider time)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Runs every check at its interval and looks at every unit four times a second. Time is the monotonic side of the provider:
    /// a clock that is set changes nothing. While nobody could look, as in suspend, next to none of it passes (<see cref="WatchedTime"/>).
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
        var seen = Channel.CreateUnbounded<Sight>(new UnboundedChannelOptions { SingleReader = true, AllowSynchronousContinuations = true });
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);

        async Task Every(TimeSpan interval, Func<Task<(Action<TimeSpan> Apply, bool Bad)>> look)
        {
            try
            {
                while (true)
                {
                    TimeSpan start = time.GetElapsedTime(began);
                    (Action<TimeSpan> Apply, bool Bad) found;
                    try
                    {
                        found = await look().ConfigureAwait(false);
                    }
                    catch (OperatorException e)
                    {
                        found = (_ => ExceptionDispatchInfo.Throw(e), true);
                    }
                    seen.Writer.TryWrite(new Sight(start, time.GetElapsedTime(began), found.Apply, found.Bad));
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
            var watched = new WatchedTime();
            await foreach (Sight sight in seen.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                TimeSpan now = watched.Look(sight.End);
                // A time limit that ran out while the machine stood still is nobody's failure: look again.
                if (!(sight.Bad && watched.GapSince(sight.Start))) sight.Apply(now);
                GateVerdict? verdict = watch.At(now);
                while (watch.TryGetNews(out string? message)) progress.Report(message);
                if (verdict is not null) return verdict;
            }
            throw new OperationCanceledException(cancellationToken);
        }

        Task<GateVerdict> reading = ReadAsync();   // before anything is seen, so that nothing waits for it
        var loops = new List<Task> { Every(Look, static () => Task.FromResult<(Action<TimeSpan>, bool)>((static _ => { }, false))) };   // deadlines pass also where nothing answers
        foreach (UnitName unit in definition.Started)
        {
            loops.Add(Every(Look, async () =>
            {
                UnitState state = await supervisor.GetStateAsync(unit, stop.Token).ConfigureAwait(false);
                return (at => watch.Saw(state, at), false);   // whatever happened to it meanwhile happened
            }));
        }
        foreach (CheckOptions check in definition.Checks)
        {
            // A check that is rarer than the stable time would not be seen within it.
            TimeSpan interval = stable > Look && check.Interval > stable ? stable : check.Interval;
            loops.Add(Every(interval, async () =>
            {
                CheckAnswer answer = await probe.ProbeAsync(definition, check, stop.Token).ConfigureAwait(false);
                return (at => watch.Saw(answer, at), !answer.Passed);
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

    /// <param name="Start">When the look began, monotonic, since the begin of the watch.</param>
    /// <param name="Apply">Tells the watch, at a time of its own.</param>
    /// <param name="Bad">It tells against the application or systemd.</param>
    private readonly record struct Sight(TimeSpan Start, TimeSpan End, Action<TimeSpan> Apply, bool Bad);
}

using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>The events of one request until its outcome, over as many connections as that takes.</summary>
internal sealed class LastingStream(RolloutTiming timing, TimeProvider time)
{
    /// <summary>What has been told is not told again.</summary>
    /// <param name="ask">Begins the request, or shows what it began before: a request's id makes it safe to ask twice.</param>
    /// <param name="lost">Takes why, each time when the connection is lost.</param>
    /// <exception cref="HostLostException">It could not be had again for as long as <see cref="RolloutTiming.Patience"/>.</exception>
    /// <exception cref="OperatorException">The agent said no.</exception>
    public async IAsyncEnumerable<DeploymentEvent> FollowAsync(
        Func<CancellationToken, IAsyncEnumerable<DeploymentEvent>> ask, Action<string> lost, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        int told = 0;
        long? lostAt = null;
        TimeSpan pause = timing.FirstPause;
        while (true)
        {
            int place = 0;
            HostLostException? why = null;
            await using (IAsyncEnumerator<DeploymentEvent> events = ask(cancellationToken).GetAsyncEnumerator(cancellationToken))
            {
                while (true)
                {
                    DeploymentEvent? next = null;
                    try
                    {
                        if (await events.MoveNextAsync()) next = events.Current;
                    }
                    catch (HostLostException e)
                    {
                        why = e;
                    }
                    if (next is null) break;
                    (lostAt, pause) = (null, timing.FirstPause);
                    if (next.KindCase is DeploymentEvent.KindOneofCase.Started or DeploymentEvent.KindOneofCase.Step)
                    {
                        if (place++ < told) continue;
                        told = place;
                    }
                    yield return next;
                    if (next.KindCase == DeploymentEvent.KindOneofCase.Finished) yield break;
                }
            }
            why ??= new HostLostException(new OperatorException(ExitCode.Unreachable, "the agent ended its answer before the outcome", "systemctl status agentd"));
            lost(why.Message);
            lostAt ??= time.GetTimestamp();
            if (time.GetElapsedTime(lostAt.Value) >= timing.Patience) throw why;
            await Task.Delay(pause, time, cancellationToken);
            pause = pause * 2 > timing.LongestPause ? timing.LongestPause : pause * 2;
        }
    }
}

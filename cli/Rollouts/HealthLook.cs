using Agent.Artifacts;

namespace Agent.Cli.Rollouts;

/// <summary>Looks whether hosts stay healthy. What passes is forgotten at once; what fails must fail several times in a row.</summary>
internal sealed class HealthLook(RolloutHosts hosts, string app, RolloutTiming timing, TimeProvider time)
{
    /// <summary>Looks at these hosts for so long; a little longer where one has failed last.</summary>
    /// <param name="isOver">Asked with each look whether there is anything to look for any more.</param>
    /// <returns>The first that did not stay healthy, or could not be asked any more; null: all did, or it was over.</returns>
    public async Task<(string Host, Stand Stand, string Why)?> WatchAsync(
        IReadOnlyList<string> live, TimeSpan span, Func<CancellationToken, Task<bool>> isOver, CancellationToken cancellationToken)
    {
        var failures = live.ToDictionary(host => host, _ => 0);
        long begun = time.GetTimestamp();
        while (true)
        {
            TimeSpan left = span - time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero && failures.Values.All(count => count == 0)) return null;
            await Task.Delay(left > TimeSpan.Zero && left < timing.Look ? left : timing.Look, time, cancellationToken);
            foreach (HostSaid<string?> said in await hosts.AilmentsAsync(app, failures.ContainsKey, cancellationToken))
            {
                if (said is { Error: null, Answer: null })
                {
                    failures[said.Host] = 0;
                    continue;
                }
                if (++failures[said.Host] < timing.Looks) continue;
                return (said.Host, said.Lost ? Stand.Unreachable : Stand.Unhealthy, said.Error?.Message ?? said.Answer!);
            }
            if (await isOver(cancellationToken)) return null;
        }
    }
}

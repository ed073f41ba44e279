using System.Collections.Concurrent;
using Agent.Artifacts;
using Agent.V1;

namespace Agent.Cli.Rollouts;

/// <summary>What one host said; or why it did not.</summary>
/// <param name="Error">It said no, or could not be asked (<paramref name="Lost"/>); null: it answered.</param>
internal sealed record HostSaid<T>(string Host, T? Answer, OperatorException? Error, bool Lost);

/// <summary>All hosts of a rollout, asked together: some at a time. Disposes of them.</summary>
internal sealed class RolloutHosts(IEnumerable<IRolloutHost> hosts, int parallel, RolloutTiming timing, TimeProvider time) : IDisposable
{
    private readonly ConcurrentDictionary<string, long> told = new();
    private readonly OrderedDictionary<string, IRolloutHost> hosts = new(hosts.Select(host => KeyValuePair.Create(host.Name, host)));

    public IRolloutHost this[string name] => hosts[name];

    /// <summary>Whether the host has this revision, as far as it was told from here.</summary>
    public bool Knows(string host, long revision) => told.TryGetValue(host, out long known) && known >= revision;

    /// <summary>Those that take part stay; the others are disposed of.</summary>
    public void Narrow(Func<string, bool> stays)
    {
        foreach (IRolloutHost host in hosts.Values.Where(host => !stays(host.Name)).ToArray())
        {
            hosts.Remove(host.Name);
            host.Dispose();
        }
    }

    /// <summary>Another in the place of the one of its name, which is disposed of.</summary>
    public void Replace(IRolloutHost host)
    {
        hosts[host.Name].Dispose();
        hosts[host.Name] = host;
    }

    /// <summary>Each of them as it is now.</summary>
    public Task<IReadOnlyList<HostSaid<HostFacts>>> LookAsync(string app, CancellationToken cancellationToken) =>
        AskAsync(_ => true, (host, token) => host.LookAsync(app, token), cancellationToken);

    /// <summary>Puts a rollout on all of them; one that cannot be reached is told before its turn.</summary>
    /// <returns>What each said: where it is not kept, somebody has told the host something else.</returns>
    public async Task<IReadOnlyList<HostSaid<KeepRolloutResponse>>> PutAsync(Rollout rollout, CancellationToken cancellationToken)
    {
        IReadOnlyList<HostSaid<KeepRolloutResponse>> all = await AskAsync(_ => true, (host, token) => host.KeepAsync(rollout, token), cancellationToken);
        foreach (HostSaid<KeepRolloutResponse> said in all) if (said.Answer is { Kept: true }) told[said.Host] = rollout.Revision;
        return all;
    }

    /// <summary>The rollout on each of them, and what became of it there; null: it does not know it.</summary>
    /// <param name="brief">Without the plan.</param>
    public Task<IReadOnlyList<HostSaid<HostRollout?>>> FindAsync(string app, string rollout, bool brief, Func<string, bool> which, CancellationToken cancellationToken) =>
        AskAsync(which, (host, token) => host.FindAsync(app, rollout, brief, token), cancellationToken);

    /// <summary>What is wrong with the app on each of them now; null: nothing.</summary>
    public Task<IReadOnlyList<HostSaid<string?>>> AilmentsAsync(string app, Func<string, bool> which, CancellationToken cancellationToken) =>
        AskAsync(which, (host, token) => host.AilmentAsync(app, token), cancellationToken);

    public void Dispose()
    {
        foreach (IRolloutHost host in hosts.Values) host.Dispose();
    }

    // In the order of the hosts. One that does not answer in time is lost, and does not hold up the others.
    private async Task<IReadOnlyList<HostSaid<T>>> AskAsync<T>(Func<string, bool> which, Func<IRolloutHost, CancellationToken, Task<T>> ask, CancellationToken cancellationToken)
    {
        IRolloutHost[] asked = [.. hosts.Values.Where(host => which(host.Name))];
        var said = new HostSaid<T>[asked.Length];
        await Parallel.ForAsync(0, asked.Length, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellationToken }, async (i, token) =>
        {
            using var limit = new CancellationTokenSource(timing.Answer, time);
            using var both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
            try
            {
                said[i] = new HostSaid<T>(asked[i].Name, await ask(asked[i], both.Token), null, Lost: false);
            }
            catch (HostLostException e)
            {
                said[i] = new HostSaid<T>(asked[i].Name, default, e.Why, Lost: true);
            }
            catch (OperatorException e)
            {
                said[i] = new HostSaid<T>(asked[i].Name, default, e, Lost: false);
            }
            catch (OperationCanceledException) when (!token.IsCancellationRequested)
            {
                said[i] = new HostSaid<T>(asked[i].Name, default, new OperatorException(ExitCode.Unreachable, "it did not answer in time", "agentctl hosts check"), Lost: true);
            }
        });
        return said;
    }
}

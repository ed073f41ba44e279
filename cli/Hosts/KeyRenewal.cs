using Agent.Artifacts;
using Agent.Protos.Access;
using Agent.V1;

namespace Agent.Cli.Hosts;

/// <summary>
/// Changes this machine's key: the next one is kept here, then told to every agent that is paired, and takes the place of the one before only when all know it.
/// Agents take either until the next one calls. So whatever breaks off in between leaves a key that works everywhere, and it can be run again.
/// </summary>
internal static class KeyRenewal
{
    private const int AtOnce = 16;

    /// <param name="Key">Fingerprint of the next key.</param>
    /// <param name="Told">Agents that know it.</param>
    internal sealed record Result(string Key, bool ChangedOver, IReadOnlyList<HostAddress.Tls> Told, IReadOnlyList<(HostAddress.Tls Address, OperatorException Why)> Failed)
    {
        public ExitCode Exit => ChangedOver ? ExitCode.Live : Failed.Any(failed => failed.Why.Code != ExitCode.Unreachable) ? ExitCode.Refused : ExitCode.Unreachable;
    }

    /// <param name="connect">To one agent, with the key as it is now.</param>
    /// <param name="skipFailed">Changes over although some agents do not know the next key: those are forgotten, and have to be paired again.</param>
    /// <exception cref="OperatorException">There is no key, or it is paired with nobody.</exception>
    public static async Task<Result> RunAsync(KeyFiles files, Func<HostAddress.Tls, KeyFiles, AgentConnection> connect, bool skipFailed, CancellationToken cancellationToken)
    {
        using (OwnKey? now = files.Key())
        {
            if (now is null || files.Agents().Count == 0) throw new OperatorException(ExitCode.Usage, "this machine is paired with no agent, so it has no key to renew", "agentctl pair ADDRESS");
        }
        using OwnKey next = files.NextKey();
        var told = new List<HostAddress.Tls>();
        var failed = new List<(HostAddress.Tls, OperatorException)>();
        var gate = new Lock();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(files.Agents(), parallel, async (address, _) =>
        {
            try
            {
                using AgentConnection agent = connect(address, files);
                await agent.AskAccessAsync((client, options) => client.RenewClientAsync(new RenewClientRequest { Fingerprint = next.Fingerprint }, options), cancellationToken);
                lock (gate) told.Add(address);
            }
            catch (OperatorException e)
            {
                lock (gate) failed.Add((address, e));
            }
        });
        bool change = failed.Count == 0 || (skipFailed && told.Count > 0);
        if (change) files.ChangeOver();
        foreach ((HostAddress.Tls address, _) in change ? failed : []) files.Forget(address);    // it would let nobody in with this key
        return new Result(next.Fingerprint, change, told, failed);
    }
}

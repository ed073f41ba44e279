using Agent.Artifacts;
using Agent.Protos.Access;
using Agent.V1;
using Google.Protobuf;

namespace Agent.Cli.Hosts;

/// <summary>Makes this machine and an agent known to each other, by a code that a person carried.</summary>
internal static class AgentPairing
{
    /// <summary>Proves the code over one connection, and keeps the agent's key when its own proof holds for that very connection.</summary>
    /// <param name="secret">What the code stands for: see <see cref="Pairing.TryRead"/>.</param>
    /// <returns>As whom this machine is known there from now on.</returns>
    /// <exception cref="OperatorException">The agent cannot be reached, does not take the code, or does not know it itself.</exception>
    public static async Task<PairResponse> PairAsync(HostAddress.Tls address, byte[] secret, KeyFiles files, TimeProvider time, CancellationToken cancellationToken)
    {
        using OwnKey own = files.KeyOrNew();
        using var dialer = new TlsDialer(address, null, files, time) { TakesAnyAgent = true };
        Stream stream = await dialer.ConnectAsync(cancellationToken);
        string agentsKey = dialer.AgentsKey!;
        using var agent = new AgentConnection(new HostEntry(address.ToString(), address), new Dialed(dialer, stream), time);
        var request = new PairRequest { Proof = ByteString.CopyFrom(Pairing.CallersProof(secret, own.Fingerprint, agentsKey)) };
        PairResponse answer = await agent.AskAccessAsync((client, options) => client.PairAsync(request, options), cancellationToken);
        if (!Pairing.Same(answer.Proof.Span, Pairing.AgentsProof(secret, own.Fingerprint, agentsKey)))
            throw new OperatorException(ExitCode.Refused, $"what answers at {address} does not know the code: somebody is in between, or it is another host. Nothing was kept", "see the address, and make a new code on the host");
        files.Keep(address, new KnownAgent(agentsKey));
        return answer;
    }

    /// <summary>The one connection that the proof is bound to.</summary>
    private sealed class Dialed(IDialer dialer, Stream stream) : IDialer
    {
        private Stream? left = stream;

        public ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken) => Interlocked.Exchange(ref left, null) is { } one
            ? ValueTask.FromResult(one)
            : throw new OperatorException(ExitCode.Unreachable, "the connection broke while pairing", "see on the host whether it took the code: sudo agentctl clients list; then make a new one");

        public OperatorException? Failure => dialer.Failure;

        public void Dispose() => left?.Dispose();
    }
}

using Agent.Artifacts;
using Agent.Daemon.Api;
using Agent.Protos.Access;

namespace Agent.Daemon.Access;

/// <summary>Who may be let in by a code.</summary>
/// <param name="By">Who made the code.</param>
internal sealed record Invitation(string Name, Role Role, string By);

/// <summary>The codes that have been handed out: in memory alone, so that none outlives the agent. Thread-safe.</summary>
internal sealed class PairingCodes(TimeProvider time)
{
    public const int Most = 20, MostWrong = 5;

    public static readonly TimeSpan Usual = TimeSpan.FromMinutes(10), Longest = TimeSpan.FromHours(1);

    private readonly Lock gate = new();
    private readonly List<Open> codes = [];

    /// <returns>The code, as people carry it.</returns>
    /// <exception cref="OperatorException">Too many wait to be used.</exception>
    public string Create(Invitation invitation, TimeSpan valid)
    {
        lock (gate)
        {
            RemoveExpired();
            codes.RemoveAll(open => open.Invitation.Name == invitation.Name);   // the newest is the one that somebody holds
            if (codes.Count >= Most) throw new OperatorException(ExitCode.Refused, $"{Most} codes wait to be used", "use them, or wait until they expire");
            var created = new Open(Pairing.NewSecret(), invitation, time.GetTimestamp(), valid);
            codes.Add(created);
            return Pairing.Code(created.Secret);
        }
    }

    /// <summary>Uses a code up. A proof that belongs to none counts against all of them: nobody knows which one was meant.</summary>
    /// <param name="callersKey">Fingerprint of the key at the other end of this connection.</param>
    /// <param name="agentsKey">Fingerprint of the key that the agent showed there.</param>
    /// <param name="voided">How many codes are good no more for it.</param>
    /// <returns>Whom the code lets in, and what the agent proves in return; null: no code.</returns>
    public (Invitation Invitation, byte[] Proof)? Use(ReadOnlySpan<byte> proof, string callersKey, string agentsKey, out int voided)
    {
        lock (gate)
        {
            RemoveExpired();
            voided = 0;
            Open? used = null;
            foreach (Open open in codes)
                if (Pairing.Same(proof, Pairing.CallersProof(open.Secret, callersKey, agentsKey))) used = open;
            if (used is not null)
            {
                codes.Remove(used);
                return (used.Invitation, Pairing.AgentsProof(used.Secret, callersKey, agentsKey));
            }
            foreach (Open open in codes) open.Wrong++;
            voided = codes.RemoveAll(open => open.Wrong >= MostWrong);
            return null;
        }
    }

    private void RemoveExpired() => codes.RemoveAll(open => time.GetElapsedTime(open.Start) >= open.Valid);

    private sealed record Open(byte[] Secret, Invitation Invitation, long Start, TimeSpan Valid)
    {
        public int Wrong { get; set; }
    }
}

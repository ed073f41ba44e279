using System.Runtime.CompilerServices;
using Agent.Artifacts;
using Agent.Cli.Rollouts;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using RolloutState = Agent.V1.Rollout.Types.State;

namespace Agent.Tests.Cli.Rollouts;

/// <summary>Hosts that keep rollouts and begin turns by the rules of the engine, in memory; their network and their releases do what a test says.</summary>
internal sealed class FakeFleet
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, Machine> machines = [];
    private int effects;

    public FakeFleet(params string[] hosts)
    {
        foreach (string host in hosts) machines[host] = new Machine(host);
    }

    /// <summary>Calls and answers after which whoever drives is dead: it hears and does nothing more.</summary>
    public int DiesAfter { get; set; } = int.MaxValue;

    public bool Died => effects > DiesAfter;

    public Machine this[string host] => machines[host];

    public IEnumerable<Machine> All => machines.Values;

    /// <summary>A new driver's way to the hosts.</summary>
    public RolloutHosts Connect(RolloutTiming timing, TimeProvider time)
    {
        effects = 0;
        return new RolloutHosts(machines.Values.Select(machine => new Link(this, machine)), 4, timing, time);
    }

    /// <summary>How many deployments each host began in the rollout.</summary>
    public IEnumerable<int> Turns(string rollout) => machines.Values.Select(machine => machine.Deployments.Count(deployment => deployment.Request == rollout));

    public static Rollout Rollout(string id, RolloutPlan plan) => new()
    {
        Id = id,
        App = "shop",
        Plan = plan,
        Revision = 1,
        State = RolloutState.Running,
        Driver = "ann@laptop",
        Started = new Timestamp { Seconds = 1_800_000_000 },
    };

    public static RolloutPlan Plan(params string[] batches) => new()
    {
        Version = "v2.0.0",
        MaxFailures = 1,
        Batches = { batches.Select(batch => new RolloutBatch { Hosts = { batch.Split(' ').Select(host => new RolloutHost { Name = host, Address = $"ssh://{host}" }) } }) },
    };

    // Death is at an effect: before it is done, or after it is done and before its answer comes.
    private void Effect(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (Interlocked.Increment(ref effects) > DiesAfter) throw new DriverDiedException();
    }

    internal sealed class Machine(string name)
    {
        public string Name => name;

        public string Version { get; set; } = "v1.0.0";

        /// <summary>How its turn ends.</summary>
        public Outcome Outcome { get; set; } = Outcome.Live;

        public string? Ailment { get; set; }

        /// <summary>How often its health was asked for.</summary>
        public int Looks { get; set; }

        /// <summary>Runs when its health is asked for.</summary>
        public Action? Looked { get; set; }

        /// <summary>Nobody reaches it.</summary>
        public bool CutOff { get; set; }

        /// <summary>So many answers of a turn are lost on the way.</summary>
        public int AnswersLost { get; set; }

        /// <summary>A turn stays under way until this completes.</summary>
        public Task Gate { get; set; } = Task.CompletedTask;

        /// <summary>Completes when a turn is under way.</summary>
        public TaskCompletionSource Begun { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Rollout? Known { get; set; }

        public List<Deployment> Deployments { get; } = [];
    }

    internal sealed class DriverDiedException : Exception
    {
    }

    private sealed class Link(FakeFleet fleet, Machine machine) : IRolloutHost
    {
        public string Name => machine.Name;

        public Task<HostFacts> LookAsync(string app, CancellationToken cancellationToken) =>
            CallAsync(() => new HostFacts("0.1.0", [new AppStatus { App = "shop", Version = machine.Version }]), cancellationToken);

        public Task<KeepRolloutResponse> KeepAsync(Rollout rollout, CancellationToken cancellationToken) => CallAsync(() =>
        {
            Rollout? known = machine.Known;
            bool same = known is not null && (known.Revision, known.State, known.Driver, known.Reason) == (rollout.Revision, rollout.State, rollout.Driver, rollout.Reason);
            bool over = known?.State is RolloutState.Aborted or RolloutState.Finished;
            bool kept = same || known is null || (rollout.Revision > known.Revision && !over);
            if (kept) machine.Known = rollout.Clone();
            return new KeepRolloutResponse { Kept = kept, Known = machine.Known };
        }, cancellationToken);

        public Task<HostRollout?> FindAsync(string app, string rollout, bool brief, CancellationToken cancellationToken) => CallAsync(() => machine.Known?.Id != rollout ? null : new HostRollout
        {
            Rollout = machine.Known.Clone(),
            Deployment = machine.Deployments.Find(deployment => deployment.Request == rollout)?.Clone(),
            Back = machine.Deployments.Find(deployment => deployment.Request == rollout + "-back")?.Clone(),
        }, cancellationToken);

        public IAsyncEnumerable<DeploymentEvent> DeployAsync(DeployRequest request, CancellationToken cancellationToken) =>
            TurnAsync(request.Request, request.Version, "deploy", request.Rollout, machine.Outcome, cancellationToken);

        public IAsyncEnumerable<DeploymentEvent> RollBackAsync(RollbackRequest request, CancellationToken cancellationToken) =>
            TurnAsync(request.Request, request.Version, "rollback", request.Rollout, Outcome.Live, cancellationToken);

        public Task<string?> AilmentAsync(string app, CancellationToken cancellationToken) => CallAsync(() =>
        {
            machine.Looks++;
            machine.Looked?.Invoke();
            return machine.Ailment;
        }, cancellationToken);

        public void Dispose()
        {
        }

        private async IAsyncEnumerable<DeploymentEvent> TurnAsync(
            string request, string version, string trigger, RolloutTurn turn, Outcome outcome, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            Deployment deployment = await CallAsync(() => Begin(request, version, trigger, turn), cancellationToken);
            fleet.Effect(cancellationToken);
            if (machine.AnswersLost-- > 0) throw Lost();
            if (deployment.Outcome == Outcome.Unspecified) yield return new DeploymentEvent { Deployment = deployment.Id, Started = deployment };
            machine.Begun.TrySetResult();
            await machine.Gate.WaitAsync(cancellationToken);
            fleet.Effect(cancellationToken);
            if (machine.CutOff) throw Lost();
            yield return new DeploymentEvent { Deployment = deployment.Id, Finished = Find(request) };

            // It goes on by itself, whoever watches.
            Deployment Begin(string id, string to, string why, RolloutTurn place)
            {
                if (machine.Deployments.Find(known => known.Request == id) is { } begun) return begun;
                if (machine.Known is not { } kept || kept.Id != place.Id || kept.Revision != place.Revision || kept.State is not (RolloutState.Running or RolloutState.RollingBack))
                    throw new OperatorException(ExitCode.Refused, $"rollout {place.Id} is not yours to drive", "agentctl rollout show");
                var started = new Deployment { Id = $"{machine.Name}-{machine.Deployments.Count + 1}", FromVersion = machine.Version, ToVersion = to, Trigger = why, Request = id, Rollout = place.Id };
                machine.Deployments.Add(started);
                _ = EndAsync(started);
                return started.Clone();
            }

            async Task EndAsync(Deployment ended)
            {
                await machine.Gate;
                lock (fleet.gate)
                {
                    ended.Outcome = outcome;
                    if (outcome == Outcome.Live) machine.Version = ended.ToVersion;
                }
            }

            Deployment Find(string id)
            {
                lock (fleet.gate) return machine.Deployments.Find(known => known.Request == id)!.Clone();
            }
        }

        private async Task<T> CallAsync<T>(Func<T> call, CancellationToken cancellationToken)
        {
            await Task.Yield();
            fleet.Effect(cancellationToken);
            if (machine.CutOff) throw Lost();
            T answer;
            lock (fleet.gate) answer = call();
            fleet.Effect(cancellationToken);
            return answer;
        }

        private HostLostException Lost() => new(new OperatorException(ExitCode.Unreachable, $"{machine.Name} does not answer", "ping it"));
    }
}

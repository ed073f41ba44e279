using System.Collections.Immutable;
using System.Threading.Channels;
using Agent.Artifacts;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;
using State = Agent.V1.Rollout.Types.State;

namespace Agent.Cli.Rollouts;

/// <summary>What a driver left.</summary>
/// <param name="Newer">The rollout as somebody else has it now; null: it was this driver's to the end.</param>
/// <param name="Detached">A person left it as it is.</param>
internal sealed record RolloutEnd(Rollout Rollout, RolloutProgress Progress, Rollout? Newer, bool Detached);

/// <summary>
/// Drives a rollout: does what <see cref="RolloutProgress.Next"/> says, and tells it what became of that. All that must outlive this
/// process lies on the hosts.
/// </summary>
/// <remarks>
/// 1. Its revision is put on every host that can be reached, before anything else; who finds one as high gives up.
/// 2. Before each batch, with each look while one settles, and when a host refuses, the hosts are asked for a higher one: then somebody else drives, and this one starts nothing more.
/// 3. A turn is begun by the rollout's id: to ask again is to see the same deployment.
/// </remarks>
/// <param name="report">Takes what happens, from any thread, one at a time.</param>
internal sealed class RolloutDriver(RolloutHosts hosts, string driver, RolloutTiming timing, TimeProvider time, Action<RolloutReport> report) : IDisposable
{
    private readonly Lock telling = new();
    private readonly Channel<Happening> happenings = Channel.CreateUnbounded<Happening>();
    private readonly Dictionary<string, string> before = [];   // the version of each host, before its turn
    private readonly List<Task> running = [];
    private Rollout rollout = new();
    private RolloutProgress progress = new([], ImmutableDictionary<string, Stand>.Empty);
    private CancellationTokenSource settling = new();

    private abstract record Happening
    {
        public sealed record Ended(string Host, TurnEnd End) : Happening;

        public sealed record Settled(int Batch) : Happening;

        public sealed record Ailing(string Host, Stand Stand, string Why) : Happening;

        public sealed record Superseded(Rollout Newer) : Happening;

        public sealed record Wished(Will? Will, string Reason) : Happening;
    }

    /// <summary>A person wants it otherwise; at any time, from any thread.</summary>
    /// <param name="will">Null: it is left as it is.</param>
    /// <param name="reason">For whoever looks later.</param>
    public void Wish(Will? will, string reason) => happenings.Writer.TryWrite(new Happening.Wished(will, reason));

    /// <summary>Begins a rollout, and drives it to its end.</summary>
    /// <exception cref="OperatorException">A host does not take it: nothing has begun.</exception>
    public async Task<RolloutEnd> BeginAsync(Rollout begun, CancellationToken cancellationToken)
    {
        progress = RolloutProgress.Of(begun.Plan);
        IReadOnlyList<HostSaid<KeepRolloutResponse>> said = await hosts.PutAsync(rollout = begun, cancellationToken);
        if (said.FirstOrDefault(host => host is { Error: not null, Lost: false }) is { } no)
        {
            string why = $"{no.Host}: {no.Error!.Message}";
            await hosts.PutAsync(Changed(begun, State.Aborted, why), cancellationToken);
            throw new OperatorException(no.Error.Code, $"nothing has begun: {why}", no.Error.Remedy, no.Error);
        }
        if (Newest(said) is { } newer) return End(newer);
        Report(new RolloutReport.Changed(rollout, progress));
        return await DriveAsync(cancellationToken);
    }

    /// <summary>Takes a rollout over from whoever drove it, and drives it to its end.</summary>
    /// <param name="known">As the hosts know it, with the highest revision.</param>
    /// <param name="maxFailures">How many may have failed until it stops, those of before too; null: as the plan says.</param>
    /// <param name="skipUnreachable">Hosts that cannot be asked now are left out of that count.</param>
    public async Task<RolloutEnd> TakeOverAsync(Rollout known, Will will, string reason, int? maxFailures, bool skipUnreachable, CancellationToken cancellationToken)
    {
        progress = RolloutProgress.Of(known.Plan);
        rollout = Changed(known, will == Will.GoBack ? State.RollingBack : State.Running, reason);
        if (Newest(await hosts.PutAsync(rollout, cancellationToken)) is { } newer) return End(newer);
        // Only now: what the driver before had begun when its revision was superseded is seen here, and nothing more can begin.
        foreach (HostSaid<HostRollout?> said in await hosts.FindAsync(known.App, known.Id, brief: true, _ => true, cancellationToken))
        {
            progress = progress.With(said.Host, said.Error is null ? HostTurn.StandOf(said.Answer) : Stand.Unreachable);
            if (said.Answer?.Deployment is { } turn) before[said.Host] = turn.FromVersion;
        }
        progress = progress with
        {
            Will = will,
            Settled = Math.Max(0, progress.Batches.ToList().FindLastIndex(batch => batch.Any(host => progress.Stands[host] is not (Stand.Waiting or Stand.Unreachable)))),
            MaxFailures = maxFailures ?? progress.MaxFailures,
            Forgiven = [.. progress.Hosts.Where(host => skipUnreachable && progress.Stands[host] == Stand.Unreachable)],
        };
        Report(new RolloutReport.Changed(rollout, progress));
        foreach (string host in progress.Hosts) if (RolloutProgress.IsUnderWay(progress.Stands[host])) Go(host, cancellationToken);
        return await DriveAsync(cancellationToken);
    }

    public void Dispose() => settling.Dispose();

    private async Task<RolloutEnd> DriveAsync(CancellationToken cancellationToken)
    {
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        int asked = -1;   // the batch before which the others were asked last
        try
        {
            while (true)
            {
                switch (progress.Next())
                {
                    case RolloutMove.Start start:
                        if (start.Batch != asked && await NewerAsync(leaving.Token) is { } newer) return End(newer);
                        asked = start.Batch;
                        progress = progress.With(start.Hosts, Stand.UnderWay);
                        Report(new RolloutReport.Began(start.Batch + 1, start.Hosts));
                        foreach (string host in start.Hosts) Go(host, leaving.Token);
                        break;
                    case RolloutMove.Return back:
                        progress = progress.With(back.Hosts, Stand.GoingBack);
                        Report(new RolloutReport.Began(0, back.Hosts));
                        foreach (string host in back.Hosts) Go(host, leaving.Token);
                        break;
                    case RolloutMove.Settle settle:
                        progress = progress with { Settling = true };
                        Report(new RolloutReport.Settling(settle.Batch + 1, settle.Span));
                        Settle(settle, leaving.Token);
                        break;
                    case RolloutMove.Decide decide:
                        if (await WillAsync(decide.Will, decide.Reason, leaving.Token) is { } superseded) return End(superseded);
                        break;
                    case RolloutMove.Wait:
                        if (await TakeAsync(await happenings.Reader.ReadAsync(leaving.Token), leaving.Token) is { } end) return end;
                        break;
                    default:
                        return End(await ConcludeAsync(leaving.Token));
                }
            }
        }
        finally
        {
            await settling.CancelAsync();
            await leaving.CancelAsync();
            try
            {
                await Task.WhenAll(running);   // they only watch: what they watch goes on
            }
            catch (OperationCanceledException)
            {
                // Which ends the watching.
            }
        }
    }

    /// <returns>Null: it goes on.</returns>
    private async Task<RolloutEnd?> TakeAsync(Happening happening, CancellationToken cancellationToken)
    {
        switch (happening)
        {
            case Happening.Ended(var host, var end):
                // The host may have refused because it knows of another driver.
                if (end is { Stand: Stand.Refused or Stand.NotBack, Deployment: null } && await NewerAsync(cancellationToken) is { } newer) return End(newer);
                if (end.Deployment is { } turn) before.TryAdd(host, turn.FromVersion);
                progress = progress.With(host, end.Stand);
                Report(new RolloutReport.Ended(host, end.Stand, end.Deployment, end.Why));
                return null;
            case Happening.Settled(var batch):
                progress = progress with { Settled = batch + 1, Settling = false };
                return null;
            case Happening.Ailing(var host, var stand, var why):
                progress = progress.With(host, stand) with { Settling = false };
                Report(new RolloutReport.Ailing(host, stand, why));
                return null;
            case Happening.Superseded(var superseding):
                return End(superseding);
            case Happening.Wished(null, _):
                return new RolloutEnd(rollout, progress, null, Detached: true);
            case Happening.Wished({ } will, var reason) when will > progress.Will:
                return await WillAsync(will, reason, cancellationToken) is { } superseded ? End(superseded) : null;
            default:
                return null;
        }
    }

    /// <summary>Stops, or goes back: at once here, and on all hosts that can be reached.</summary>
    /// <returns>As somebody else has it now; null: nobody.</returns>
    private async Task<Rollout?> WillAsync(Will will, string reason, CancellationToken cancellationToken)
    {
        progress = progress with { Will = will, Settling = false };
        await settling.CancelAsync();
        return await PutAsync(Changed(rollout, will == Will.GoBack ? State.RollingBack : State.Paused, reason), cancellationToken);
    }

    // Finished where nothing is left to be known or done; else it can be gone on with.
    private async Task<Rollout?> ConcludeAsync(CancellationToken cancellationToken)
    {
        bool isLeft = progress.Stands.Values.Any(stand => stand is Stand.Waiting or Stand.Unreachable);
        switch (progress.Will)
        {
            case Will.GoBack:
                if (progress.Stands.ContainsValue(Stand.Unreachable)) return null;   // it stays as it is: rolling back
                return await PutAsync(Changed(rollout, State.Finished, $"rolled back: {rollout.Reason}"), cancellationToken);
            case Will.GoOn when isLeft:
                return await PutAsync(Changed(rollout, State.Paused, $"unreachable: {string.Join(", ", progress.Hosts.Where(host => progress.Stands[host] == Stand.Unreachable).Take(5))}"), cancellationToken);
            case Will.Stop when isLeft:
                return null;   // paused, as every host was told
            default:
                return await PutAsync(Changed(rollout, State.Finished, progress.Will == Will.Stop ? rollout.Reason : ""), cancellationToken);
        }
    }

    private void Go(string name, CancellationToken cancellationToken)
    {
        Rollout now = rollout;
        Stand stand = progress.Stands[name];
        string earlier = before.GetValueOrDefault(name, "");
        var turn = new HostTurn(hosts[name], timing, time, Report);
        bool told = hosts.Knows(name, now.Revision);
        running.Add(GoAsync());

        async Task GoAsync()
        {
            try
            {
                TurnEnd end = stand == Stand.GoingBack
                    ? await turn.BackAsync(now, told, earlier, cancellationToken)
                    : await turn.ForwardAsync(now, told, cancellationToken);
                happenings.Writer.TryWrite(new Happening.Ended(name, end));
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                happenings.Writer.TryComplete(e);   // a mistake in here must end the driver, not let it wait for ever
            }
        }
    }

    private void Settle(RolloutMove.Settle settle, CancellationToken cancellationToken)
    {
        settling.Dispose();
        settling = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CancellationToken token = settling.Token;
        string[] live = [.. progress.Hosts.Where(host => progress.Stands[host] is Stand.Live or Stand.Already)];
        running.Add(SettleAsync());

        async Task SettleAsync()
        {
            var watch = new HealthLook(hosts, rollout.App, timing, time);
            try
            {
                Rollout? newer = null;
                (string Host, Stand Stand, string Why)? ailing = await watch.WatchAsync(live, settle.Span, async stop => (newer = await NewerAsync(stop)) is not null, token);
                happenings.Writer.TryWrite(
                    newer is not null ? new Happening.Superseded(newer)
                    : ailing is { } found ? new Happening.Ailing(found.Host, found.Stand, found.Why) : new Happening.Settled(settle.Batch));
            }
            catch (OperationCanceledException) when (token.IsCancellationRequested)
            {
                // It stops or goes back, or nobody drives any more.
            }
        }
    }

    private Rollout Changed(Rollout from, State state, string reason)
    {
        Rollout changed = from.Clone();
        (changed.Revision, changed.State, changed.Driver, changed.Reason) = (from.Revision + 1, state, driver, reason);
        changed.Changed = Timestamp.FromDateTimeOffset(time.GetUtcNow());
        return changed;
    }

    private async Task<Rollout?> PutAsync(Rollout next, CancellationToken cancellationToken)
    {
        if (Newest(await hosts.PutAsync(next, cancellationToken)) is { } newer) return newer;
        rollout = next;
        Report(new RolloutReport.Changed(rollout, progress));
        return null;
    }

    private async Task<Rollout?> NewerAsync(CancellationToken cancellationToken) =>
        (await hosts.FindAsync(rollout.App, rollout.Id, brief: true, host => progress.Stands[host] != Stand.Unreachable, cancellationToken))
            .Select(said => said.Answer?.Rollout).Where(known => known?.Revision > rollout.Revision).MaxBy(known => known!.Revision);

    private static Rollout? Newest(IEnumerable<HostSaid<KeepRolloutResponse>> said) =>
        said.Where(host => host.Answer is { Kept: false }).Select(host => host.Answer!.Known).MaxBy(known => known.Revision);

    private RolloutEnd End(Rollout? newer) => new(rollout, progress, newer, Detached: false);

    private void Report(RolloutReport happened)
    {
        lock (telling) report(happened);
    }
}

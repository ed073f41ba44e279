using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>A rollout that was found, and its hosts.</summary>
/// <param name="Newest">With its plan, at the highest revision that any of its hosts knows.</param>
internal sealed record FoundRollout(Rollout Newest, RolloutHosts Hosts, KnownRollout Known) : IDisposable
{
    public void Dispose() => Hosts.Dispose();
}

/// <summary>Finds rollouts: what rollouts, rollout show, pause, resume and abort have in common.</summary>
internal static class RolloutSearch
{
    /// <summary>What the hosts that are asked know.</summary>
    /// <param name="id">Empty: all.</param>
    public static async Task<IReadOnlyList<HostAnswer<ListRolloutsResponse>>> AskAsync(HostsCall call, string id, CancellationToken cancellationToken)
    {
        var request = new ListRolloutsRequest { App = call.App, Id = id };
        var answers = new List<HostAnswer<ListRolloutsResponse>>();
        await foreach (HostAnswer<ListRolloutsResponse> answer in FanOut.AskAsync(
            call, (one, stop) => one.Agent.AskRolloutsAsync((client, options) => client.ListRolloutsAsync(request, options), stop), _ => 0, cancellationToken))
            answers.Add(answer);
        return answers;
    }

    public static IEnumerable<Finding> Findings(IEnumerable<HostAnswer<ListRolloutsResponse>> answers) =>
        answers.SelectMany(answer => (answer.Result?.Rollouts ?? []).Select(known => new Finding(answer.Host, known)));

    /// <summary>Finds a rollout on the hosts that are asked, then asks all hosts of its plan.</summary>
    /// <exception cref="OperatorException">None of them knows it (<see cref="ExitCode.Usage"/>), or none can be asked.</exception>
    public static async Task<FoundRollout> FindAsync(HostsCall call, Inventory inventory, string id, CancellationToken cancellationToken)
    {
        IReadOnlyList<HostAnswer<ListRolloutsResponse>> answers = await AskAsync(call, id, cancellationToken);
        Rollout? known = KnownRollout.Join(Findings(answers), []).FirstOrDefault(rollout => rollout.Rollout.Id == id)?.Rollout;
        if (known is null)
        {
            FanOut.TellErrors(call, answers);
            HostAnswer<ListRolloutsResponse>? failed = answers.FirstOrDefault(answer => answer.Error is not null);
            throw new OperatorException(failed?.Error?.Code ?? ExitCode.Usage, $"no host that was asked knows rollout '{id}'", "agentctl rollouts lists them; --host names the hosts to ask");
        }
        HostEntry[] entries = [.. known.Plan.Batches.SelectMany(batch => batch.Hosts).Select(host => Entry(call, inventory, host))];
        var hosts = new RolloutHosts(entries.Select(entry => new AgentRolloutHost(call.Connect(entry))), call.Parallel, RolloutTiming.Usual, call.Time);
        try
        {
            IReadOnlyList<HostSaid<HostRollout?>> said = await hosts.FindAsync(known.App, id, brief: false, _ => true, cancellationToken);
            RefuseDisagreement(id, Findings(answers).Select(finding => (finding.Host.Name, finding.Known))
                .Concat(said.Where(host => host.Answer is not null).Select(host => (host.Host, host.Answer!))));
            Dictionary<string, string> planned = known.Plan.Batches.SelectMany(batch => batch.Hosts).ToDictionary(host => host.Name, host => host.Address);
            // Another machine under the same name, or this one as "local": what does not know the rollout must not get a turn by mistake.
            foreach (HostEntry entry in entries)
            {
                string address = entry.Address.ToString()!;
                bool isSure = address == planned[entry.Name] && entry.Address is not HostAddress.Local;
                if (!isSure && said.First(host => host.Host == entry.Name) is { Error: null, Answer: null })
                    hosts.Replace(new AbsentHost(entry.Name, $"{address} does not know the rollout, which began on {planned[entry.Name]}: it may be another machine"));
            }
            Rollout newest = said.Select(host => host.Answer?.Rollout).Append(known).Where(rollout => rollout is not null).MaxBy(rollout => rollout!.Revision)!.Clone();
            newest.Plan = known.Plan;
            return new FoundRollout(newest, hosts, KnownRollout.Join(newest, said));
        }
        catch
        {
            hosts.Dispose();
            throw;
        }
    }

    /// <summary>Puts another state on all hosts of a rollout that can be reached.</summary>
    /// <param name="change">Makes the next state of the newest; throws where it cannot be.</param>
    /// <returns>The exit status.</returns>
    public static async Task<int> ChangeAsync(HostsCall call, Inventory inventory, string id, Func<Rollout, (Rollout.Types.State State, string Reason)> change, CancellationToken cancellationToken)
    {
        using FoundRollout found = await FindAsync(call, inventory, id, cancellationToken);
        Rollout next = found.Newest.Clone();
        (next.State, next.Reason) = change(found.Newest);
        (next.Revision, next.Driver) = (found.Newest.Revision + 1, RolloutRun.Driver);
        IReadOnlyList<HostSaid<KeepRolloutResponse>> said = await found.Hosts.PutAsync(next, cancellationToken);
        if (said.FirstOrDefault(host => host.Answer is { Kept: false }) is { } other)
            throw new OperatorException(ExitCode.Refused, $"{other.Answer!.Known.Driver} was quicker: rollout {id} is {RolloutWords.Of(other.Answer.Known.State)} on {other.Host}", $"agentctl rollout show {id}");
        HostSaid<KeepRolloutResponse>[] untold = [.. said.Where(host => host.Error is not null)];
        if (untold.Length == said.Count) throw new OperatorException(untold[0].Error!.Code, $"no host of rollout {id} was told: {untold[0].Host}: {untold[0].Error!.Message}", untold[0].Error!.Remedy);
        if (call.Json) call.Terminal.Document(writer => writer.Object(next, (w, rollout) =>
        {
            JsonMessages.Rollout(w, rollout);
            w.Texts("untold", untold.Select(host => host.Host));
        }));
        else
        {
            call.Terminal.Line(new Piece($"rollout {id}", Tone.Strong), $"  {RolloutWords.Of(next.State)}: what is under way ends by itself, nothing new starts");
            foreach (HostSaid<KeepRolloutResponse> host in untold) call.Terminal.ErrorLine(new Piece("untold ", Tone.Bad), $"{host.Host}: {host.Error!.Message}");
        }
        return untold.Length > 0 ? (int)ExitCode.Unreachable : 0;
    }

    /// <exception cref="OperatorException">It is over (<see cref="ExitCode.Refused"/>).</exception>
    public static void RefuseOver(Rollout rollout)
    {
        if (rollout.State is Rollout.Types.State.Aborted or Rollout.Types.State.Finished)
            throw new OperatorException(ExitCode.Refused, $"rollout {rollout.Id} is {RolloutWords.Of(rollout.State)}", "begin a new one: agentctl deploy VERSION --host HOSTS");
    }

    // A plan never changes. A host that tells another one is wrong or worse, and nothing is to be done by what it says.
    private static void RefuseDisagreement(string id, IEnumerable<(string Host, HostRollout Known)> told)
    {
        IGrouping<RolloutPlan?, string>[] plans = [.. told.GroupBy(each => each.Known.Rollout?.Plan, each => each.Host)];
        if (plans.Length > 1)
        {
            throw new OperatorException(
                ExitCode.Refused, $"hosts tell different plans of rollout {id}: {string.Join(" and ", plans.Select(same => string.Join(", ", same.Distinct().Take(5))))} do not agree",
                "see who changed what there, with 'agentctl audit', and begin a new rollout without the hosts that you do not trust");
        }
    }

    // By the name that it has here; else by its address here; else by the rollout's.
    private static HostEntry Entry(HostsCall call, Inventory inventory, RolloutHost host)
    {
        HostEntry? here = call.Hosts.Concat(inventory.Hosts).FirstOrDefault(entry => entry.Name == host.Name)
            ?? call.Hosts.Concat(inventory.Hosts).FirstOrDefault(entry => entry.Address.ToString() == host.Address && entry.Address is not HostAddress.Local);
        if (here is null && !call.Json) call.Terminal.ErrorLine($"note:  {host.Name} is not in your hosts; by the rollout it is {host.Address}");
        return here is null ? new HostEntry(host.Name, HostAddress.Parse(host.Address)) : here with { Name = host.Name };
    }
}

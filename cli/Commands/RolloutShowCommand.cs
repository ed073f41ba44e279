using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.Cli.Rollouts;
using Agent.Protos;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RolloutShowCommand
{
    public static Verb Create(Verbs verbs)
    {
        Argument<string> id = RolloutCommand.Id();
        return verbs.AskingAll(
            new Verb("show", "Shows a rollout: who drives it, and what became of each of its hosts.", "agentctl rollout show r20261121-1103-7f3a9c"),
            [id],
            async (call, cancellationToken) =>
            {
                using FoundRollout found = await RolloutSearch.FindAsync(call, verbs.Inventory, call.Parsed.GetValue(id)!, cancellationToken);
                Show(call, found.Newest, found.Known);
                return found.Known.Count(Stand.Unreachable) > 0 ? (int)Artifacts.ExitCode.Unreachable : 0;
            });
    }

    private static void Show(HostsCall call, Rollout rollout, KnownRollout known)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(known, (w, all) =>
            {
                JsonMessages.Rollout(w, rollout);
                w.Array("hosts", all.Hosts, JsonMessages.RolloutHost);
            }));
            return;
        }
        foreach (Piece[] line in RolloutText.Heading(rollout)) call.Terminal.Line(line);
        call.Terminal.Line($"{RolloutWords.Of(rollout.State)}{(rollout.Reason.Length > 0 ? $": {rollout.Reason}" : "")}, begun {Human.Time(rollout.Started)}, last changed {Human.Time(rollout.Changed)}");
        var table = new Table("HOST", "BATCH", "STANDS", "DEPLOYMENT", "TOOK", "CAUSE");
        foreach (RolloutHostState host in known.Hosts)
        {
            Deployment? last = host.Known?.Back ?? host.Known?.Deployment;
            table.Add(host.Host.Name, $"{host.Batch}", RolloutText.Outcome(host.Stand), last?.Id ?? "-", Human.Took(last?.Started, last?.Finished), host.Why);
        }
        table.Write(call.Terminal);
    }
}

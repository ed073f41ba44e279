using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RolloutAbortCommand
{
    public static Verb Create(Verbs verbs)
    {
        Argument<string> id = RolloutCommand.Id();
        Option<string> reason = Verbs.Reason();
        return verbs.AskingAll(
            new Verb("abort", "Ends a rollout: nothing new starts in it, ever; what is under way ends, and what is live stays.", "agentctl rollout abort r20261121-1103-7f3a9c --reason withdrawn"),
            [id, reason],
            (call, cancellationToken) => RolloutSearch.ChangeAsync(call, verbs.Inventory, call.Parsed.GetValue(id)!, rollout =>
            {
                RolloutSearch.RefuseOver(rollout);
                return (Rollout.Types.State.Aborted, call.Parsed.GetValue(reason)!);
            }, cancellationToken));
    }
}

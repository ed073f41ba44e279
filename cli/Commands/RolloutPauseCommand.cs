using System.CommandLine;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RolloutPauseCommand
{
    public static Verb Create(Verbs verbs)
    {
        Argument<string> id = RolloutCommand.Id();
        Option<string> reason = Verbs.Reason();
        return verbs.AskingAll(
            new Verb("pause", "Lets nothing new start in a rollout; what is under way ends. 'rollout resume' goes on with it.", "agentctl rollout pause r20261121-1103-7f3a9c --reason lunch"),
            [id, reason],
            (call, cancellationToken) => RolloutSearch.ChangeAsync(call, verbs.Inventory, call.Parsed.GetValue(id)!, rollout =>
            {
                RolloutSearch.RefuseOver(rollout);
                return (Rollout.Types.State.Paused, call.Parsed.GetValue(reason)!);
            }, cancellationToken));
    }
}

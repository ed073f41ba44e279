using System.CommandLine;
using Agent.Cli.Rollouts;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class RolloutResumeCommand
{
    public static Verb Create(Verbs verbs)
    {
        Argument<string> id = RolloutCommand.Id();
        Option<string> reason = Verbs.Reason();
        var failures = new Option<int?>("--max-failures") { Description = "stop when so many hosts have failed, those of before too; else as the rollout began", HelpName = "COUNT" };
        var back = new Option<bool>("--rollback-all") { Description = "take every host that took the version back, instead of going on" };
        var skip = new Option<bool>("--skip-unreachable") { Description = "go on without hosts that cannot be asked now" };
        return verbs.AskingAll(
            new Verb("resume", "Goes on with a rollout, whoever drove it before, and shows it until its end. A driver that is still there stops by itself.",
                "agentctl rollout resume r20261121-1103-7f3a9c", "agentctl rollout resume r20261121-1103-7f3a9c --max-failures 2", "agentctl rollout resume r20261121-1103-7f3a9c --rollback-all"),
            [id, failures, back, skip, reason],
            async (call, cancellationToken) =>
            {
                using FoundRollout found = await RolloutSearch.FindAsync(call, verbs.Inventory, call.Parsed.GetValue(id)!, cancellationToken);
                RolloutSearch.RefuseOver(found.Newest);
                // It may have been paused on its way back.
                bool wentBack = found.Newest.State == Rollout.Types.State.RollingBack || found.Known.Hosts.Any(host => host.Known?.Back is not null);
                Will will = wentBack || call.Parsed.GetValue(back) ? Will.GoBack : Will.GoOn;
                string why = call.Parsed.GetValue(reason)! is { Length: > 0 } typed ? typed : wentBack ? found.Newest.Reason : "";
                return await RolloutRun.DriveAsync(
                    call, found.Hosts, driver => driver.TakeOverAsync(found.Newest, will, why, call.Parsed.GetValue(failures), call.Parsed.GetValue(skip), CancellationToken.None), cancellationToken);
            });
    }
}

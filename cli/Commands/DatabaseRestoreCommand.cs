using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseRestoreCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string>("ID") { Description = "a restore point, as 'agentctl db list' names it" };
        var yes = new Option<bool>("--yes", "-y") { Description = "do not ask" };
        return verbs.AskingOne(
            new Verb("restore",
                "Puts the app's database back to a restore point: takes a new one of what is there, restores beside it, then swaps, which ends every connection. "
                + "What was written since is no longer in the database, but in the new restore point. Where it fails, the database is as it was. What runs is not changed: agentctl rollback --restore-database goes back with both.",
                "agentctl db restore shop-12", "agentctl db restore shop-12 --app shop --yes"),
            [id, verbs.App, yes],
            async (call, cancellationToken) =>
            {
                var request = new RestoreDatabaseRequest { App = call.App, Id = call.Parsed.GetValue(id)! };
                if (!call.Parsed.GetValue(yes)) Ask(call, request.Id);
                RestorePointEvent last = await RestorePointText.LastAsync(call, (client, options) => client.RestoreDatabase(request, options), cancellationToken);
                RestorePointText.Show(call, last.Report);
                return 0;
            },
            "a restore point lies on one host");
    }

    /// <exception cref="OperatorException">Nobody said yes (<see cref="ExitCode.Refused"/>), or nobody is there to be asked (<see cref="ExitCode.Usage"/>).</exception>
    private static void Ask(AgentCall call, string id)
    {
        if (Console.IsInputRedirected) throw new OperatorException(ExitCode.Usage, "a restore asks first, and nobody is at a terminal here", "add --yes");
        call.Terminal.ErrorLine($"This puts the database back to {id}. What was written since goes out of it. Type yes to go on:");
        if (Console.ReadLine()?.Trim() != "yes") throw new OperatorException(ExitCode.Refused, "not restored: nobody said yes", "look at what there is: agentctl db list");
    }
}

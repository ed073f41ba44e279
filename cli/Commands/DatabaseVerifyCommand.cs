using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseVerifyCommand
{
    public static Verb Create(Verbs verbs)
    {
        var id = new Argument<string>("ID") { Description = "a restore point; left out: the newest", Arity = ArgumentArity.ZeroOrOne, DefaultValueFactory = _ => "" };
        return verbs.Asking(
            new Verb("verify", "Tries a restore point: checks its SHA-256, restores it into a scratch database, and counts what came back. Exits with 1 where that is not what the dump holds.",
                "agentctl db verify", "agentctl db verify shop-12 --app shop"),
            [id, verbs.App],
            async (call, cancellationToken) =>
            {
                var request = new VerifyRestorePointRequest { App = call.App, Id = call.Parsed.GetValue(id) ?? "" };
                RestorePointEvent last = await RestorePointText.LastAsync(call, (client, options) => client.VerifyRestorePoint(request, options), cancellationToken);
                RestorePointText.Show(call, last.Report);
                return (int)(last.Report.Succeeded ? ExitCode.Live : ExitCode.RolledBack);
            });
    }
}

using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseBackupCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("backup", "Takes a restore point of the app's database now. Ctrl-C ends it, and nothing is left.", "agentctl db backup", "agentctl db backup --app shop"),
        [verbs.App],
        async (call, cancellationToken) =>
        {
            var request = new TakeRestorePointRequest { App = call.App };
            RestorePointEvent last = await RestorePointText.LastAsync(call, (client, options) => client.TakeRestorePoint(request, options), cancellationToken);
            if (call.Json) call.Terminal.Document(writer => writer.Object(last.Point, JsonMessages.RestorePoint));
            else call.Terminal.Line($"{last.Point.Id}  {RestorePointText.Sizes(last.Point)}");
            return 0;
        });
}

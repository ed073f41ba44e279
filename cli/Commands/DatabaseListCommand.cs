using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseListCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("list", "Lists the restore points of the app's database, and why each stays.", "agentctl db list", "agentctl db list --app shop -o json"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new ListRestorePointsRequest { App = call.App };
        ListRestorePointsResponse all = await call.Agent.AskDatabaseAsync((client, options) => client.ListRestorePointsAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(all, (w, list) =>
            {
                w.Array("restore_points", list.Points, JsonMessages.RestorePoint);
                w.WriteString("where", list.Where);
                w.Array("former", list.Former, (former, database) =>
                {
                    former.WriteString("name", database.Name);
                    former.Text("goes", database.Goes);
                });
                w.Text("former_unknown", list.FormerUnknown);
            }));
            return 0;
        }
        var table = new Table("ID", "TAKEN", "RELEASE", "LAST MIGRATION", "SIZE", "OF", "BY", "KEPT");
        foreach (RestorePoint point in all.Points)
        {
            table.Add(point.Id, Human.Time(point.At), Human.OrDash(point.Release), Human.OrDash(point.LastMigration), point.Sha256.Length > 0 ? Human.Size(point.SizeBytes) : "-",
                Human.Size(point.DatabaseBytes), point.By, point.Sha256.Length > 0 ? point.KeptBecause : $"{point.KeptBecause}; {point.Format}");
        }
        table.Write(call.Terminal);
        foreach (FormerDatabase former in all.Former) call.Terminal.Line($"beside the database: {former.Name}, what it was before a restore; {former.Goes}");
        if (all.FormerUnknown.Length > 0) call.Terminal.ErrorLine(new Piece("unknown ", Tone.Bad), $"whether a former database stands beside it: {all.FormerUnknown}");
        return 0;
    }
}

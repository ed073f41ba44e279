using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseMigrationsCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("migrations", "Lists the migrations that the app's database has seen, those of the running release that it has not, and the hosts that run on it.",
            "agentctl db migrations", "agentctl db migrations --app shop -o json"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new ListMigrationsRequest { App = call.App };
        ListMigrationsResponse all = await call.Agent.AskDatabaseAsync((client, options) => client.ListMigrationsAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(all, JsonMessages.Migrations));
            return 0;
        }
        var table = new Table("MIGRATION", "PHASE", "RELEASE", "HOST", "DEPLOYMENT", "BEGUN", "TOOK");
        foreach (AppliedMigration applied in all.Applied)
        {
            table.Add(applied.Name, applied.Phase, applied.Release, applied.Host, applied.Deployment, Human.Time(applied.Started),
                applied.Finished is null ? new Piece("cut", Tone.Bad) : Human.Span(TimeSpan.FromMilliseconds(applied.Milliseconds)));
        }
        foreach (PlannedMigration pending in all.Pending)
            table.Add(pending.Name, pending.Phase, "-", "-", "-", "-", new Piece(pending.AfterCommit ? "waits for all hosts" : "pending", Tone.Strong));
        table.Write(call.Terminal);
        foreach (DatabaseHost host in all.Hosts) call.Terminal.Line($"host {host.Host} runs {host.Release}, said at {Human.Time(host.Updated)}");
        return 0;
    }
}

using System.Globalization;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseStatsCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("stats", "Shows the size of the app's database, its largest tables, and what is going on in it now, as far as its role can see.", "agentctl db stats", "agentctl db stats --app shop -o json"),
        [verbs.App],
        RunAsync);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        var request = new GetDatabaseStatsRequest { App = call.App };
        GetDatabaseStatsResponse stats = await call.Agent.AskDatabaseAsync((client, options) => client.GetDatabaseStatsAsync(request, options), cancellationToken, TimeSpan.FromMinutes(2));
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(stats, JsonMessages.DatabaseStats));
            return 0;
        }
        call.Terminal.Line(new Piece(stats.Database, Tone.Strong), $"  PostgreSQL {stats.ServerVersion}");
        call.Terminal.Line($"  size         {Human.Size(stats.SizeBytes)}");
        call.Terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  connections  {stats.Connections} of {stats.MaxConnections} of the server"));
        if (stats.CacheHitRatio >= 0) call.Terminal.Line(string.Create(CultureInfo.InvariantCulture, $"  cache        {stats.CacheHitRatio * 100:0.0} % of reads"));
        if (stats.Tables.Count > 0)
        {
            var tables = new Table("TABLE", "SIZE", "ROWS", "DEAD ROWS");
            foreach (TableStats table in stats.Tables) tables.Add(table.Name, Human.Size(table.SizeBytes), table.Rows < 0 ? "-" : Number(table.Rows), Number(table.DeadRows));
            tables.Write(call.Terminal);
        }
        if (stats.Busy.Count > 0)
        {
            var busy = new Table("PID", "APPLICATION", "STATE", "FOR", "QUERY");
            foreach (BusySession session in stats.Busy)
                busy.Add(Number(session.Pid), Human.OrDash(session.Application), session.Blocked ? new Piece("waits for a lock", Tone.Bad) : session.State, Human.Span(session.Age.ToTimeSpan()), session.Query);
            busy.Write(call.Terminal);
        }
        DatabaseUrlCommand.Warn(call, stats.Warnings);
        return 0;
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}

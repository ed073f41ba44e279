using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class AuditCommand
{
    public static Verb Create(Verbs verbs)
    {
        Option<int> limit = Verbs.Count("--limit", "-n", "how many at most", 50);
        return verbs.Asking(
            new Verb("audit", "Lists who changed what, and who was refused, newest first. Takes the role admin.", "agentctl audit", "agentctl audit --limit 500 -o json"),
            [limit],
            (call, cancellationToken) => RunAsync(call, call.Parsed.GetValue(limit), cancellationToken));
    }

    private static async Task<int> RunAsync(AgentCall call, int limit, CancellationToken cancellationToken)
    {
        var request = new ListAuditRequest { Limit = limit };
        ListAuditResponse audit = await call.Agent.AskAsync((client, options) => client.ListAuditAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(audit, (w, all) => w.Array("records", all.Records, JsonMessages.AuditRecord)));
            return 0;
        }
        var table = new Table("AT", "BY", "FROM", "ROLE", "APP", "WISH", "RESULT", "OUTCOME");
        foreach (AuditRecord record in audit.Records)
        {
            table.Add(Human.Time(record.At), record.By, Human.OrDash(record.From), Human.OrDash(record.Role), Human.OrDash(record.App), record.Wish,
                record.Refused ? new Piece("refused", Tone.Bad) : new Piece("accepted", Tone.Good), record.Outcome);
        }
        table.Write(call.Terminal);
        return 0;
    }
}

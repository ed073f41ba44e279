using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseUrlCommand
{
    public static Verb Create(Verbs verbs)
    {
        var reveal = new Option<bool>("--reveal") { Description = "with the password; for admins, and recorded" };
        return verbs.Asking(
            new Verb("url", "Shows the address of the app's database, without its password.", "agentctl db url", "agentctl db url --app shop --reveal"),
            [verbs.App, reveal],
            async (call, cancellationToken) =>
            {
                GetDatabaseUrlResponse response = await AskAsync(call, call.Parsed.GetValue(reveal), cancellationToken);
                if (call.Json) call.Terminal.Document(writer => writer.Object(response, JsonMessages.DatabaseUrl));
                else call.Terminal.Line(response.Url);
                Warn(call, response.Warnings);
                return 0;
            });
    }

    /// <summary>What was passed over on the way to the database; in JSON it stands in the document.</summary>
    public static void Warn(AgentCall call, IEnumerable<string> warnings)
    {
        if (call.Json) return;
        foreach (string warning in warnings) call.Terminal.ErrorLine(new Piece("warning: ", Tone.Strong), warning);
    }

    public static Task<GetDatabaseUrlResponse> AskAsync(AgentCall call, bool reveal, CancellationToken cancellationToken) =>
        call.Agent.AskDatabaseAsync((client, options) => client.GetDatabaseUrlAsync(new GetDatabaseUrlRequest { App = call.App, Reveal = reveal }, options), cancellationToken);
}

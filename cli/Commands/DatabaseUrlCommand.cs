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
                if (call.Json) call.Terminal.Document(writer => writer.Object(response, (w, told) => w.WriteString("url", told.Url)));
                else call.Terminal.Line(response.Url);
                return 0;
            });
    }

    public static Task<GetDatabaseUrlResponse> AskAsync(AgentCall call, bool reveal, CancellationToken cancellationToken) =>
        call.Agent.AskDatabaseAsync((client, options) => client.GetDatabaseUrlAsync(new GetDatabaseUrlRequest { App = call.App, Reveal = reveal }, options), cancellationToken);
}

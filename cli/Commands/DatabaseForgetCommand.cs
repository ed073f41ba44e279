using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class DatabaseForgetCommand
{
    public static Verb Create(Verbs verbs)
    {
        var host = new Argument<string>("HOST") { Description = "the host's name, as agentctl db migrations shows it" };
        return verbs.AskingOne(
            new Verb("forget", "Says that a host of the app is gone for good: contracting migrations do not wait for it any more. Takes the role admin.",
                "agentctl db forget web-3", "agentctl db forget web-3 --app shop"),
            [host, verbs.App],
            async (call, cancellationToken) =>
            {
                var request = new ForgetHostRequest { App = call.App, Host = call.Parsed.GetValue(host)! };
                DatabaseChangeResponse changed = await call.Agent.AskDatabaseAsync((client, options) => client.ForgetHostAsync(request, options), cancellationToken);
                if (call.Json) call.Terminal.Document(writer => writer.Object(changed, static (w, response) => w.Text("message", response.Message)));
                else call.Terminal.Line(changed.Message);
                return 0;
            },
            "the hosts of an app share one database");
    }
}

using System.CommandLine;
using Agent.Cli.Rendering;
using Agent.Protos.Access;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary>Who may call an agent over the network.</summary>
internal static class ClientsCommand
{
    public static Verb Create(Verbs verbs) => new("clients", "Who may call over the network: lists and removes machines that were paired. Takes the role admin.", "agentctl clients list")
    {
        CreateList(verbs),
        CreateRemove(verbs),
    };

    private static Verb CreateList(Verbs verbs) => verbs.Asking(
        new Verb("list", "Lists the machines that were paired with the agent.", "agentctl clients list", "agentctl clients list --output json"),
        [],
        async (call, cancellationToken) =>
        {
            ListClientsResponse response = await call.Agent.AskAccessAsync((client, options) => client.ListClientsAsync(new ListClientsRequest(), options), cancellationToken);
            if (call.Json)
            {
                call.Terminal.Document(writer => writer.Object(response, (w, all) => w.Array("clients", all.Clients, JsonMessages.Client)));
                return 0;
            }
            var table = new Table("NAME", "ROLE", "SINCE", "BY", "LAST CALL", "CONNECTIONS", "KEY");
            foreach (Client client in response.Clients)
            {
                table.Add(client.Name, client.Role, Human.Time(client.Since), client.By, Human.Time(client.LastCall), $"{client.Connections}",
                    Fingerprint.Abbreviate(client.Fingerprint) + (client.NextFingerprint.Length > 0 ? $", next {Fingerprint.Abbreviate(client.NextFingerprint)}" : ""));
            }
            table.Write(call.Terminal);
            return 0;
        });

    private static Verb CreateRemove(Verbs verbs)
    {
        var name = new Argument<string>("NAME") { Description = "as clients list names it" };
        return verbs.Asking(
            new Verb("remove", "Lets a machine in no more, and ends its open connections at once.", "agentctl clients remove ann-laptop"),
            [name],
            async (call, cancellationToken) =>
            {
                var request = new RemoveClientRequest { Name = call.Parsed.GetValue(name)! };
                ChangeResponse done = await call.Agent.AskAccessAsync((client, options) => client.RemoveClientAsync(request, options), cancellationToken);
                if (call.Json) call.Terminal.Document(writer => writer.Object(done, (w, change) => w.Text("message", change.Message)));
                else call.Terminal.Line(done.Message);
                return 0;
            });
    }
}

using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Commands;

/// <summary><c>hosts</c>: the hosts that agentctl knows, and what is wrong on the way to them.</summary>
internal static class HostsCommand
{
    public static Verb Create(Verbs verbs)
    {
        Verb list = verbs.Working(
            new Verb("hosts", "Lists the hosts that hosts.yaml and .agentctl.yaml name; adds, removes and checks them.",
                "agentctl hosts", "agentctl hosts add web1 ssh://deploy@web1.example.com --group prod", "agentctl hosts check --host prod"),
            [],
            (call, _) => Task.FromResult(List(call, verbs.Inventory)));
        list.Add(CreateAdd(verbs));
        list.Add(CreateRemove(verbs));
        list.Add(HostsCheckCommand.Create(verbs));
        return list;
    }

    private static int List(Call call, Inventory inventory)
    {
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(inventory, JsonMessages.Inventory));
            return 0;
        }
        if (inventory.Note is { } note) call.Terminal.ErrorLine($"note:  {note}");
        if (inventory.Hosts.Count == 0)
        {
            call.Terminal.Line("no hosts but this one: agentctl hosts add NAME ADDRESS, such as ssh://USER@HOST");
            return 0;
        }
        var table = new Table("HOST", "ADDRESS", "GROUPS", "FILE");
        foreach (HostEntry host in inventory.Hosts) table.Add(host.Name, $"{host.Address}", Human.OrDash(string.Join(", ", host.Groups)), host.File!);
        table.Write(call.Terminal);
        return 0;
    }

    private static Verb CreateAdd(Verbs verbs)
    {
        var name = new Argument<string>("NAME") { Description = HostsFile.NameRule };
        var address = new Argument<string>("ADDRESS") { Description = "local, ssh://[USER@]HOST[:PORT] or https://HOST[:PORT]" };
        var groups = new Option<string[]>("--group", "-g") { Description = "a group that it is in; may be repeated", HelpName = "GROUP" };
        return verbs.Working(
            new Verb("add", "Adds a host to your hosts.yaml; comments and order there stay.", "agentctl hosts add web1 ssh://deploy@web1.example.com --group prod --group web", "agentctl hosts add web2 https://web2.example.com:7443"),
            [name, address, groups],
            async (call, cancellationToken) =>
            {
                string[] of = [.. (call.Parsed.GetValue(groups) ?? []).SelectMany(typed => typed.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).Distinct()];
                var host = new HostEntry(Checked(call.Parsed.GetRequiredValue(name)), HostAddress.Parse(call.Parsed.GetRequiredValue(address))) { Groups = [.. of.Select(Checked)] };
                await HostsFileText.AddAsync(verbs.Workplace.HostsFile, host, cancellationToken);
                return Tell(call, verbs, $"{host.Name} is {host.Address}, in {verbs.Workplace.HostsFile}");
            });
    }

    private static Verb CreateRemove(Verbs verbs)
    {
        var name = new Argument<string>("NAME") { Description = "a host of your hosts.yaml" };
        name.CompletionSources.Add(_ => Completion.Hosts(() => verbs.Inventory));
        return verbs.Working(
            new Verb("remove", "Removes a host from your hosts.yaml and from the groups that name it there; nothing happens to the host.", "agentctl hosts remove web1"),
            [name],
            async (call, cancellationToken) =>
            {
                string gone = call.Parsed.GetRequiredValue(name);
                await HostsFileText.RemoveAsync(verbs.Workplace.HostsFile, gone, cancellationToken);
                return Tell(call, verbs, $"{gone} is no longer in {verbs.Workplace.HostsFile}");
            });
    }

    private static int Tell(Call call, Verbs verbs, string message)
    {
        if (call.Json) call.Terminal.Document(writer => writer.Object(message, (w, text) =>
        {
            w.WriteString("message", text);
            w.WriteString("file", verbs.Workplace.HostsFile);
        }));
        else call.Terminal.Line(message);
        return 0;
    }

    private static string Checked(string name) => HostsFile.IsName(name) ? name : throw new OperatorException(ExitCode.Usage, $"'{name}' cannot be a name of a host or group", HostsFile.NameRule);
}

using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

/// <summary><c>host bootstrap</c>: puts the agent onto a host that has nothing but sshd.</summary>
internal static class HostBootstrapCommand
{
    public static Verb Create(Verbs verbs)
    {
        var address = new Argument<string>("ADDRESS") { Description = "ssh://[USER@]HOST[:PORT]; a USER that is not root needs sudo without a password" };
        var package = new Option<string>("--package") { Description = "the agent's Debian package, as ./install.sh --package makes it", HelpName = "FILE", Required = true };
        var store = new Option<string?>("--store") { Description = "where the host gets releases from: a URL, or a directory there", HelpName = "URL" };
        var root = new Option<string?>("--root") { Description = "root.json, which the host pins; goes with --store", HelpName = "FILE" };
        var name = new Option<string?>("--name") { Description = "adds the host to your hosts.yaml by this name", HelpName = "NAME" };
        return verbs.Working(
            new Verb("bootstrap", "Installs or upgrades the agent on a host over ssh, and waits until it is ready. What fails leaves nothing behind on a host that had no agent.",
                "agentctl host bootstrap ssh://root@web1 --package agentd.deb", "agentctl host bootstrap ssh://ann@web1 --package agentd.deb --store https://releases.example.com/ --root root.json --name web1"),
            [address, package, store, root, name],
            async (call, cancellationToken) =>
            {
                string text = call.Parsed.GetRequiredValue(address);
                if (HostAddress.Parse(text) is not HostAddress.Ssh ssh) throw new OperatorException(ExitCode.Usage, $"{text} is not reached by ssh", "write ssh://[USER@]HOST[:PORT]");
                string? called = call.Parsed.GetValue(name);
                if (called is not null && !HostsFile.IsName(called)) throw new OperatorException(ExitCode.Usage, $"'{called}' cannot be a name of a host", HostsFile.NameRule);
                HostEntry? known = called is null ? null : verbs.Inventory.Hosts.FirstOrDefault(host => host.Name == called);
                if (known is not null && known.Address != ssh) throw new OperatorException(ExitCode.Usage, $"{called} is {known.Address} already", "give it another --name");
                BootstrapArchive archive = BootstrapArchive.Make(call.Parsed.GetRequiredValue(package), call.Parsed.GetValue(store), call.Parsed.GetValue(root));
                await RunAsync(call, ssh, archive, isNamed: called is not null, cancellationToken);
                if (called is not null && known is null) await HostsFileText.AddAsync(verbs.Workplace.HostsFile, new HostEntry(called, ssh), cancellationToken);
                return 0;
            });
    }

    private static async Task RunAsync(Call call, HostAddress.Ssh address, BootstrapArchive archive, bool isNamed, CancellationToken cancellationToken)
    {
        string version;
        try
        {
            version = await new Bootstrap(address, mayAsk: !Console.IsInputRedirected, call.Time).RunAsync(archive, call.Terminal.Progress, cancellationToken);
        }
        catch (OperatorException e)
        {
            throw new OperatorException(e.Code, $"{address}: {e.Message}", e.Remedy, e);
        }
        OperatorException? closed = await AskAsync(call, address, cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(version, (w, agentd) =>
            {
                w.WriteString("address", $"{address}");
                w.WriteString("agentd", agentd);
                w.WriteBoolean("answers", closed is null);
            }));
            return;
        }
        call.Terminal.Line($"{address}  ", new Piece($"agentd {version} is ready", Tone.Good));
        if (closed is not null) call.Terminal.ErrorLine($"note:  it does not answer you yet: {closed.Message}. To change that, {closed.Remedy}");
        else if (!isNamed) call.Terminal.ErrorLine($"to have it in --host: agentctl hosts add {address.Host} {address}");
    }

    /// <returns>Why this user gets no answer from the agent; null: it answers.</returns>
    private static async Task<OperatorException?> AskAsync(Call call, HostAddress.Ssh address, CancellationToken cancellationToken)
    {
        try
        {
            var host = new HostEntry(address.Host, address);
            using var agent = new AgentConnection(host, Dialers.Of(host, call.Time), call.Time);
            await agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), cancellationToken);
            return null;
        }
        catch (OperatorException e)
        {
            return e;
        }
    }
}

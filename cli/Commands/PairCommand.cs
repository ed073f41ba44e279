using System.CommandLine;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Agent.Cli.Rendering;
using Agent.Protos.Access;
using Agent.V1;
using Google.Protobuf.WellKnownTypes;

namespace Agent.Cli.Commands;

/// <summary>Lets machines call an agent over the network: a code on the host, the same code on the machine.</summary>
internal static class PairCommand
{
    public static Verb Create(Verbs verbs)
    {
        var address = new Argument<string?>("ADDRESS") { Description = "where the agent listens: https://HOST[:PORT]", Arity = ArgumentArity.ZeroOrOne };
        var code = new Argument<string?>("CODE") { Description = "what pair --new has shown; left out or '-': asked for, or read from standard input, where no list of processes shows it", Arity = ArgumentArity.ZeroOrOne };
        var @new = new Option<bool>("--new") { Description = "on the host: makes a code that lets one machine in, once" };
        var name = new Option<string?>("--name") { Description = "with --new: what the machine is called in journal and audit; else: adds the host to hosts.yaml by this name", HelpName = "NAME" };
        var role = new Option<string?>("--role") { Description = "with --new: viewer, deployer or admin", HelpName = "ROLE" };
        var minutes = Verbs.Count("--minutes", null, "with --new: how long the code is good, 60 at most", 10);
        var renew = new Option<bool>("--renew") { Description = "makes this machine's next key, tells every agent that it is paired with, and changes over to it" };
        var skip = new Option<bool>("--skip-unreachable") { Description = "with --renew: changes over although an agent does not answer; that one has to be paired again" };
        return verbs.AskingOne(
            new Verb("pair", "Makes this machine and an agent known to each other, for calls over the network.",
                "agentctl pair --new --name ann-laptop --role deployer", "agentctl pair https://web1:7443", "agentctl pair --renew"),
            [address, code, @new, name, role, minutes, renew, skip],
            (call, cancellationToken) =>
            {
                ParseResult parsed = call.Parsed;
                return (parsed.GetValue(@new), parsed.GetValue(renew), parsed.GetValue(address)) switch
                {
                    (true, false, null) => InviteAsync(call, Needed(parsed, name), Needed(parsed, role), parsed.GetValue(minutes), cancellationToken),
                    (false, true, null) => RenewAsync(call, verbs, parsed.GetValue(skip), cancellationToken),
                    (false, false, { } to) => PairAsync(call, verbs, to, parsed.GetValue(code), parsed.GetValue(name), cancellationToken),
                    _ => throw new OperatorException(ExitCode.Usage, "agentctl pair takes one of --new, --renew and the address of an agent", "see agentctl pair --help"),
                };
            }, "pairing is between this machine and one agent");
    }

    private static string Needed(ParseResult parsed, Option<string?> option) => parsed.GetValue(option) is { Length: > 0 } value
        ? value
        : throw new OperatorException(ExitCode.Usage, $"pair --new needs {option.Name} {option.HelpName}", "agentctl pair --new --name ann-laptop --role deployer");

    private static async Task<int> InviteAsync(AgentCall call, string name, string role, int minutes, CancellationToken cancellationToken)
    {
        var request = new CreatePairingCodeRequest { Name = name, Role = role, Valid = Duration.FromTimeSpan(TimeSpan.FromMinutes(minutes)) };
        CreatePairingCodeResponse made = await call.Agent.AskAccessAsync((client, options) => client.CreatePairingCodeAsync(request, options), cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(made, JsonMessages.PairingCode));
            return 0;
        }
        call.Terminal.Line(new Piece(made.Code, Tone.Strong));
        call.Terminal.ErrorLine($"lets {name} in as {role}, once, until {Human.Time(made.Expires)}. There: agentctl pair {made.Addresses.FirstOrDefault() ?? "https://HOST:7443"}");
        return 0;
    }

    private static async Task<int> PairAsync(AgentCall call, Verbs verbs, string to, string? typed, string? name, CancellationToken cancellationToken)
    {
        if (HostAddress.Parse(to) is not HostAddress.Tls address)
            throw new OperatorException(ExitCode.Usage, $"{to} is no address to pair with", "write https://HOST[:PORT]; hosts over ssh need no pairing");
        if (typed is null or "-") typed = await AskAsync(call.Terminal, cancellationToken);
        if (!Pairing.TryRead(typed, out byte[] secret)) throw new OperatorException(ExitCode.Usage, "this is no pairing code: it has 26 letters and digits", "make one on the host: sudo agentctl pair --new --name NAME --role ROLE");
        if (name is not null && !HostsFile.IsName(name)) throw new OperatorException(ExitCode.Usage, $"'{name}' cannot be a name of a host", HostsFile.NameRule);
        // What could go wrong with the file does so before a code is used up.
        bool add = name is not null && !verbs.Inventory.Hosts.Any(host => host.Name == name && host.Address == address);
        if (add && verbs.Inventory.Hosts.FirstOrDefault(host => host.Name == name) is { } other)
            throw new OperatorException(ExitCode.Refused, $"{name} is {other.Address} already", $"take another name, or first: agentctl hosts remove {name}");
        PairResponse paired = await AgentPairing.PairAsync(address, secret, new KeyFiles(verbs.Workplace.Configuration), call.Time, cancellationToken);
        if (add) await HostsFileText.AddAsync(verbs.Workplace.HostsFile, new HostEntry(name!, address), cancellationToken);
        if (call.Json) call.Terminal.Document(writer => writer.Object(paired, (w, known) => JsonMessages.Paired(w, address, known)));
        else call.Terminal.Line($"paired with {address} as {paired.Name}, {paired.Role}");
        return 0;
    }

    // Not an argument: those are seen by whoever lists the processes.
    private static async Task<string> AskAsync(Terminal terminal, CancellationToken cancellationToken)
    {
        if (!Console.IsInputRedirected) terminal.ErrorLine("code, as pair --new has shown it on the host:");
        return await Console.In.ReadLineAsync(cancellationToken) ?? "";
    }

    private static async Task<int> RenewAsync(AgentCall call, Verbs verbs, bool skipUnreachable, CancellationToken cancellationToken)
    {
        KeyRenewal.Result result = await KeyRenewal.RunAsync(
            new KeyFiles(verbs.Workplace.Configuration), (address, files) => new AgentConnection(new HostEntry(address.ToString(), address), new TlsDialer(address, files.Agent(address)?.Pin, files, call.Time), call.Time), skipUnreachable, cancellationToken);
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(result, JsonMessages.Renewal));
            return (int)result.Exit;
        }
        foreach ((HostAddress.Tls address, OperatorException why) in result.Failed) call.Terminal.ErrorLine(new Piece("error: ", Tone.Bad), $"{address}: {why.Message}");
        call.Terminal.Line(result.ChangedOver
            ? $"this machine calls with {Fingerprint.Abbreviate(result.Key)} from now on; {result.Told.Count} of {result.Told.Count + result.Failed.Count} agents were told before"
            : $"nothing has changed: {result.Told.Count} of {result.Told.Count + result.Failed.Count} agents know the next key; run it again when the others answer, or with --skip-unreachable");
        return (int)result.Exit;
    }
}

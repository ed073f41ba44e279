using System.CommandLine;
using System.CommandLine.Invocation;
using Agent.Artifacts;
using Agent.Cli.Rendering;
using Agent.V1;

namespace Agent.Cli.Commands;

internal static class VersionCommand
{
    public static Verb Create(Verbs verbs) => verbs.Asking(
        new Verb("version", "Shows the versions of agentctl and of the agent.", "agentctl version", "agentctl version --host all"),
        [],
        RunAsync,
        (call, cancellationToken) => call.Json ? FanOut.EachAsync(call, RunAsync, cancellationToken) : TableAsync(call, cancellationToken));

    private static async Task<int> TableAsync(HostsCall call, CancellationToken cancellationToken)
    {
        List<HostAnswer<GetVersionResponse>> answers = await FanOut.AskAsync(call, AskAsync, _ => (int)ExitCode.Live, cancellationToken).ToListAsync(cancellationToken);
        call.Terminal.Line($"agentctl  {AgentCtl.Version}");
        var table = new Table("HOST", "AGENTD");
        foreach (HostAnswer<GetVersionResponse> answer in answers) table.Add(answer.Host.Name, answer.Result?.Version ?? "-");
        table.Write(call.Terminal);
        FanOut.TellErrors(call, answers);
        return FanOut.Worst(answers.Select(answer => answer.Exit));
    }

    private static Task<GetVersionResponse> AskAsync(AgentCall call, CancellationToken cancellationToken) =>
        call.Agent.AskAsync((client, options) => client.GetVersionAsync(new GetVersionRequest(), options), cancellationToken);

    private static async Task<int> RunAsync(AgentCall call, CancellationToken cancellationToken)
    {
        string agentd = "", reason = "";
        try
        {
            agentd = (await AskAsync(call, cancellationToken)).Version;
        }
        catch (OperatorException e)
        {
            reason = e.Message;   // asking for our own version works without an agent
        }
        if (call.Json)
        {
            call.Terminal.Document(writer => writer.Object(agentd, (w, version) =>
            {
                w.WriteString("agentctl", AgentCtl.Version);
                w.Text("agentd", version);
            }));
            return 0;
        }
        call.Terminal.Line($"agentctl  {AgentCtl.Version}");
        call.Terminal.Line($"agentd    {(agentd.Length > 0 ? agentd : reason)}");
        return 0;
    }
}

/// <summary><c>agentctl --version</c>: its own version, and nothing else.</summary>
internal sealed class PrintVersion : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        parseResult.InvocationConfiguration.Output.WriteLine($"agentctl {AgentCtl.Version}");
        return 0;
    }
}

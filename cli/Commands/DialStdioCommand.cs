using System.CommandLine;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Microsoft.Win32.SafeHandles;

namespace Agent.Cli.Commands;

/// <summary><c>dial-stdio</c>: what agentctl elsewhere runs here over ssh, to speak with the agent through it.</summary>
internal static class DialStdioCommand
{
    public static Verb Create(Verbs verbs)
    {
        var socket = new Option<string?>("--socket") { Description = $"the agent's socket, else $AGENTD_SOCKET, else {SocketDialer.DefaultPath}", HelpName = "PATH" };
        Verb verb = verbs.Working(
            new Verb("dial-stdio", "Joins stdin and stdout to the agent's socket. agentctl elsewhere runs it here over ssh: agentctl status --host ssh://HOST.", "agentctl dial-stdio"),
            [socket],
            (call, cancellationToken) => RunAsync(call, call.Parsed.GetValue(socket), cancellationToken));
        verb.Hidden = true;
        return verb;
    }

    private static async Task<int> RunAsync(Call call, string? socket, CancellationToken cancellationToken)
    {
        NetworkStream agent;
        try
        {
            agent = (NetworkStream)await new SocketDialer(socket).ConnectAsync(cancellationToken);
        }
        catch (OperatorException e)
        {
            call.Terminal.ErrorLine(DialStdio.ErrorLine(e));
            return (int)e.Code;
        }
        await using (agent)
        {
            await using FileStream input = Standard(0, FileAccess.Read), output = Standard(1, FileAccess.Write);
            await DialStdio.JoinAsync(agent, input, output, cancellationToken);
        }
        return 0;
    }

    // Not the console's own streams, which keep quiet when a reader is gone.
    private static FileStream Standard(int descriptor, FileAccess access) => new(new SafeFileHandle(descriptor, ownsHandle: false), access, bufferSize: 0);
}

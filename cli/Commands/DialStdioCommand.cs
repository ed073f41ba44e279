using System.CommandLine;
using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Cli.Hosts;
using Microsoft.Win32.SafeHandles;

namespace Agent.Cli.Commands;

/// <summary><c>dial-stdio</c>: what agentctl elsewhere runs here over ssh, to speak with the agent through it.</summary>
internal static class DialStdioCommand
{
    public const string Name = "dial-stdio";

    public static Verb Create(Verbs verbs)
    {
        var socket = new Option<string?>("--socket") { Description = $"the agent's socket, else $AGENTD_SOCKET, else {SocketDialer.DefaultPath}", HelpName = "PATH" };
        Verb verb = verbs.Working(
            new Verb(Name, "Joins stdin and stdout to the agent's socket. agentctl elsewhere runs it here over ssh: agentctl status --host ssh://HOST.", "agentctl dial-stdio"),
            [socket],
            (call, _) => Task.FromResult(Run(call.Parsed.GetValue(socket), call.Terminal.RawError)));
        verb.Hidden = true;
        return verb;
    }

    /// <summary>Until the agent has said its last, or a signal ends the process.</summary>
    /// <param name="socket">Null: as the environment says, else the default.</param>
    /// <param name="tell">Takes the line that says why there is no connection.</param>
    /// <returns>The exit status.</returns>
    public static int Run(string? socket, Action<string> tell)
    {
        try
        {
            using Socket agent = new SocketDialer(socket).Connect();
            using FileStream input = Standard(0, FileAccess.Read), output = Standard(1, FileAccess.Write);
            DialStdio.Join(agent, input, output);
            return 0;
        }
        catch (OperatorException e)
        {
            tell(DialStdio.ErrorLine(e));
            return (int)e.Code;
        }
    }

    // Not the console's own streams, which keep quiet when a reader is gone.
    private static FileStream Standard(int descriptor, FileAccess access) => new(new SafeFileHandle(descriptor, ownsHandle: false), access, bufferSize: 0);
}

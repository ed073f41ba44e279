using System.Net.Sockets;
using System.Text.Json;
using Agent.Artifacts;
using Agent.Cli.Rendering;

namespace Agent.Cli.Hosts;

/// <summary>
/// What <see cref="SshDialer"/> and <c>agentctl dial-stdio</c> at the other end say to each other: a line on stdout, then the connection's own bytes;
/// or one line on stderr that says why there is no connection.
/// </summary>
internal static class DialStdio
{
    /// <summary>What is run on the host. Fixed: nothing that anybody typed ever gets into a remote shell.</summary>
    public const string RemoteCommand = "agentctl dial-stdio";

    private const string ErrorMark = "agentctl-dial-stdio: ";

    private const int Buffer = 64 * 1024;

    /// <summary>Comes before the connection's first byte, so that what the host's shell prints before is not taken for it. The number counts up when something else follows.</summary>
    public static ReadOnlyMemory<byte> Preamble { get; } = "agentctl-dial-stdio 1\n"u8.ToArray();

    /// <summary>Joins two streams to the agent's socket, until the agent has said its last or nobody reads <paramref name="output"/> any more.</summary>
    /// <param name="input">Its end is passed on to the agent, which may still answer.</param>
    /// <remarks>Two threads that block: the machinery of asynchronous input and output takes longer to start than this lives.</remarks>
    public static void Join(Socket agent, Stream input, Stream output)
    {
        new Thread(Send) { IsBackground = true }.Start();   // a read that waits for our caller cannot be ended; it ends with the process
        try
        {
            output.Write(Preamble.Span);
            var buffer = new byte[Buffer];
            for (int read; (read = agent.Receive(buffer)) > 0;) output.Write(buffer, 0, read);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Either side is gone without a word.
        }

        void Send()
        {
            try
            {
                var buffer = new byte[Buffer];
                for (int read; (read = input.Read(buffer)) > 0;) agent.Send(buffer.AsSpan(0, read));
                agent.Shutdown(SocketShutdown.Send);
            }
            catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
            {
                // The agent is gone: the other direction tells.
            }
        }
    }

    /// <summary>Why there is no connection, as the line that <see cref="Error"/> finds again.</summary>
    public static string ErrorLine(OperatorException why) => ErrorMark + Json.Text(false, writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("error", why.Message);
        writer.WriteString("fix", why.Remedy);
        writer.WriteNumber("exit_code", (int)why.Code);
        writer.WriteEndObject();
    });

    /// <summary>What <c>dial-stdio</c> said of why there is no connection; null: it said nothing.</summary>
    /// <param name="errors">All that came on stderr. Not trusted.</param>
    public static (ExitCode Code, string What, string Remedy)? Error(string errors)
    {
        string? line = errors.Split('\n').FirstOrDefault(line => line.StartsWith(ErrorMark, StringComparison.Ordinal));
        if (line is null) return null;
        try
        {
            using JsonDocument document = JsonDocument.Parse(line[ErrorMark.Length..]);
            JsonElement root = document.RootElement;
            ExitCode code = root.GetProperty("exit_code").GetInt32() == (int)ExitCode.Refused ? ExitCode.Refused : ExitCode.Unreachable;
            return (code, Terminal.Clean(root.GetProperty("error").GetString() ?? ""), Terminal.Clean(root.GetProperty("fix").GetString() ?? ""));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}

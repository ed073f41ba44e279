using System.Net.Sockets;
using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>To the agent of this machine.</summary>
/// <param name="socket">Null: <c>AGENTD_SOCKET</c>, else the default.</param>
internal sealed class SocketDialer(string? socket) : IDialer
{
    public const string DefaultPath = "/run/agentd/agentd.sock";

    private readonly string path = socket ?? (Environment.GetEnvironmentVariable("AGENTD_SOCKET") is { Length: > 0 } named ? named : DefaultPath);

    public ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken) => new(new NetworkStream(Connect(), ownsSocket: true));

    /// <summary>Connects, or is refused, at once.</summary>
    /// <exception cref="OperatorException">Nobody listens there, or not to us.</exception>
    public Socket Connect()
    {
        // Not blocking while it connects: an agent that has no room is not waited for.
        var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            connection.Connect(new UnixDomainSocketEndPoint(path));
            connection.Blocking = true;
            return connection;
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            connection.Dispose();
            throw e switch
            {
                SocketException { SocketErrorCode: SocketError.AccessDenied } => new OperatorException(ExitCode.Refused, $"you may not talk to agentd: {path} is for root and the groups that have a role",
                    "use sudo, or join one: sudo usermod -aG agentd $USER (agentd-viewer only looks), and log in again", e),
                SocketException { SocketErrorCode: SocketError.ConnectionRefused } => new OperatorException(ExitCode.Unreachable, $"agentd does not run: nothing listens at {path}",
                    "sudo systemctl start agentd; where it does not stay up: journalctl -u agentd -n 50", e),
                SocketException { SocketErrorCode: SocketError.WouldBlock or SocketError.TryAgain } => new OperatorException(ExitCode.Unreachable, $"agentd has too many callers at {path}",
                    "see who they are: ss -xp; then try again", e),
                SocketException => new OperatorException(ExitCode.Unreachable, $"agentd does not run: there is no {path}",
                    "sudo systemctl start agentd; where it is not installed: sudo ./install.sh", e),
                _ => new OperatorException(ExitCode.Usage, $"{path} is no socket's path: {e.Message}", "name another with --socket", e),
            };
        }
    }

    public void Dispose()
    {
    }
}

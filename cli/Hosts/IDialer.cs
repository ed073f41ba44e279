using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>Opens connections to one host's agent.</summary>
internal interface IDialer : IDisposable
{
    /// <summary>A new connection, ready for HTTP/2.</summary>
    /// <exception cref="OperatorException">It cannot be had: what fails, why, and what to do.</exception>
    ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken);
}

/// <summary>The dialer of each kind of address.</summary>
internal static class Dialers
{
    /// <param name="alone">The only host that is asked: ssh may ask the person back, where there is one.</param>
    public static IDialer Of(HostEntry host, TimeProvider time, bool alone = true) => host.Address switch
    {
        HostAddress.Local local => new SocketDialer(local.Socket),
        HostAddress.Ssh ssh => new SshDialer(ssh, alone && !Console.IsInputRedirected, time),
        _ => throw new OperatorException(ExitCode.Usage, $"{host.Address} cannot be reached yet", "run agentctl on that host"),
    };
}

using Agent.Artifacts;

namespace Agent.Cli.Hosts;

/// <summary>Opens connections to one host's agent.</summary>
internal interface IDialer : IDisposable
{
    /// <summary>A new connection, ready for HTTP/2.</summary>
    /// <exception cref="OperatorException">It cannot be had: what fails, why, and what to do.</exception>
    ValueTask<Stream> ConnectAsync(CancellationToken cancellationToken);

    /// <summary>Why a connection that was had did not come as far as an answer; null: not known. The HTTP client does not tell it.</summary>
    OperatorException? Failure => null;
}

/// <summary>The dialer of each kind of address.</summary>
internal static class Dialers
{
    public static IDialer Of(HostEntry host) => host.Address switch
    {
        HostAddress.Local local => new SocketDialer(local.Socket),
        HostAddress.Tls tls => new TlsDialer(tls, host.Fingerprint, KeyFiles.OfProcess(), TimeProvider.System),
        _ => throw new OperatorException(ExitCode.Usage, $"{host.Address} cannot be reached yet", "run agentctl on that host"),
    };
}

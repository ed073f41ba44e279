using System.Diagnostics;
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
    private static readonly Lazy<OwnCertificate> own = new(() => new OwnCertificate(KeyFiles.OfProcess(), TimeProvider.System, Environment.GetEnvironmentVariable));

    /// <param name="alone">The only host that is asked: ssh may ask the person back, where there is one.</param>
    public static IDialer Of(HostEntry host, TimeProvider time, bool alone = true) => host.Address switch
    {
        HostAddress.Local local => new SocketDialer(local.Socket),
        HostAddress.Ssh ssh => new SshDialer(ssh, alone && !Console.IsInputRedirected, time),
        HostAddress.Tls tls => new TlsDialer(tls, host.Fingerprint, KeyFiles.OfProcess(), time, own: own.Value),
        _ => throw new UnreachableException($"{host.Address} is an address of no kind"),
    };
}

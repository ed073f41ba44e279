using System.Net.Sockets;
using Agent.Artifacts;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Runs one check once. Every run makes a connection of its own, as one kept from before could be to the release before.</summary>
/// <param name="releases">Root of the apps' directories.</param>
internal sealed class HealthProbe(ISupervisor supervisor, string releases, TimeProvider time) : IHealthProbe
{
    private const int DetailAtMost = 200;

    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(100);

    private readonly HttpCheck http = new(time);
    private readonly CommandCheck commands = new(supervisor, releases, time);

    public async Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(check.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        Exception? lacking = null;

        async Task<(bool Passed, string Detail)> AskAsync()
        {
            while (true)
            {
                try
                {
                    lacking = null;
                    return await LookAsync(app, check, both.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (LacksDescriptors(e))
                {
                    lacking = e;
                    await Task.Delay(AskAgain, time, both.Token).ConfigureAwait(false);
                }
            }
        }

        try
        {
            // What does not heed the token is left behind, so that the time of a check is kept even then.
            (bool passed, string detail) = await AskAsync().WaitAsync(both.Token).ConfigureAwait(false);
            return Answer(check, passed, detail);
        }
        catch (OperationCanceledException) when (both.IsCancellationRequested)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (lacking is not null) throw new OperatorException(ExitCode.NeedsOperator, $"agentd could not run {check.Name}: {lacking.GetBaseException().Message}", "see what it holds open: ls -l /proc/$(pidof agentd)/fd; raise its LimitNOFILE", lacking);
            return Answer(check, passed: false, $"{(check is CheckOptions.Command ? "did not end" : "no answer")} within {Spoken.Duration(check.Timeout)}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return Answer(check, passed: false, Explain(e));
        }
    }

    private Task<(bool Passed, string Detail)> LookAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken) => check switch
    {
        CheckOptions.Http asked => http.AskAsync(asked, cancellationToken),
        CheckOptions.Tcp tcp => ConnectAsync(TcpAsync(tcp, cancellationToken)),
        CheckOptions.UnixSocket unix => ConnectAsync(UnixSocket.ConnectAsync(unix.Path, cancellationToken)),
        CheckOptions.Command command => commands.RunAsync(app, command, cancellationToken),
        CheckOptions.UnitActive unit => LookAtAsync(unit.Unit, cancellationToken),
        _ => throw new NotSupportedException(check.GetType().Name),
    };

    private async Task<(bool Passed, string Detail)> ConnectAsync(Task<Socket> connecting)
    {
        long start = time.GetTimestamp();
        using Socket socket = await connecting.ConfigureAwait(false);
        return (true, $"connected in {time.GetElapsedTime(start).TotalMilliseconds:0} ms");
    }

    private static async Task<Socket> TcpAsync(CheckOptions.Tcp check, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(check.Host, check.Port, cancellationToken).ConfigureAwait(false);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<(bool Passed, string Detail)> LookAtAsync(UnitName unit, CancellationToken cancellationToken) =>
        UnitAnswer.Of(await supervisor.GetStateAsync(unit, cancellationToken).ConfigureAwait(false));

    private static CheckAnswer Answer(CheckOptions check, bool passed, string detail) => new(check.Name, passed, Spoken.Line(detail, DetailAtMost));

    /// <summary>Whether this process had no descriptor left to ask with, which says nothing about the application.</summary>
    internal static bool LacksDescriptors(Exception error) =>
        error is SocketException { SocketErrorCode: SocketError.TooManyOpenSockets } || (error.InnerException is { } inner && LacksDescriptors(inner));

    /// <summary>For people: what kept a connection from an answer.</summary>
    internal static string Explain(Exception error)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is IOException { InnerException: SocketException { SocketErrorCode: SocketError.AddressNotAvailable } }) return e.Message;
            if (e is not SocketException socket) continue;
            return socket.SocketErrorCode switch
            {
                SocketError.ConnectionRefused => "connection refused",
                SocketError.ConnectionReset => "connection reset",
                SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "host name not found",
                SocketError.HostUnreachable or SocketError.NetworkUnreachable => "host unreachable",
                SocketError.AccessDenied => "permission denied",
                SocketError.WouldBlock => "the socket's queue is full",
                _ => socket.Message,
            };
        }
        return error switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } => "connection closed in the middle of an answer",
            HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse } => "the answer is not HTTP",
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => $"no TLS: {error.GetBaseException().Message}",
            _ => error.GetBaseException().Message,
        };
    }
}

using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Agent.Daemon.Configuration;
using Agent.Daemon.Deployments;

namespace Agent.Daemon.Health;

/// <summary>Runs one check once. Every run makes a connection of its own, as one kept from before could be to the release before.</summary>
internal sealed class HealthProbe : IHealthProbe, IDisposable
{
    // Enough to let a usual answer end well, so that the application does not log a broken connection.
    private const int ReadAtMost = 64 << 10;

    private readonly TimeProvider time;
    private readonly HttpClient client;

    public HealthProbe(TimeProvider time)
    {
        this.time = time;
        client = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            MaxResponseHeadersLength = 64,   // KiB
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (sender, _, _, errors) => errors == SslPolicyErrors.None || IsLoopback(sender) },
        })
        {
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,   // each check brings its own
        };
        client.DefaultRequestHeaders.UserAgent.ParseAdd("agentd");
    }

    public async Task<CheckAnswer> ProbeAsync(AppDefinition app, CheckOptions check, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(check.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            return check switch
            {
                CheckOptions.Http http => await GetAsync(http, both.Token).ConfigureAwait(false),
                CheckOptions.Tcp tcp => await ConnectAsync(tcp, both.Token).ConfigureAwait(false),
                _ => throw new NotSupportedException(check.GetType().Name),
            };
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new CheckAnswer(check.Name, Passed: false, $"no answer within {Spoken.Duration(check.Timeout)}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return new CheckAnswer(check.Name, Passed: false, Explain(e));
        }
    }

    public void Dispose() => client.Dispose();

    private async Task<CheckAnswer> GetAsync(CheckOptions.Http check, CancellationToken cancellationToken)
    {
        long start = time.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Get, check.Url);
        request.Headers.ConnectionClose = true;
        using HttpResponseMessage response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        int status = (int)response.StatusCode;
        if (check.Status is { } wanted ? status != wanted : !response.IsSuccessStatusCode)
        {
            string hint = check.Status is { } other ? $", not {other}" : status is >= 300 and < 400 ? ", and redirects are not followed" : "";
            return new CheckAnswer(check.Name, Passed: false, $"GET {check.Url.PathAndQuery} gave {status}{hint}");
        }
        await ReadSomeAsync(response, cancellationToken).ConfigureAwait(false);
        return new CheckAnswer(check.Name, Passed: true, $"{status} in {time.GetElapsedTime(start).TotalMilliseconds:0} ms");
    }

    private static async Task ReadSomeAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadAtMost);
        try
        {
            _ = await body.ReadAtLeastAsync(buffer, ReadAtMost, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task<CheckAnswer> ConnectAsync(CheckOptions.Tcp check, CancellationToken cancellationToken)
    {
        long start = time.GetTimestamp();
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(check.Host, check.Port, cancellationToken).ConfigureAwait(false);
        return new CheckAnswer(check.Name, Passed: true, $"connected in {time.GetElapsedTime(start).TotalMilliseconds:0} ms");
    }

    // On this host's own address nobody else can answer, and a certificate is rarely made out to localhost.
    private static bool IsLoopback(object sender) =>
        sender is SslStream { TargetHostName: var name } && (name == "localhost" || (IPAddress.TryParse(name, out IPAddress? address) && IPAddress.IsLoopback(address)));

    private static string Explain(Exception error)
    {
        for (Exception? e = error; e is not null; e = e.InnerException)
        {
            if (e is not SocketException socket) continue;
            return socket.SocketErrorCode switch
            {
                SocketError.ConnectionRefused => "connection refused",
                SocketError.ConnectionReset => "connection reset",
                SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain => "host name not found",
                SocketError.HostUnreachable or SocketError.NetworkUnreachable => "host unreachable",
                _ => OneLine(socket.Message),
            };
        }
        return error switch
        {
            HttpRequestException { HttpRequestError: HttpRequestError.ResponseEnded } or HttpIOException { HttpRequestError: HttpRequestError.ResponseEnded } => "connection closed in the middle of an answer",
            HttpRequestException { HttpRequestError: HttpRequestError.InvalidResponse } => "the answer is not HTTP",
            HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } => $"no TLS: {OneLine(error.GetBaseException().Message)}",
            _ => OneLine(error.GetBaseException().Message),
        };
    }

    private static string OneLine(string text) => text.ReplaceLineEndings(" ") is { Length: > 200 } long_ ? long_[..200] : text.ReplaceLineEndings(" ");
}

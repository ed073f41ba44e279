using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Agent.Daemon.Configuration;

namespace Agent.Daemon.Health;

/// <summary>Asks by HTTP. The detail names the path without its query, and never what the answer's headers and body hold: either may be a secret.</summary>
internal sealed class HttpCheck(TimeProvider time)
{
    // Enough to let a usual answer end well, so that the application does not log a broken connection.
    private const int ReadAtMost = 64 << 10;

    /// <exception cref="HttpRequestException">No answer, or none that is HTTP.</exception>
    /// <exception cref="IOException">The answer ends too early, or the Unix socket cannot be one.</exception>
    public async Task<(bool Passed, string Detail)> AskAsync(CheckOptions.Http check, CancellationToken cancellationToken)
    {
        long start = time.GetTimestamp();
        using var request = new HttpRequestMessage(HttpMethod.Get, check.Url);
        if (Fill(request, check) is { } unsent) return (false, $"the header {unsent} cannot be sent with a GET");
        using var client = new HttpMessageInvoker(Handler(check));
        using HttpResponseMessage response = await client.SendAsync(request, cancellationToken).ConfigureAwait(false);

        int status = (int)response.StatusCode;
        string what = $"GET {check.Url.AbsolutePath} gave {status}";
        if (check.Status is { } wanted ? status != wanted : !response.IsSuccessStatusCode)
            return (false, what + (check.Status is { } other ? $", not {other}" : status is >= 300 and < 400 ? ", and redirects are not followed" : ""));
        foreach ((string name, string value) in check.Headers ?? new Dictionary<string, string>())
        {
            string? found = Value(response, name);
            if (found != value) return (false, found is null ? $"{what} without a header {name}" : $"{what} with a header {name} that is not '{Spoken.Line(value, 60)}'");
        }
        if (!await ReadAsync(response, check.Body, cancellationToken).ConfigureAwait(false))
            return (false, $"{what} without '{Spoken.Line(check.Body!, 60)}' in its body");
        return (true, $"{status} in {time.GetElapsedTime(start).TotalMilliseconds:0} ms");
    }

    // A handler for each run: one that is shared may hand a connection that was begun for one request to another one.
    private static SocketsHttpHandler Handler(CheckOptions.Http check)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            MaxResponseHeadersLength = 64,                // KiB
            PooledConnectionLifetime = TimeSpan.Zero,     // none is kept, so no timer looks after them
        };
#pragma warning disable CA5359 // on this host's own address nobody else can answer, and a certificate is rarely made out to localhost
        if (AsksThisHost(check)) handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        if (check.Socket is { } path) handler.ConnectCallback = async (_, token) => new NetworkStream(await UnixSocket.ConnectAsync(path, token).ConfigureAwait(false), ownsSocket: true);
        return handler;
    }

    /// <summary>Whether nobody but this host itself can answer.</summary>
    internal static bool AsksThisHost(CheckOptions.Http check) =>
        check.Socket is not null || check.Url.Host == "localhost" || (IPAddress.TryParse(check.Url.DnsSafeHost, out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <returns>A header that cannot be sent; null: all can.</returns>
    private static string? Fill(HttpRequestMessage request, CheckOptions.Http check)
    {
        foreach ((string name, string value) in check.RequestHeaders ?? new Dictionary<string, string>())
        {
            try
            {
                if (name.Equals("Host", StringComparison.OrdinalIgnoreCase)) request.Headers.Host = value;
                else if (value.AsSpan().ContainsAny('\r', '\n', '\0') || !request.Headers.TryAddWithoutValidation(name, value)) return name;
            }
            catch (FormatException)
            {
                return name;
            }
        }
        if (!request.Headers.NonValidated.Contains("User-Agent")) request.Headers.TryAddWithoutValidation("User-Agent", "agentd");
        request.Headers.ConnectionClose = true;
        return null;
    }

    private static string? Value(HttpResponseMessage response, string name) =>
        response.Headers.NonValidated.TryGetValues(name, out HeaderStringValues values) || response.Content.Headers.NonValidated.TryGetValues(name, out values) ? values.ToString() : null;

    /// <returns>Whether what was read holds the text.</returns>
    private static async Task<bool> ReadAsync(HttpResponseMessage response, string? text, CancellationToken cancellationToken)
    {
        using Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadAtMost);
        try
        {
            int length = await body.ReadAtLeastAsync(buffer.AsMemory(0, ReadAtMost), ReadAtMost, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            return text is null || buffer.AsSpan(0, length).IndexOf(Encoding.UTF8.GetBytes(text)) >= 0;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

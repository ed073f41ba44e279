using System.Net.Sockets;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Agent.Protos.Transport;

/// <summary>One call as its handler sees it, and as it ends on the wire.</summary>
/// <remarks>
/// The status is sent once: when the handler has ended, or at the deadline without waiting for it. A handler that outlives its deadline
/// keeps the request alive until it ends, since the server would give the request's objects to the next one; it can write no more.
/// </remarks>
internal sealed class HttpServerCall : ServerCallContext, IDisposable
{
    private static readonly Status TooLate = new(StatusCode.DeadlineExceeded, "Deadline Exceeded");
    /// <summary>For a write under way at the deadline, so that the status can follow it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);
    private static readonly AuthContext Nobody = new(null, []);

    private readonly GrpcServer server;
    private readonly IMethod method;
    private readonly SemaphoreSlim writing = new(1);
    private readonly CancellationTokenSource? late;
    private readonly CancellationTokenSource? stopped;
    private Metadata? requestHeaders;
    private Task lateEnd = Task.CompletedTask;
    private int ended;
    private bool started;

    private HttpServerCall(HttpContext http, GrpcServer server, IMethod method, TimeSpan? timeout)
    {
        (Http, this.server, this.method) = (http, server, method);
        CancellationTokenCore = http.RequestAborted;
        if (timeout is not { } left || left > TimeSpan.FromDays(40))   // timers end at 49 days
            return;
        DeadlineCore = server.Time.GetUtcNow().UtcDateTime + left;
        late = new CancellationTokenSource(left, server.Time);
        stopped = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, late.Token);
        CancellationTokenCore = stopped.Token;
    }

    public HttpContext Http { get; }

    protected override string MethodCore => method.FullName;

    protected override string HostCore => Http.Request.Host.Value ?? "";

    protected override string PeerCore => Http.Connection.RemoteIpAddress switch
    {
        null => "unknown",
        { AddressFamily: AddressFamily.InterNetworkV6 } v6 => $"ipv6:[{v6}]:{Http.Connection.RemotePort}",
        var v4 => $"ipv4:{v4}:{Http.Connection.RemotePort}",
    };

    protected override DateTime DeadlineCore { get; } = DateTime.MaxValue;

    protected override CancellationToken CancellationTokenCore { get; }

    protected override Metadata ResponseTrailersCore { get; } = [];

    protected override Status StatusCore { get; set; } = Status.DefaultSuccess;

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore => Nobody;

    protected override Metadata RequestHeadersCore
    {
        get
        {
            if (requestHeaders is not null)
                return requestHeaders;
            var headers = new Metadata();
            foreach (var (name, values) in Http.Request.Headers)
                if (!name.StartsWith(':'))
                    Wire.AddReceived(headers, name, values);
            return requestHeaders = headers;
        }
    }

    /// <summary>Runs a call from its headers to its trailers.</summary>
    public static async Task RunAsync(HttpContext http, GrpcServer server, IMethod method, Func<HttpServerCall, Task> handle)
    {
        TimeSpan? timeout = null;
        if (!Wire.IsGrpc(http.Request.ContentType))
            Refuse(http, StatusCodes.Status415UnsupportedMediaType, new Status(StatusCode.Internal, $"Content-Type '{http.Request.ContentType}' is not supported."));
        else if (!HttpProtocol.IsHttp2(http.Request.Protocol))
            Refuse(http, StatusCodes.Status426UpgradeRequired, new Status(StatusCode.Internal, $"Request protocol '{http.Request.Protocol}' is not supported."));
        else if (http.Request.Headers[Wire.EncodingHeader] is [var encoding, ..] && encoding != Wire.Identity)
        {
            http.Response.Headers[Wire.AcceptEncodingHeader] = Wire.Identity;
            Refuse(http, StatusCodes.Status200OK, new Status(StatusCode.Unimplemented, $"Unsupported grpc-encoding value '{encoding}'. Supported encodings: identity"));
        }
        else if (http.Request.Headers[Wire.TimeoutHeader] is [{ } text, ..] && !TryTimeout(text, out timeout))
            Refuse(http, StatusCodes.Status200OK, new Status(StatusCode.Internal, "Malformed grpc-timeout."));
        else
        {
            using var call = new HttpServerCall(http, server, method, timeout);
            await call.RunAsync(handle).ConfigureAwait(false);
        }
    }

    /// <summary>Answers without a call: the status stands in the headers.</summary>
    public static void Refuse(HttpContext http, int httpStatus, Status status)
    {
        http.Response.StatusCode = httpStatus;
        http.Response.ContentType = Wire.ContentType;
        Put(http.Response.Headers, status);
    }

    /// <exception cref="RpcException">Internal: there is no message, or a second one.</exception>
    public async ValueTask<T> ReadSingleAsync<T>(Marshaller<T> marshaller)
        where T : class
    {
        var request = await ReadAsync(marshaller, CancellationToken).ConfigureAwait(false) ?? throw Wire.Failure(StatusCode.Internal, "Incomplete message.");
        return await ReadAsync(marshaller, CancellationToken).ConfigureAwait(false) is null
            ? request
            : throw Wire.Failure(StatusCode.Internal, "Additional data after the message received.");
    }

    /// <returns>Null: the caller has sent its last message.</returns>
    public ValueTask<T?> ReadAsync<T>(Marshaller<T> marshaller, CancellationToken cancellationToken)
        where T : class => Wire.ReadAsync(Http.Request.BodyReader, marshaller, server.Options.MaxReceiveMessageSize, cancellationToken);

    /// <summary>Writes the one response, which leaves together with the trailers.</summary>
    public Task WriteSingleAsync<T>(Marshaller<T> marshaller, T message)
        where T : class
    {
        if (StatusCore.StatusCode != StatusCode.OK)
            return Task.CompletedTask;
        if (message is null)
            throw Wire.Failure(StatusCode.Cancelled, "No message returned from method.");
        return WriteAsync(marshaller, message, flush: false, CancellationToken.None);
    }

    /// <summary>Writes a message; with flush, ends when the caller has room for it, or has left.</summary>
    /// <param name="cancellationToken">Resets the stream: half a message cannot be taken back. The call's own token does not, so that a status can follow.</param>
    public async Task WriteAsync<T>(Marshaller<T> marshaller, T message, bool flush, CancellationToken cancellationToken)
    {
        var frame = Wire.Frame(marshaller, message, server.Options.MaxSendMessageSize);
        if (!await writing.WaitAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false))
            throw new InvalidOperationException("Can't write the message because the previous write is in progress, or the call is over.");
        try
        {
            CancellationToken.ThrowIfCancellationRequested();
            await StartAsync().ConfigureAwait(false);
            var body = Http.Response.BodyWriter;
            if (flush)
                await body.WriteAsync(frame, cancellationToken == CancellationToken ? CancellationToken.None : cancellationToken).ConfigureAwait(false);
            else
                System.Buffers.BuffersExtensions.Write(body, frame.Span);
            CancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            writing.Release();
        }
    }

    public void Dispose()
    {
        writing.Dispose();
        stopped?.Dispose();
        late?.Dispose();
    }

    protected override async Task WriteResponseHeadersAsyncCore(Metadata responseHeaders)
    {
        if (!await writing.WaitAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false))
            throw new InvalidOperationException("Response headers cannot be sent while a message is written, or when the call is over.");
        try
        {
            if (started)
                throw new InvalidOperationException("Response headers can only be sent once, before the first message.");
            CancellationToken.ThrowIfCancellationRequested();
            AddTo(Http.Response.Headers, responseHeaders);
            await StartAsync().ConfigureAwait(false);
            await Http.Response.BodyWriter.FlushAsync(CancellationToken).ConfigureAwait(false);
        }
        finally
        {
            writing.Release();
        }
    }

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) =>
        throw new NotSupportedException("Nothing is propagated: pass the deadline and the cancellation token on by hand.");

    private static bool TryTimeout(string text, out TimeSpan? timeout)
    {
        var read = Wire.TryDecodeTimeout(text, out var value);
        timeout = value;
        return read;
    }

    private async Task RunAsync(Func<HttpServerCall, Task> handle)
    {
        Http.Response.ContentType = Wire.ContentType;
        if (method.Type is MethodType.ClientStreaming or MethodType.DuplexStreaming)
        {
            // A stream may be long and may pause; each message in it is bounded.
            if (Http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
                size.MaxRequestBodySize = null;
            if (Http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
                rate.MinDataRate = null;
        }
        var onLate = late?.Token.UnsafeRegister(static call => ((HttpServerCall)call!).EndLate(), this);
        var status = await HandleAsync(handle).ConfigureAwait(false);
        if (onLate is { } registration)
            await registration.DisposeAsync().ConfigureAwait(false);   // waits for a callback under way
        await lateEnd.ConfigureAwait(false);
        if (Interlocked.Exchange(ref ended, 1) == 1 || Http.RequestAborted.IsCancellationRequested)
            return;
        Put(Destination(), status);
        AddTo(Destination(), ResponseTrailersCore);
    }

    /// <returns>How the call ends: the handler's word, or what its exception means.</returns>
    private async Task<Status> HandleAsync(Func<HttpServerCall, Task> handle)
    {
        Status status;
        try
        {
            await handle(this).ConfigureAwait(false);
            status = StatusCore;
        }
        catch (RpcException told)
        {
            foreach (var entry in told.Trailers)
                ResponseTrailersCore.Add(entry);
            status = told.Status;
        }
        catch (Exception) when (CancellationToken.IsCancellationRequested)
        {
            status = Status.DefaultCancelled;   // whatever failed, nobody waits for it
        }
        catch (Exception unexpected)
        {
            server.Logger.HandlerFailed(method.FullName, unexpected);
            status = new Status(
                StatusCode.Unknown,
                server.Options.EnableDetailedErrors == true ? $"Exception was thrown by handler. {unexpected.GetType().Name}: {unexpected.Message}" : "Exception was thrown by handler.");
        }
        if (late is { IsCancellationRequested: true })
            status = TooLate;
        if (status.StatusCode != StatusCode.OK)
            server.Logger.CallRefused(method.FullName, status.StatusCode, status.Detail);
        return status;
    }

    /// <summary>The deadline has passed: tells the caller, whatever the handler does.</summary>
    private void EndLate()
    {
        if (Interlocked.Exchange(ref ended, 1) == 0)
            lateEnd = EndLateAsync();
    }

    private async Task EndLateAsync()
    {
        var reset = Http.Features.Get<IHttpResetFeature>();
        if (!await writing.WaitAsync(Grace, CancellationToken.None).ConfigureAwait(false))
        {
            reset?.Reset(0x8);   // CANCEL: a write waits for a caller that does not read, so that trailers cannot follow
            return;
        }
        // Never released: no write comes after the trailers.
        try
        {
            Put(Destination(), TooLate);
            await Http.Response.CompleteAsync().ConfigureAwait(false);
            reset?.Reset(0x0);   // NO_ERROR: the answer is complete, the rest of the request is not wanted (RFC 9113, 8.1)
        }
        catch (Exception) when (Http.RequestAborted.IsCancellationRequested)
        {
            // The caller left first.
        }
    }

    private async ValueTask StartAsync()
    {
        if (started)
            return;
        started = true;
        await Http.Response.StartAsync(CancellationToken).ConfigureAwait(false);
    }

    private IHeaderDictionary Destination() => started || Http.Response.HasStarted
        ? Http.Features.GetRequiredFeature<IHttpResponseTrailersFeature>().Trailers
        : Http.Response.Headers;

    private static void Put(IHeaderDictionary headers, Status status)
    {
        headers[Wire.StatusHeader] = ((int)status.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
        if (!string.IsNullOrEmpty(status.Detail))
            headers[Wire.MessageHeader] = Wire.EncodeMessage(status.Detail);
    }

    private static void AddTo(IHeaderDictionary headers, Metadata metadata)
    {
        foreach (var entry in metadata)
            headers.Append(entry.Key, entry.IsBinary ? Wire.EncodeBinary(entry.ValueBytes) : entry.Value);
    }
}

internal sealed class RequestReader<T>(HttpServerCall call, Marshaller<T> marshaller) : IAsyncStreamReader<T>
    where T : class
{
    private T? current;

    public T Current => current ?? throw new InvalidOperationException("there is no current message: call MoveNext first");

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, call.CancellationToken);
        current = await call.ReadAsync(marshaller, either.Token).ConfigureAwait(false);
        return current is not null;
    }
}

internal sealed class ResponseWriter<T>(HttpServerCall call, Marshaller<T> marshaller) : IServerStreamWriter<T>
    where T : class
{
    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public Task WriteAsync(T message, CancellationToken cancellationToken) => call.WriteAsync(marshaller, message, flush: true, cancellationToken);
}

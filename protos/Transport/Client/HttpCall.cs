using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Agent.Protos.Transport;
using Grpc.Core;

namespace Grpc.Net.Client;

/// <summary>One call over HTTP/2.</summary>
/// <remarks>
/// 1. Start sends the request; its task ends when the response's headers are here.
/// 2. MoveNext reads messages; the last one is followed by the trailers, which hold the status.
/// 3. End takes the first status that anyone found, and lets go of everything. Ending early resets the stream.
/// </remarks>
internal sealed class HttpCall<TRequest, TResponse> : IAsyncStreamReader<TResponse>, IDisposable
    where TRequest : class
    where TResponse : class
{
    private static readonly Status CancelledByCaller = new(StatusCode.Cancelled, "Call canceled by the client.");
    private static readonly Status TooLate = new(StatusCode.DeadlineExceeded, "Deadline Exceeded");

    private readonly GrpcChannel channel;
    private readonly Method<TRequest, TResponse> method;
    private readonly CallOptions options;
    private readonly TimeSpan? timeout;
    private readonly CancellationTokenSource stop = new();   // holds no handle: left to the collector, so that nobody meets it disposed
    private readonly CancellationTokenRegistration onCancel;
    private readonly ITimer? onDeadline;
    private readonly Lock ending = new();
    private Status? status;
    private Metadata trailers = Metadata.Empty;
    private HttpResponseMessage? response;
    private RequestWriter<TRequest>? writer;
    private PipeReader? messages;
    private TResponse? current;

    public HttpCall(GrpcChannel channel, Method<TRequest, TResponse> method, CallOptions options)
    {
        ObjectDisposedException.ThrowIf(channel.Disposed, channel);
        (this.channel, this.method, this.options) = (channel, method, options);
        ResponseHeaders = Task.FromException<Metadata>(new InvalidOperationException("not started"));
        onCancel = options.CancellationToken.UnsafeRegister(static call => ((HttpCall<TRequest, TResponse>)call!).End(CancelledByCaller), this);
        if (options.Deadline is not { } deadline || deadline == DateTime.MaxValue)
            return;
        if (deadline.Kind != DateTimeKind.Utc && deadline != DateTime.MinValue)
            throw new InvalidOperationException("Deadline must have a kind DateTimeKind.Utc or be equal to DateTime.MaxValue or DateTime.MinValue.");
        timeout = deadline - TimeProvider.System.GetUtcNow().UtcDateTime;
        if (timeout <= TimeSpan.Zero)
            End(TooLate);
        else if (timeout < TimeSpan.FromDays(40))   // timers end at 49 days
            onDeadline = TimeProvider.System.CreateTimer(
                static call => ((HttpCall<TRequest, TResponse>)call!).End(TooLate), this, timeout.Value, Timeout.InfiniteTimeSpan);
    }

    public Task<Metadata> ResponseHeaders { get; private set; }

    public TResponse Current => current ?? throw new InvalidOperationException("there is no current message: call MoveNext first");

    /// <summary>Sends a call with one request message.</summary>
    public void Start(TRequest request)
    {
        ReadOnlyMemory<byte> frame = default;
        try
        {
            frame = Wire.Frame(method.RequestMarshaller, request, channel.Options.MaxSendMessageSize);
        }
        catch (Exception cause)
        {
            End(Explain(cause));   // nothing is sent; the response tells it, as any other failure
        }
        Send(new ReadOnlyMemoryContent(frame));
    }

    /// <summary>Sends a call whose request messages follow.</summary>
    public IClientStreamWriter<TRequest> Start()
    {
        writer = new RequestWriter<TRequest>(method.RequestMarshaller, channel.Options.MaxSendMessageSize, Dispose, cause => Ended() is null ? new RpcException(Explain(cause)) : Failure());
        Send(writer.Content);
        return writer;
    }

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        using var cancel = cancellationToken.UnsafeRegister(static call => ((HttpCall<TRequest, TResponse>)call!).End(CancelledByCaller), this);
        await ResponseHeaders.ConfigureAwait(false);
        try
        {
            if (messages is null)
            {
                if (Ended() is { } before)
                    return before.StatusCode == StatusCode.OK ? false : throw Failure();
                var stream = await response!.Content.ReadAsStreamAsync(stop.Token).ConfigureAwait(false);
                messages = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 16 * 1024, leaveOpen: true));
            }
            current = Ended() is null
                ? await Wire.ReadAsync(messages, method.ResponseMarshaller, channel.Options.MaxReceiveMessageSize, stop.Token).ConfigureAwait(false)
                : null;
        }
        catch (Exception cause) when (cause is not RpcException || Ended() is null)
        {
            End(Explain(cause));
        }
        if (Ended() is null && current is not null)
            return true;
        End(ReadStatus(response!.TrailingHeaders));
        current = null;
        return Ended()!.Value.StatusCode == StatusCode.OK ? false : throw Failure();
    }

    /// <summary>The response of a call that has exactly one.</summary>
    public async Task<TResponse> ReadSingleAsync()
    {
        if (await MoveNext(CancellationToken.None).ConfigureAwait(false))
        {
            var message = Current;
            if (!await MoveNext(CancellationToken.None).ConfigureAwait(false))
                return message;
            End(new Status(StatusCode.Internal, "More than one response message in a unary call."));
        }
        else
        {
            lock (ending)
                status = new Status(StatusCode.Internal, "No response message in a unary call that ended with OK.");
        }
        throw Failure();
    }

    public Status GetStatus() => Ended() ?? throw new InvalidOperationException("Unable to get the status because the call is not complete.");

    public Metadata GetTrailers() => Ended() is null
        ? throw new InvalidOperationException("Can't get the call trailers because the call has not completed successfully.")
        : trailers;

    public void Dispose() => End(CancelledByCaller);

    private void Send(HttpContent content)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(channel.Address, method.FullName))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        content.Headers.TryAddWithoutValidation("content-type", Wire.ContentType);
        request.Headers.TryAddWithoutValidation("te", "trailers");
        request.Headers.TryAddWithoutValidation(Wire.AcceptEncodingHeader, Wire.Identity);
        if (timeout is { } left)
            request.Headers.TryAddWithoutValidation(Wire.TimeoutHeader, Wire.EncodeTimeout(left));
        foreach (var entry in options.Headers ?? Metadata.Empty)
            request.Headers.TryAddWithoutValidation(entry.Key, entry.IsBinary ? Wire.EncodeBinary(entry.ValueBytes) : entry.Value);
        ResponseHeaders = SendAsync(request);
        // Not everyone awaits the headers; their failure is the call's, which is told where the response is awaited.
        _ = ResponseHeaders.ContinueWith(
            static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task<Metadata> SendAsync(HttpRequestMessage request)
    {
        try
        {
            stop.Token.ThrowIfCancellationRequested();
            var received = await channel.Http.SendAsync(request, stop.Token).ConfigureAwait(false);
            lock (ending)
                response = received;
            if (Ended() is not null)
                received.Dispose();   // ended while the headers were on their way
            var headers = new Metadata();
            if (received.StatusCode != HttpStatusCode.OK)
                End(new Status(OfHttp(received.StatusCode), $"Bad gRPC response. HTTP status code: {(int)received.StatusCode}"));
            else if (!Wire.IsGrpc(received.Content.Headers.ContentType?.ToString()))
                End(new Status(StatusCode.Unknown, $"Bad gRPC response. Invalid content-type value: {received.Content.Headers.ContentType}"));
            else if (received.Headers.NonValidated.Contains(Wire.StatusHeader))
                End(ReadStatus(received.Headers));   // no message: the headers are the trailers
            else
                AddAll(headers, received.Headers);
            return Ended() is null or { StatusCode: StatusCode.OK } ? headers : throw Failure();
        }
        catch (Exception cause)
        {
            End(Explain(cause));
            throw Failure();
        }
    }

    private Status? Ended()
    {
        lock (ending)
            return status;
    }

    private RpcException Failure()
    {
        var ended = Ended() ?? CancelledByCaller;
        return new RpcException(ended, trailers);
    }

    private void End(Status how)
    {
        lock (ending)
        {
            if (status is not null)
                return;
            status = how;
        }
        // Unregister does not wait: this may be the callback itself.
        onCancel.Unregister();
        onDeadline?.Dispose();
        writer?.Close(how.StatusCode == StatusCode.OK);
        if (how.StatusCode != StatusCode.OK)
            stop.Cancel();
        lock (ending)
            response?.Dispose();   // before the end of the stream this resets it
    }

    /// <summary>The status in trailers, which become the call's.</summary>
    private Status ReadStatus(HttpResponseHeaders from)
    {
        if (Ended() is { } already)
            return already;
        try
        {
            var found = new Metadata();
            AddAll(found, from);
            trailers = found;
        }
        catch (RpcException malformed)
        {
            return malformed.Status;
        }
        if (!from.NonValidated.TryGetValues(Wire.StatusHeader, out var code))
            return new Status(StatusCode.Unknown, "No grpc-status found on response.");
        var detail = from.NonValidated.TryGetValues(Wire.MessageHeader, out var text) ? Wire.DecodeMessage(text.ToString()) : "";
        return int.TryParse(code.ToString(), out var number) && number is >= 0 and <= 16
            ? new Status((StatusCode)number, detail)
            : new Status(StatusCode.Unknown, $"Unknown grpc-status {code}: {detail}");
    }

    private Status Explain(Exception cause)
    {
        if (cause is RpcException { Status: var told })
            return told;
        if (cause is OperationCanceledException)
            return new Status(StatusCode.Cancelled, "Call canceled by the client.", cause);
        var chain = new List<string>();
        HttpProtocolException? reset = null;
        for (var link = cause; link is not null; link = link.InnerException)
        {
            reset ??= link as HttpProtocolException;
            chain.Add($"{link.GetType().Name}: {link.Message}");
        }
        // Codes: RFC 9113, section 7; their meaning for a call: PROTOCOL-HTTP2.md, "Errors".
        var code = reset?.ErrorCode switch
        {
            null => cause is HttpRequestException or IOException ? StatusCode.Unavailable : StatusCode.Internal,
            0x7 => StatusCode.Unavailable,
            0x8 => timeout is not null && TimeProvider.System.GetUtcNow().UtcDateTime >= options.Deadline ? StatusCode.DeadlineExceeded : StatusCode.Cancelled,
            0xb => StatusCode.ResourceExhausted,
            0xc => StatusCode.PermissionDenied,
            _ => StatusCode.Internal,
        };
        return new Status(code, $"Error in gRPC call. {string.Join(' ', chain)}", cause);
    }

    private static void AddAll(Metadata metadata, HttpResponseHeaders headers)
    {
        foreach (var (name, values) in headers.NonValidated)
            Wire.AddReceived(metadata, name, values);
    }

    /// <summary>Source: the gRPC project's http-grpc-status-mapping.md.</summary>
    private static StatusCode OfHttp(HttpStatusCode code) => code switch
    {
        HttpStatusCode.BadRequest => StatusCode.Internal,
        HttpStatusCode.Unauthorized => StatusCode.Unauthenticated,
        HttpStatusCode.Forbidden => StatusCode.PermissionDenied,
        HttpStatusCode.NotFound => StatusCode.Unimplemented,
        HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout => StatusCode.Unavailable,
        _ => StatusCode.Unknown,
    };
}

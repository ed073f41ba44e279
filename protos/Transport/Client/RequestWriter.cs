using System.Net;
using Agent.Protos.Transport;
using Grpc.Core;

namespace Grpc.Net.Client;

/// <summary>Request messages of a streaming call, written into the request's body while it is sent.</summary>
/// <param name="cancel">Ends the call: half a message cannot be taken back.</param>
/// <param name="failure">What a failed write means: the call's own failure where it is over.</param>
internal sealed class RequestWriter<T>(Marshaller<T> marshaller, int? maxSize, Action cancel, Func<Exception, RpcException> failure)
    : IClientStreamWriter<T>
    where T : class
{
    private readonly TaskCompletionSource<Stream> body = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int writing;
    private bool callerCompleted;

    public HttpContent Content => field ??= new BodyContent(this);

    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        if (callerCompleted)
            throw new InvalidOperationException("Can't write the message because the client stream writer is complete.");
        var frame = Wire.Frame(marshaller, message, maxSize);
        if (Interlocked.Exchange(ref writing, 1) == 1)
            throw new InvalidOperationException("Can't write the message because the previous write is in progress.");
        try
        {
            using var cancelled = cancellationToken.UnsafeRegister(static end => ((Action)end!)(), cancel);
            var stream = await body.Task.ConfigureAwait(false);
            await stream.WriteAsync(frame, CancellationToken.None).ConfigureAwait(false);
            await stream.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception cause)
        {
            throw failure(cause);
        }
        finally
        {
            Volatile.Write(ref writing, 0);
        }
    }

    public Task CompleteAsync()
    {
        callerCompleted = true;
        completed.TrySetResult();
        return Task.CompletedTask;
    }

    /// <summary>The call is over: nothing more is sent.</summary>
    public void Close(bool good)
    {
        body.TrySetCanceled();
        if (good)
            completed.TrySetResult();
        else
            completed.TrySetCanceled();
    }

    private sealed class BodyContent(RequestWriter<T> writer) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.FlushAsync(cancellationToken).ConfigureAwait(false);   // the headers leave before the first message
            writer.body.TrySetResult(stream);
            await writer.completed.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}

using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Agent.Cli.Hosts;

/// <summary>Answers what one agent asks while a release is pushed to it, out of a store that can be read from here.</summary>
/// <param name="offered">Beginnings of the paths that an agent may ask for; all else that lies beside them is nobody's to see.</param>
/// <param name="scratch">An existing directory of this push alone, for what a store cannot give in parts.</param>
internal sealed class PushSender(IStoreReader store, IReadOnlyList<string> offered, string scratch)
{
    private const int LargestAnswer = 256 << 10, AtOnce = 4;

    private readonly Dictionary<string, Task<string>> spooled = new(StringComparer.Ordinal);
    private OperatorException? failure;

    /// <summary>Serves one push to its end.</summary>
    /// <exception cref="OperatorException">The store failed.</exception>
    /// <exception cref="RpcException">The agent refused it, or the connection broke.</exception>
    public async Task<PushDone> RunAsync(
        AsyncDuplexStreamingCall<PushRequest, PushReply> call, PushStart start, IProgress<PushProgress> progress, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<PushWant> wants = Channel.CreateBounded<PushWant>(AtOnce);
        Channel<PushContent> answers = Channel.CreateBounded<PushContent>(1);
        Task workers = Task.WhenAll(Enumerable.Range(0, AtOnce).Select(_ => AnswerAllAsync(wants.Reader, answers.Writer, stop.Token)));
        Task writing = Task.CompletedTask;
        try
        {
            await call.RequestStream.WriteAsync(new PushRequest { Start = start }, cancellationToken);
            writing = WriteAllAsync(answers.Reader, call.RequestStream, stop.Token);
            await foreach (PushReply reply in call.ResponseStream.ReadAllAsync(cancellationToken))
            {
                if (reply.Want is { } want) await wants.Writer.WriteAsync(want, stop.Token);
                if (reply.Progress is { } far) progress.Report(far);
                if (reply.Done is { } done) return done;
            }
            throw new OperatorException(ExitCode.Unreachable, "agentd ended the push without a word", "push again: what has come is not sent twice");
        }
        catch (RpcException e) when (failure is not null && !cancellationToken.IsCancellationRequested)
        {
            throw new OperatorException(failure.Code, failure.Message, failure.Remedy, e);
        }
        finally
        {
            await stop.CancelAsync();
            // What ended the call is told by its responses.
            await Task.WhenAll(workers, writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task AnswerAllAsync(ChannelReader<PushWant> wants, ChannelWriter<PushContent> answers, CancellationToken cancellationToken)
    {
        await foreach (PushWant want in wants.ReadAllAsync(cancellationToken))
        {
            PushContent answer = await AnswerAsync(want, cancellationToken);
            answer.Want = want.Id;
            await answers.WriteAsync(answer, cancellationToken);
        }
    }

    private static async Task WriteAllAsync(ChannelReader<PushContent> answers, IClientStreamWriter<PushRequest> to, CancellationToken cancellationToken)
    {
        await foreach (PushContent answer in answers.ReadAllAsync(cancellationToken)) await to.WriteAsync(new PushRequest { Content = answer }, cancellationToken);
    }

    private async Task<PushContent> AnswerAsync(PushWant want, CancellationToken cancellationToken)
    {
        if (!offered.Any(beginning => want.Path.StartsWith(beginning, StringComparison.Ordinal))) return new PushContent { Missing = true };
        if (want.Offset < 0 || want.Length is < 1 or > LargestAnswer) return new PushContent { Error = $"{want.Length} bytes from {want.Offset} cannot be sent at once" };
        try
        {
            return await ReadAsync(want, cancellationToken);
        }
        catch (StoreObjectMissingException)
        {
            return new PushContent { Missing = true };
        }
        catch (Exception e) when (e is OperatorException or IOException or UnauthorizedAccessException)
        {
            failure ??= e as OperatorException ?? new OperatorException(ExitCode.Unreachable, $"{store.Description} cannot be read: {e.Message}", "check it, then push again", e);
            return new PushContent { Error = e.Message };
        }
    }

    private async Task<PushContent> ReadAsync(PushWant want, CancellationToken cancellationToken)
    {
        Task<string>? whole;
        lock (spooled) spooled.TryGetValue(want.Path, out whole);
        if (whole is not null) return await FromFileAsync(await whole, want, cancellationToken);
        // One byte more tells whether the object ends here.
        StoreObject? found = want.IfNoneMatch.Length > 0
            ? await store.OpenAsync(want.Path, want.Offset, want.IfNoneMatch, cancellationToken)
            : await store.OpenRangeAsync(want.Path, want.Offset, want.Length + 1, cancellationToken);
        if (found is null) return new PushContent { Unchanged = true };
        await using (found)
        {
            if (found.Offset == want.Offset) return await FromAsync(found.Content, want, found.ETag ?? "", cancellationToken);
            lock (spooled)
            {
                if (!spooled.TryGetValue(want.Path, out whole)) spooled[want.Path] = whole = SpoolAsync(Path.Combine(scratch, $"object-{spooled.Count}"), found.Content, cancellationToken);
            }
            return await FromFileAsync(await whole, want, cancellationToken);
        }
    }

    /// <summary>Keeps a whole object, of a store that gives no parts.</summary>
    private static async Task<string> SpoolAsync(string file, Stream content, CancellationToken cancellationToken)
    {
        await using FileStream whole = new(file, FileMode.CreateNew, FileAccess.Write);
        await content.CopyToAsync(whole, cancellationToken);
        return file;
    }

    private static async Task<PushContent> FromFileAsync(string file, PushWant want, CancellationToken cancellationToken)
    {
        await using FileStream whole = new(file, FileMode.Open, FileAccess.Read);
        whole.Seek(want.Offset, SeekOrigin.Begin);
        return await FromAsync(whole, want, "", cancellationToken);
    }

    private static async Task<PushContent> FromAsync(Stream content, PushWant want, string etag, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[want.Length + 1];
        int read = await content.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false, cancellationToken);
        int sent = (int)Math.Min(read, want.Length);
        return new PushContent { Data = UnsafeByteOperations.UnsafeWrap(bytes.AsMemory(0, sent)), Offset = want.Offset, Etag = etag, Last = read <= want.Length };
    }
}

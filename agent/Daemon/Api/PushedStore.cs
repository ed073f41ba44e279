using System.Collections.Concurrent;
using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Google.Protobuf;
using Grpc.Core;

namespace Agent.Daemon.Api;

/// <summary>
/// A caller that stands in for a store: each read becomes wants, and each want has one answer, in any order. Never trusted, as any store.
/// What is asked for and not read yet is all that a caller can make the agent hold: <see cref="LargestAnswer"/> for each want, a few wants for each object.
/// </summary>
/// <remarks>An answer that nobody asked for, or that is not what was asked for, ends the push: a caller that goes astray is not waited for.</remarks>
internal sealed class PushedStore : IStoreReader, IAsyncDisposable
{
    /// <summary>Bytes of content in one message.</summary>
    public const int LargestAnswer = 256 << 10;

    /// <summary>Wants of one object that are under way, so that the way there and back is not waited for each time.</summary>
    private const int Ahead = 4;

    private const int MostWants = 64, MostReplies = 128, LongestTag = 256, LongestError = 400;

    private readonly TimeProvider time;
    private readonly ConcurrentDictionary<long, Want> open = new();
    private readonly Channel<V1.PushReply> replies = Channel.CreateBounded<V1.PushReply>(MostReplies);
    private readonly CancellationTokenSource stop;
    private readonly Task reading, writing;
    private OperatorException? fault;
    private long lastWant, received;

    /// <param name="description">For people: <c>the push of uid 1000 (ann)</c>.</param>
    /// <param name="from">Behind its first message.</param>
    public PushedStore(string description, IAsyncStreamReader<V1.PushRequest> from, IServerStreamWriter<V1.PushReply> to, TimeProvider time, CancellationToken cancellationToken)
    {
        (Description, this.time) = (description, time);
        stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        reading = ReadAsync(from);
        writing = WriteAsync(to);
    }

    public string Description { get; }

    /// <summary>Bytes of content that came.</summary>
    public long Received => Interlocked.Read(ref received);

    public Task<StoreObject?> OpenAsync(string path, long offset, string? ifNoneMatch, CancellationToken cancellationToken) =>
        OpenAsync(new Body(this, StorePath.Checked(path), offset, long.MaxValue, ahead: 1, ifNoneMatch), offset, cancellationToken);

    public async Task<StoreObject> OpenRangeAsync(string path, long offset, long length, CancellationToken cancellationToken) =>
        (await OpenAsync(new Body(this, StorePath.Checked(path), offset, offset + length, Ahead, ifNoneMatch: null), offset, cancellationToken))!;

    /// <summary>Tells the caller how far it is. Left out where it does not read quickly enough.</summary>
    public void Tell(V1.PushProgress progress) => replies.Writer.TryWrite(new V1.PushReply { Progress = progress });

    /// <summary>The last word; nothing can be asked after it.</summary>
    /// <exception cref="OperatorException">The caller does not take it (<see cref="ExitCode.Unreachable"/>).</exception>
    public async Task EndAsync(V1.PushDone done, CancellationToken cancellationToken)
    {
        try
        {
            using var late = new CancellationTokenSource(PacedStream.Stall, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
            await replies.Writer.WriteAsync(new V1.PushReply { Done = done }, either.Token);
            replies.Writer.TryComplete();
            await writing.WaitAsync(either.Token);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is OperationCanceledException or ChannelClosedException)
        {
            throw Unreachable("it does not read what it is told", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await Task.WhenAll(reading, writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stop.Dispose();
    }

    private async Task<StoreObject?> OpenAsync(Body body, long offset, CancellationToken cancellationToken)
    {
        V1.PushContent first = await body.BeginAsync(cancellationToken);
        if (first.Missing) throw new StoreObjectMissingException(Description, body.Path);
        if (first.Unchanged) return null;
        return new StoreObject(new PacedStream(body, body, $"{body.Path} from {Description}", time), offset, first.Etag.Length > 0 ? first.Etag : null);
    }

    private Want Ask(string path, long offset, int length, string? ifNoneMatch)
    {
        long id = Interlocked.Increment(ref lastWant);
        var want = new Want(offset, length, ifNoneMatch is not null);
        open[id] = want;
        var message = new V1.PushWant { Id = id, Path = path, Offset = offset, Length = length, IfNoneMatch = ifNoneMatch ?? "" };
        if (open.Count > MostWants || !replies.Writer.TryWrite(new V1.PushReply { Want = message })) Fail(Unreachable("it does not answer what it is asked"));
        if (Volatile.Read(ref fault) is not null) want.Answer.TrySetResult(null);
        return want;
    }

    private async Task<V1.PushContent> AnswerAsync(Want want, CancellationToken cancellationToken) =>
        await want.Answer.Task.WaitAsync(cancellationToken) ?? throw Again(fault!);

    private async Task ReadAsync(IAsyncStreamReader<V1.PushRequest> from)
    {
        try
        {
            while (await from.MoveNext(stop.Token)) Take(from.Current.Content ?? throw Astray("says something else than what it was asked"));
            Fail(Unreachable("it ended before all had come"));
        }
        catch (OperatorException e)
        {
            Fail(e);
        }
        catch (Exception e)
        {
            Fail(Unreachable("the caller went away", e));
        }
    }

    private async Task WriteAsync(IServerStreamWriter<V1.PushReply> to)
    {
        try
        {
            await foreach (V1.PushReply reply in replies.Reader.ReadAllAsync(stop.Token)) await to.WriteAsync(reply, stop.Token);
        }
        catch (Exception e)
        {
            Fail(Unreachable("the caller went away", e));
            replies.Writer.TryComplete(e);
        }
    }

    private void Take(V1.PushContent answer)
    {
        if (!open.TryGetValue(answer.Want, out Want? want)) throw Astray($"answers {answer.Want}, which it was not asked");
        bool isContent = !answer.Missing && !answer.Unchanged && answer.Error.Length == 0;
        if (answer.Data.Length > (isContent ? want.Length : 0)) throw Astray($"sends {answer.Data.Length} bytes where {(isContent ? want.Length : 0)} were asked for");
        if (isContent && !answer.Last && answer.Data.Length < want.Length) throw Astray("sends less than was asked for");
        if (isContent && answer.Offset != want.Offset) throw Astray("sends another part than was asked for");
        if (answer.Unchanged && !want.IsConditional) throw Astray("leaves out what was asked for");
        if (answer.Etag.Length > LongestTag) throw Astray("has a tag that is too long");
        open.TryRemove(answer.Want, out _);
        Interlocked.Add(ref received, answer.Data.Length);
        want.Answer.TrySetResult(answer);
    }

    // The first fault is the one that is told.
    private void Fail(OperatorException e)
    {
        Interlocked.CompareExchange(ref fault, e, null);
        foreach (Want want in open.Values) want.Answer.TrySetResult(null);
    }

    private OperatorException Unreachable(string why, Exception? cause = null) =>
        new(ExitCode.Unreachable, $"{Description} broke off: {why}", "push again: what has come is not sent twice", cause);

    private OperatorException Astray(string how) =>
        new(ExitCode.Refused, $"{Description} {how}", "push with an agentctl of this agent's version: agentctl version");

    // One object for each that waits: an exception is thrown once.
    private static OperatorException Again(OperatorException e) => new(e.Code, e.Message, e.Remedy, e);

    /// <summary>What was asked for.</summary>
    private sealed record Want(long Offset, int Length, bool IsConditional)
    {
        /// <summary>Null: none comes any more.</summary>
        public TaskCompletionSource<V1.PushContent?> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>The bytes of one object, asked for a little ahead of whoever reads them.</summary>
    /// <param name="end">Behind the last byte that is wanted.</param>
    private sealed class Body(PushedStore store, string path, long offset, long end, int ahead, string? ifNoneMatch) : Stream
    {
        private readonly Queue<Want> asked = new();
        private long next = offset;
        private ReadOnlyMemory<byte> left;
        private bool ended;

        public string Path => path;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        /// <summary>The first answer, within the time that a store has for it.</summary>
        public async Task<V1.PushContent> BeginAsync(CancellationToken cancellationToken)
        {
            using var late = new CancellationTokenSource(PacedStream.Stall, store.time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
            try
            {
                return await NextAsync(either.Token);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw store.Unreachable($"it has not sent {path} within {PacedStream.Stall.TotalSeconds:0} s", e);
            }
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (left.IsEmpty)
            {
                if (ended) return 0;
                V1.PushContent answer = await NextAsync(cancellationToken);
                if (answer.Missing || answer.Unchanged) throw store.Unreachable($"{path} is gone");
            }
            int count = Math.Min(buffer.Length, left.Length);
            left[..count].CopyTo(buffer);
            left = left[count..];
            return count;
        }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("read it asynchronously: the caller is waited for");

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        private async Task<V1.PushContent> NextAsync(CancellationToken cancellationToken)
        {
            for (; asked.Count < ahead && next < end; ifNoneMatch = null)
            {
                int length = (int)Math.Min(LargestAnswer, end - next);
                asked.Enqueue(store.Ask(path, next, length, ifNoneMatch));
                next += length;
            }
            V1.PushContent answer = await store.AnswerAsync(asked.Peek(), cancellationToken);
            asked.Dequeue();
            if (answer.Error.Length > 0) throw store.Unreachable($"{path} cannot be had: {PlainText.Of(answer.Error, LongestError)}");
            left = answer.Data.Memory;
            ended = answer.Last || (next >= end && asked.Count == 0);
            ahead = Ahead;   // it is longer than one answer
            return answer;
        }
    }
}

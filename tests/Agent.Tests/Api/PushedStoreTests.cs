using System.Threading.Channels;
using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Daemon.Api;
using Agent.Tests.Artifacts.Publishing;
using Agent.Tests.Fakes;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Grpc.Core;

namespace Agent.Tests.Api;

public class PushedStoreTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public void Gives_an_object_whole_in_whatever_order_its_parts_are_answered() => Prop.ForAll(
        Gen.Choose(0, 1_500_000).ToArbitrary(), ArbMap.Default.ArbFor<int>(), (size, seed) => ReadsWholeAsync(size, seed).GetAwaiter().GetResult()).Check(Config.QuickThrowOnFailure.WithMaxTest(40));

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(PushedStore.LargestAnswer - 1)]
    [InlineData(PushedStore.LargestAnswer)]
    [InlineData(PushedStore.LargestAnswer + 1)]
    [InlineData(4 * PushedStore.LargestAnswer)]
    public Task Gives_an_object_whole_where_its_parts_are_just_as_long_as_an_answer(int size) => ReadsWholeAsync(size, size);

    [Fact]
    public async Task Asks_for_no_more_than_the_range_that_is_wanted()
    {
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        Task<StoreObject> opening = store.OpenRangeAsync("blobs/sha256/x", 1000, PushedStore.LargestAnswer + 5, Cancel);
        V1.PushWant first = await caller.WantAsync(), second = await caller.WantAsync();
        Assert.Equal((1000, PushedStore.LargestAnswer), (first.Offset, first.Length));
        Assert.Equal((1000 + PushedStore.LargestAnswer, 5), (second.Offset, second.Length));
        caller.Answer(second, new byte[5]);
        caller.Answer(first, new byte[PushedStore.LargestAnswer]);
        await using StoreObject opened = await opening;
        using var whole = new MemoryStream();
        await opened.Content.CopyToAsync(whole, Cancel);
        Assert.Equal(PushedStore.LargestAnswer + 5, whole.Length);
        Assert.False(caller.IsAsked);
        Assert.Equal(whole.Length, store.Received);
    }

    [Fact]
    public async Task Says_what_the_caller_does_not_have_and_what_is_still_the_same()
    {
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        Task<StoreObject?> missing = store.OpenAsync("metadata/2.root.json", 0, null, Cancel), same = store.OpenAsync("metadata/timestamp.json", 0, "\"tag\"", Cancel);
        V1.PushWant first = await caller.WantAsync(), second = await caller.WantAsync();
        Assert.Equal("\"tag\"", second.IfNoneMatch);
        caller.Say(new V1.PushContent { Want = second.Id, Unchanged = true });
        caller.Say(new V1.PushContent { Want = first.Id, Missing = true });
        await Assert.ThrowsAsync<StoreObjectMissingException>(() => missing);
        Assert.Null(await same);
    }

    [Theory]
    [InlineData("another want", "answers 99, which it was not asked")]
    [InlineData("too much", "sends 11 bytes where 10 were asked for")]
    [InlineData("too little", "sends less than was asked for")]
    [InlineData("another part", "sends another part than was asked for")]
    [InlineData("not asked whether it changed", "leaves out what was asked for")]
    [InlineData("missing, with content", "sends 1 bytes where 0 were asked for")]
    [InlineData("endless tag", "has a tag that is too long")]
    [InlineData("twice", "answers 1, which it was not asked")]
    [InlineData("start", "says something else than what it was asked")]
    [InlineData("nothing", "says something else than what it was asked")]
    public async Task A_caller_that_goes_astray_is_refused(string how, string told)
    {
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        Task<StoreObject> opening = store.OpenRangeAsync("blobs/sha256/x", 0, 10, Cancel);
        V1.PushWant want = await caller.WantAsync();
        var answer = new V1.PushContent { Want = want.Id, Data = ByteString.CopyFrom(new byte[10]) };
        switch (how)
        {
            case "another want": answer.Want = 99; break;
            case "too much": answer.Data = ByteString.CopyFrom(new byte[11]); break;
            case "too little": answer.Data = ByteString.CopyFrom(new byte[9]); break;
            case "another part": answer.Offset = 1; break;
            case "not asked whether it changed": answer = new V1.PushContent { Want = want.Id, Unchanged = true }; break;
            case "missing, with content": answer = new V1.PushContent { Want = want.Id, Missing = true, Data = ByteString.CopyFrom(1) }; break;
            case "endless tag": answer.Etag = new string('x', 257); break;
            case "twice": caller.Say(answer.Clone()); break;
        }
        caller.Say(how switch
        {
            "start" => new V1.PushRequest { Start = new V1.PushStart() },
            "nothing" => new V1.PushRequest(),
            _ => new V1.PushRequest { Content = answer },
        });
        // What came before it went astray may still be read.
        var refused = await Assert.ThrowsAsync<OperatorException>(async () =>
        {
            await using StoreObject opened = await opening;
            await store.OpenRangeAsync("blobs/sha256/y", 0, 10, Cancel);
        });
        Assert.Equal((ExitCode.Refused, $"the push of ann {told}"), (refused.Code, refused.Message));
    }

    [Fact]
    public async Task What_fails_at_the_caller_is_told_in_plain_text()
    {
        await using var caller = new Caller();
        Task<StoreObject?> opening = caller.Store().OpenAsync("metadata/timestamp.json", 0, null, Cancel);
        caller.Say(new V1.PushContent { Want = (await caller.WantAsync()).Id, Error = "no\nroute\e[2J" });
        var told = await Assert.ThrowsAsync<OperatorException>(() => opening);
        Assert.Equal((ExitCode.Unreachable, "the push of ann broke off: metadata/timestamp.json cannot be had: no?route?[2J"), (told.Code, told.Message));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_caller_that_leaves_is_unreachable_for_all_that_is_open(bool abruptly)
    {
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        Task<StoreObject> one = store.OpenRangeAsync("blobs/sha256/x", 0, 10, Cancel), two = store.OpenRangeAsync("blobs/sha256/y", 0, 10, Cancel);
        caller.Leave(abruptly ? new IOException("reset") : null);
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => one)).Code);
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => two)).Code);
        Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => store.OpenRangeAsync("blobs/sha256/z", 0, 10, Cancel))).Code);
    }

    [Fact]
    public async Task A_caller_that_does_not_answer_is_not_waited_for()
    {
        var time = new ManualTime();
        await using var caller = new Caller();
        Task<StoreObject> opening = caller.Store(time).OpenRangeAsync("blobs/sha256/x", 0, 10, Cancel);
        await caller.WantAsync();
        time.Advance(PacedStream.Stall);
        Assert.Contains("within 20 s", (await Assert.ThrowsAsync<OperatorException>(() => opening)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_so_much_is_asked_of_a_caller_that_does_not_answer()
    {
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        Task<StoreObject>[] open = [.. Enumerable.Range(0, 70).Select(n => store.OpenRangeAsync($"blobs/sha256/{n}", 0, 10, Cancel))];
        foreach (Task<StoreObject> one in open) Assert.Equal(ExitCode.Unreachable, (await Assert.ThrowsAsync<OperatorException>(() => one)).Code);
    }

    [Theory]
    [InlineData("../secret")]
    [InlineData("metadata//x")]
    [InlineData("a\nb")]
    public async Task Asks_for_no_path_that_a_store_has_not(string path)
    {
        await using var caller = new Caller();
        await Assert.ThrowsAsync<OperatorException>(() => caller.Store().OpenAsync(path, 0, null, Cancel));
        Assert.False(caller.IsAsked);
    }

    private static async Task ReadsWholeAsync(int size, int seed)
    {
        byte[] content = PublishedStore.Noise(size, seed);
        await using var caller = new Caller();
        PushedStore store = caller.Store();
        using var done = new CancellationTokenSource();
        Task answering = caller.AnswerAllAsync(content, new Random(seed), done.Token);
        await using (StoreObject opened = (await store.OpenAsync("metadata/timestamp.json", 0, null, CancellationToken.None))!)
        {
            using var whole = new MemoryStream();
            await opened.Content.CopyToAsync(whole);
            Assert.True(content.AsSpan().SequenceEqual(whole.ToArray()), $"{size} bytes");
        }
        int from = size / 3;
        if (size > from)
        {
            await using StoreObject part = await store.OpenRangeAsync("blobs/sha256/x", from, size - from, CancellationToken.None);
            using var rest = new MemoryStream();
            await part.Content.CopyToAsync(rest);
            Assert.True(content.AsSpan(from).SequenceEqual(rest.ToArray()), $"{size} bytes from {from}");
        }
        done.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
    }

    /// <summary>The other end of a push.</summary>
    private sealed class Caller : IAsyncStreamReader<V1.PushRequest>, IServerStreamWriter<V1.PushReply>, IAsyncDisposable
    {
        private readonly Channel<V1.PushRequest> said = Channel.CreateUnbounded<V1.PushRequest>();
        private readonly Channel<V1.PushReply> heard = Channel.CreateUnbounded<V1.PushReply>();
        private PushedStore? store;

        public V1.PushRequest Current { get; private set; } = null!;

        public WriteOptions? WriteOptions { get; set; }

        public bool IsAsked => heard.Reader.TryPeek(out _);

        public PushedStore Store(TimeProvider? time = null) => store = new PushedStore("the push of ann", this, this, time ?? TimeProvider.System, CancellationToken.None);

        public async Task<bool> MoveNext(CancellationToken cancellationToken)
        {
            if (!await said.Reader.WaitToReadAsync(cancellationToken)) return false;
            Current = await said.Reader.ReadAsync(cancellationToken);
            return true;
        }

        public Task WriteAsync(V1.PushReply message) => heard.Writer.WriteAsync(message).AsTask();

        public Task WriteAsync(V1.PushReply message, CancellationToken cancellationToken) => heard.Writer.WriteAsync(message, cancellationToken).AsTask();

        public async Task<V1.PushWant> WantAsync() => (await heard.Reader.ReadAsync(Cancel)).Want;

        public void Say(V1.PushRequest request) => Assert.True(said.Writer.TryWrite(request));

        public void Say(V1.PushContent content) => Say(new V1.PushRequest { Content = content });

        public void Answer(V1.PushWant want, byte[] data) => Say(new V1.PushContent { Want = want.Id, Offset = want.Offset, Data = ByteString.CopyFrom(data) });

        public void Leave(Exception? e) => said.Writer.Complete(e);

        /// <summary>Answers one of those that wait, whichever.</summary>
        public async Task AnswerAllAsync(byte[] content, Random random, CancellationToken cancellationToken)
        {
            var waiting = new List<V1.PushWant>();
            while (true)
            {
                if (waiting.Count == 0) waiting.Add((await heard.Reader.ReadAsync(cancellationToken)).Want);
                while (heard.Reader.TryRead(out V1.PushReply? reply)) waiting.Add(reply.Want);
                V1.PushWant want = waiting[random.Next(waiting.Count)];
                waiting.Remove(want);
                int length = (int)Math.Clamp(content.Length - want.Offset, 0, want.Length);
                said.Writer.TryWrite(new V1.PushRequest
                {
                    Content = new V1.PushContent
                    {
                        Want = want.Id,
                        Offset = want.Offset,
                        Data = length == 0 ? ByteString.Empty : ByteString.CopyFrom(content, (int)want.Offset, length),
                        Last = want.Offset + want.Length >= content.Length,
                    },
                });
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (store is not null) await store.DisposeAsync();
        }
    }
}

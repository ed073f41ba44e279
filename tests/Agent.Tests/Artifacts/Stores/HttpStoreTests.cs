using System.Net;
using System.Net.Sockets;
using System.Text;
using Agent.Artifacts;
using Agent.Artifacts.Stores;
using Agent.Tests.Fakes;
using Microsoft.AspNetCore.Http;

namespace Agent.Tests.Artifacts.Stores;

public sealed class HttpStoreTests : IAsyncLifetime
{
    private readonly Scratch scratch = new();
    private StaticServer server = null!;
    private HttpStore store = null!;

    public async ValueTask InitializeAsync()
    {
        server = await StaticServer.StartAsync(scratch.Root);
        store = new HttpStore(server.Url, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        store.Dispose();
        await server.DisposeAsync();
        scratch.Dispose();
    }

    private static async Task<string> TextAsync(StoreObject? opened)
    {
        await using (opened)
        {
            using var memory = new MemoryStream();
            await opened!.Content.CopyToAsync(memory);
            return Encoding.UTF8.GetString(memory.ToArray());
        }
    }

    private Task<StoreObject?> OpenAsync(string path, long offset = 0, string? ifNoneMatch = null) => store.OpenAsync(path, offset, ifNoneMatch, CancellationToken.None);

    private static async Task<OperatorException> FailureAsync(Func<Task> action)
    {
        var failure = await Assert.ThrowsAsync<OperatorException>(action);
        Assert.Equal(ExitCode.Unreachable, failure.Code);
        return failure;
    }

    [Fact]
    public async Task Reads_objects_and_parts_of_them()
    {
        scratch.Write("a/b c+é.json", "0123456789");
        Assert.Equal("0123456789", await TextAsync(await OpenAsync("a/b c+é.json")));
        StoreObject? tail = await OpenAsync("a/b c+é.json", 4);
        Assert.Equal(4, tail!.Offset);
        Assert.Equal("456789", await TextAsync(tail));
        Assert.Equal("345", await TextAsync(await store.OpenRangeAsync("a/b c+é.json", 3, 3, CancellationToken.None)));
    }

    [Fact]
    public async Task Tells_that_nothing_changed()
    {
        scratch.Write("timestamp.json", "one");
        StoreObject first = (await OpenAsync("timestamp.json"))!;
        await TextAsync(first);
        Assert.Null(await OpenAsync("timestamp.json", 0, first.ETag));
        scratch.Write("timestamp.json", "two");
        Assert.Equal("two", await TextAsync(await OpenAsync("timestamp.json", 0, first.ETag)));
    }

    [Fact]
    public async Task Begins_anew_where_the_object_changed_between_two_parts()
    {
        scratch.Write("pack", "0123456789");
        await TextAsync(await OpenAsync("pack"));
        scratch.Write("pack", "abcdefghij");
        StoreObject tail = (await OpenAsync("pack", 4))!;
        Assert.Equal(0, tail.Offset);
        Assert.Equal("abcdefghij", await TextAsync(tail));
    }

    [Fact]
    public async Task Gives_the_whole_object_where_the_server_has_no_ranges()
    {
        server.NoRanges = true;
        scratch.Write("pack", "0123456789");
        StoreObject opened = (await OpenAsync("pack", 4))!;
        Assert.Equal(0, opened.Offset);
        Assert.Equal("0123456789", await TextAsync(opened));
    }

    [Fact]
    public async Task Says_what_is_missing() => await Assert.ThrowsAsync<StoreObjectMissingException>(() => OpenAsync("metadata/2.root.json"));

    [Fact]
    public async Task Tries_three_times_and_no_more()
    {
        scratch.Write("a", "x");
        server.Failures = 2;
        Assert.Equal("x", await TextAsync(await OpenAsync("a")));
        server.Failures = 3;
        Assert.Contains("answers 500", (await FailureAsync(() => OpenAsync("a"))).Message);
        Assert.Equal(6, server.Requests.Count);
    }

    [Fact]
    public async Task Follows_no_redirect_and_tells_of_odd_answers()
    {
        server.Instead = context =>
        {
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = "http://169.254.169.254/";
            return Task.FromResult(true);
        };
        Assert.Contains("302", (await FailureAsync(() => OpenAsync("a"))).Message);
        server.Instead = context =>
        {
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = "bytes 7-8/9";
            return Task.FromResult(true);
        };
        Assert.Contains("206", (await FailureAsync(() => OpenAsync("a", 4))).Message);
        Assert.Equal(2, server.Requests.Count);
    }

    [Fact]
    public async Task Bounds_the_headers()
    {
        server.Instead = context =>
        {
            for (int i = 0; i < 20; i++) context.Response.Headers[$"x-{i}"] = new string('x', 4000);
            return Task.FromResult(true);
        };
        await FailureAsync(() => OpenAsync("a"));
    }

    [Fact]
    public async Task Says_when_a_body_is_cut()
    {
        scratch.Write("a", new string('x', 1000));
        server.CutAfter = 300;
        Assert.Contains("was cut after", (await FailureAsync(async () => await TextAsync(await OpenAsync("a")))).Message);
    }

    [Fact]
    public async Task Says_when_nobody_listens()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var url = new Uri($"http://{listener.LocalEndpoint}/store");
        listener.Stop();
        using var gone = new HttpStore(url, TimeProvider.System);
        Assert.Contains("cannot be reached", (await FailureAsync(() => gone.OpenAsync("a", 0, null, CancellationToken.None))).Message);
    }

    [Fact]
    public async Task A_body_that_stops_coming_fails_after_20_seconds()
    {
        using var stop = new CancellationTokenSource();
        server.Instead = async context =>
        {
            await context.Response.WriteAsync("some");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, stop.Token).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
        var time = new ManualTime();
        using var paced = new HttpStore(server.Url, time);
        await using StoreObject opened = (await paced.OpenAsync("a", 0, null, CancellationToken.None))!;
        byte[] buffer = new byte[10];
        Assert.Equal(4, await opened.Content.ReadAsync(buffer));
        ValueTask<int> next = opened.Content.ReadAsync(buffer);
        time.Advance(TimeSpan.FromSeconds(19));
        Assert.False(next.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Contains("stalled", (await FailureAsync(async () => await next)).Message);
        await stop.CancelAsync();
    }

    [Fact]
    public async Task A_body_that_only_trickles_fails()
    {
        var time = new ManualTime();
        await using var paced = new PacedStream(new MemoryStream(new byte[1000]), new MemoryStream(), "a", time);
        byte[] one = new byte[1];
        var failure = await FailureAsync(async () =>
        {
            for (int second = 0; second < 300; second++)
            {
                time.Advance(TimeSpan.FromSeconds(1));
                Assert.Equal(1, await paced.ReadAsync(one));
            }
        });
        Assert.Contains("too slowly", failure.Message);
    }

    [Fact]
    public async Task Sends_credentials_and_shows_none()
    {
        string? seen = null;
        server.Instead = context =>
        {
            seen = context.Request.Headers.Authorization;
            return Task.FromResult(false);
        };
        scratch.Write("store/a", "x");
        using var secret = new HttpStore(new Uri($"http://me:s%40cret@{server.Url.Authority}/store/"), TimeProvider.System);
        Assert.Equal("x", await TextAsync(await secret.OpenAsync("a", 0, null, CancellationToken.None)));
        Assert.Equal("Basic " + Convert.ToBase64String("me:s@cret"u8), seen);
        Assert.DoesNotContain("cret", secret.Description);
    }

    [Theory]
    [InlineData("../a")]
    [InlineData("a/../../b")]
    [InlineData("/a")]
    [InlineData("a//b")]
    [InlineData("a\r\nb")]
    public async Task Refuses_a_path_out_of_the_store(string path) =>
        Assert.Equal(ExitCode.Refused, (await Assert.ThrowsAsync<OperatorException>(() => OpenAsync(path))).Code);
}

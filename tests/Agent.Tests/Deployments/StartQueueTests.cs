using Agent.Artifacts;
using Agent.Daemon.Deployments;
using Agent.Tests.Fakes;

namespace Agent.Tests.Deployments;

public class StartQueueTests
{
    private readonly StartQueue queue = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_at_a_time_and_those_who_wait_in_the_order_in_which_they_came()
    {
        IDisposable first = queue.TryTake(World.Shop, "ann")!;
        Assert.Equal("ann", queue.First(World.Shop));
        Assert.Null(queue.TryTake(World.Shop, "bob"));
        Task<IDisposable?> second = WaitAsync("bob", Cancel), third = WaitAsync("cid", Cancel);
        Assert.False(second.IsCompleted);
        first.Dispose();
        IDisposable turn = (await second)!;
        Assert.Equal("bob", queue.First(World.Shop));
        Assert.False(third.IsCompleted);
        first.Dispose();   // again: that turn is over
        Assert.Equal("bob", queue.First(World.Shop));
        turn.Dispose();
        (await third)!.Dispose();
        Assert.Null(queue.First(World.Shop));
        using IDisposable? free = queue.TryTake(World.Shop, "dan");
        Assert.NotNull(free);
    }

    [Fact]
    public async Task Who_does_not_want_to_wait_any_more_leaves_the_line()
    {
        IDisposable first = queue.TryTake(World.Shop, "ann")!;
        using var leaving = new CancellationTokenSource();
        Task<IDisposable?> second = WaitAsync("bob", leaving.Token), third = WaitAsync("cid", Cancel);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        first.Dispose();
        (await third)!.Dispose();
        Assert.Null(queue.First(World.Shop));
    }

    [Fact]
    public async Task Only_the_same_request_waits_unasked()
    {
        IDisposable first = (await queue.TakeAsync(World.Shop, "ann", "r-1", wait: false, Cancel))!;
        Assert.Null(await queue.TakeAsync(World.Shop, "bob", "r-2", wait: false, Cancel));
        Assert.Null(await queue.TakeAsync(World.Shop, "bob", null, wait: false, Cancel));
        Task<IDisposable?> again = queue.TakeAsync(World.Shop, "ann", "r-1", wait: false, Cancel);
        Assert.False(again.IsCompleted);
        first.Dispose();
        (await again)!.Dispose();
    }

    [Fact]
    public void Apps_do_not_wait_for_each_other()
    {
        using IDisposable? shop = queue.TryTake(World.Shop, "ann"), blog = queue.TryTake(new AppName("blog"), "bob");
        Assert.NotNull(blog);
        Assert.Equal("bob", queue.First(new AppName("blog")));
    }

    private Task<IDisposable?> WaitAsync(string by, CancellationToken cancellationToken) => queue.TakeAsync(World.Shop, by, null, wait: true, cancellationToken);
}

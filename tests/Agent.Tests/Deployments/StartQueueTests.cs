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
        Task<IDisposable> second = queue.WaitAsync(World.Shop, "bob", Cancel), third = queue.WaitAsync(World.Shop, "cid", Cancel);
        Assert.False(second.IsCompleted);
        first.Dispose();
        IDisposable turn = await second;
        Assert.Equal("bob", queue.First(World.Shop));
        Assert.False(third.IsCompleted);
        first.Dispose();   // again: that turn is over
        Assert.Equal("bob", queue.First(World.Shop));
        turn.Dispose();
        (await third).Dispose();
        Assert.Null(queue.First(World.Shop));
        using IDisposable? free = queue.TryTake(World.Shop, "dan");
        Assert.NotNull(free);
    }

    [Fact]
    public async Task Who_does_not_want_to_wait_any_more_leaves_the_line()
    {
        IDisposable first = queue.TryTake(World.Shop, "ann")!;
        using var leaving = new CancellationTokenSource();
        Task<IDisposable> second = queue.WaitAsync(World.Shop, "bob", leaving.Token), third = queue.WaitAsync(World.Shop, "cid", Cancel);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        first.Dispose();
        (await third).Dispose();
        Assert.Null(queue.First(World.Shop));
    }

    [Fact]
    public void Apps_do_not_wait_for_each_other()
    {
        using IDisposable? shop = queue.TryTake(World.Shop, "ann"), blog = queue.TryTake(new AppName("blog"), "bob");
        Assert.NotNull(blog);
        Assert.Equal("bob", queue.First(new AppName("blog")));
    }
}

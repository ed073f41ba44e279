namespace Agent.Tests.Protos;

/// <summary>Waits for what another thread or process is about to do.</summary>
internal static class Eventually
{
    public static async Task HoldsAsync(Func<bool> condition)
    {
        for (var tries = 0; !condition(); tries++)
        {
            Assert.True(tries < 2000, "did not come true within 20 s");
            await Task.Delay(10);
        }
    }

    public static async Task HoldsAsync(Func<Task<bool>> condition)
    {
        for (var tries = 0; !await condition(); tries++)
        {
            Assert.True(tries < 2000, "did not come true within 20 s");
            await Task.Delay(10);
        }
    }

    /// <summary>Waits until a number has not moved for 300 ms.</summary>
    public static async Task<long> StopsAsync(Func<long> number)
    {
        var (last, since) = (number(), 0);
        for (var tries = 0; since < 30; tries++)
        {
            Assert.True(tries < 2000, "still moving after 20 s");
            await Task.Delay(10);
            (last, since) = number() is var now && now == last ? (now, since + 1) : (now, 0);
        }
        return last;
    }
}

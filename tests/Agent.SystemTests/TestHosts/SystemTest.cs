using Agent.TestHosts;

namespace Agent.SystemTests.TestHosts;

/// <summary>A test against real systemd. It is skipped, and says why, where throwaway hosts cannot run.</summary>
public abstract class SystemTest
{
    private protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>A host for this test alone; dispose of it.</summary>
    private protected static Task<TestHost> UpAsync(string name) => UpAsync(name, TestHostOptions.Default);

    /// <inheritdoc cref="UpAsync(string)"/>
    private protected static Task<TestHost> UpAsync(string name, TestHostOptions options)
    {
        SkipWhereNoHostsRun();
        return TestHost.UpAsync(name, options, Cancel);
    }

    private protected static void SkipWhereNoHostsRun()
    {
        if (Machine.Lacks() is [_, ..] lacks) Assert.Skip("no throwaway hosts here: " + string.Join("; ", lacks));
    }

    /// <summary>Waits until <paramref name="reached"/> answers true, 10 s at most, looking every 50 ms.</summary>
    private protected static async Task WaitUntilAsync(string what, Func<Task<bool>> reached)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!await reached())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromSeconds(10), $"not within 10 s: {what}");
            await Task.Delay(TimeSpan.FromMilliseconds(50), Cancel);
        }
    }
}

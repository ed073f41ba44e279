using Agent.TestHosts;

namespace Agent.SystemTests.TestHosts;

/// <summary>One host for all tests of a class (<c>IClassFixture</c>), booted for the first that asks for it.</summary>
public sealed class HostFixture : IAsyncLifetime
{
    private static int s_count;
    private TestHost? _host;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>The host; skips the test where none can run.</summary>
    internal async Task<TestHost> HostAsync()
    {
        if (_host is not null) return _host;
        if (Machine.Lacks() is [_, ..] lacks) Assert.Skip("no throwaway hosts here: " + string.Join("; ", lacks));
        return _host = await TestHost.UpAsync($"shared-{Interlocked.Increment(ref s_count)}", TestHostOptions.Default, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is not null) await _host.DisposeAsync();
    }
}

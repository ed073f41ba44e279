using Agent.Daemon.Api;

namespace Agent.Tests.Api;

/// <summary>Callers leave the agent what it needs itself.</summary>
public sealed class AgentSocketTests
{
    [Theory]
    [InlineData(524_288, 1000)]
    [InlineData(1024, 256)]
    [InlineData(256, 64)]
    [InlineData(3, 1)]
    [InlineData(ulong.MaxValue, 1000)]   // RLIM_INFINITY
    public void Connections_take_a_quarter_of_the_descriptors_at_most(ulong descriptors, long connections) =>
        Assert.Equal(connections, AgentSocket.MostConnections(descriptors));

    [Fact]
    public void The_limit_of_descriptors_is_the_process_s_own()
    {
        string line = File.ReadLines("/proc/self/limits").Single(l => l.StartsWith("Max open files", StringComparison.Ordinal));
        string soft = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];
        Assert.Equal(soft == "unlimited" ? ulong.MaxValue : ulong.Parse(soft), AgentSocket.Descriptors());
    }
}

using System.Net;
using System.Net.Sockets;
using Agent.Daemon.Api;

namespace Agent.Tests.Api;

/// <summary>Callers leave the agent what it needs itself.</summary>
public sealed class ApiLimitsTests
{
    [Theory]
    [InlineData(524_288, 1000)]
    [InlineData(1024, 256)]
    [InlineData(256, 64)]
    [InlineData(3, 1)]
    [InlineData(ulong.MaxValue, 1000)]   // RLIM_INFINITY
    public void Connections_take_a_quarter_of_the_descriptors_at_most(ulong descriptors, long connections) =>
        Assert.Equal(connections, ApiLimits.Connections(new UnixDomainSocketEndPoint("/a"), descriptors).Most);

    [Theory]
    [InlineData(524_288, 500, 125)]
    [InlineData(512, 64, 16)]
    [InlineData(8, 1, 1)]
    public void The_network_takes_an_eighth_at_most_and_one_address_a_quarter_of_that(ulong descriptors, int most, int ofAddress) =>
        Assert.Equal(new ConnectionLimit(most, ofAddress), ApiLimits.Connections(new IPEndPoint(IPAddress.Any, 7443), descriptors));

    [Fact]
    public void The_limit_of_descriptors_is_the_process_s_own()
    {
        string line = File.ReadLines("/proc/self/limits").Single(l => l.StartsWith("Max open files", StringComparison.Ordinal));
        string soft = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];
        Assert.Equal(soft == "unlimited" ? ulong.MaxValue : ulong.Parse(soft), ApiLimits.Descriptors());
    }
}

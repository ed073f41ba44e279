using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Agent.Daemon.Api;
using Agent.Tests.Protos;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace Agent.Tests.Api;

/// <summary>Real sockets, and more of them than there is room for.</summary>
public sealed class BoundedListenerTests
{
    private const int Most = 20;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Three_times_as_many_as_there_is_room_for_all_get_their_turn_and_never_more_at_once()
    {
        await using Server server = await Server.StartAsync(new ConnectionLimit(Most, null));
        Socket[] callers = [.. await Task.WhenAll(Enumerable.Range(0, 3 * Most).Select(_ => server.ConnectAsync()))];
        await Eventually.HoldsAsync(() => server.Open == Most);
        await Eventually.StopsAsync(() => server.Accepted);
        Assert.Equal(Most, server.Accepted);
        foreach (Socket caller in callers) caller.Dispose();
        await Eventually.HoldsAsync(() => server is { Accepted: 3 * Most, Open: 0 });
        Assert.Equal(Most, server.Highest);
    }

    [Fact]
    public async Task One_address_has_its_share_and_the_others_have_room()
    {
        await using Server server = await Server.StartAsync(new ConnectionLimit(Most, 5));
        Socket[] greedy = [.. await Task.WhenAll(Enumerable.Range(0, 3 * Most).Select(_ => server.ConnectAsync("127.0.0.2")))];
        await Eventually.HoldsAsync(() => server.TurnedAway == (3 * Most) - 5);
        using Socket other = await server.ConnectAsync("127.0.0.3");
        await Eventually.HoldsAsync(() => server.Open == 6);
        foreach (Socket caller in greedy) caller.Dispose();
        await Eventually.HoldsAsync(() => server.Open == 1);
        using Socket again = await server.ConnectAsync("127.0.0.2");
        await Eventually.HoldsAsync(() => server.Open == 2);
    }

    [Fact]
    public async Task It_ends_while_it_waits_for_room()
    {
        Server server = await Server.StartAsync(new ConnectionLimit(1, null));
        using Socket one = await server.ConnectAsync();
        using Socket waiting = await server.ConnectAsync();
        await Eventually.HoldsAsync(() => server.Open == 1);
        await server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancel);
    }

    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7", true)]
    [InlineData("192.0.2.7", "192.0.2.8", false)]
    [InlineData("192.0.2.7", "::ffff:192.0.2.7", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:3::1", false)]
    public void A_share_is_of_an_IPv4_address_or_of_what_one_host_has_of_IPv6(string one, string other, bool same) =>
        Assert.Equal(same, ShareOf(one) == ShareOf(other));

    private static UInt128? ShareOf(string address) => BoundedListener.ShareOf(new IPEndPoint(IPAddress.Parse(address), 1));

    /// <summary>Accepts and keeps what comes, until the caller closes.</summary>
    private sealed class Server : IAsyncDisposable
    {
        private readonly IConnectionListener listener;
        private readonly ConcurrentDictionary<ConnectionContext, bool> open = [];
        private readonly Task accepting;
        private readonly CancellationTokenSource stop = new();
        private int accepted, highest, turnedAway;

        private Server(IConnectionListener listener)
        {
            this.listener = listener;
            accepting = Task.Run(AcceptAsync);
        }

        public int Accepted => Volatile.Read(ref accepted);

        public int Open => open.Count;

        public int Highest => highest;

        public int TurnedAway => Volatile.Read(ref turnedAway);

        public static async Task<Server> StartAsync(ConnectionLimit limit)
        {
            Server? server = null;
            var factory = new BoundedListenerFactory(
                Options.Create(new SocketTransportOptions()), NullLoggerFactory.Instance, _ => limit, _ => Interlocked.Increment(ref server!.turnedAway));
            return server = new Server(await factory.BindAsync(new IPEndPoint(IPAddress.Loopback, 0), Cancel));
        }

        public async Task<Socket> ConnectAsync(string from = "127.0.0.1")
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
            try
            {
                await socket.ConnectAsync(listener.EndPoint, Cancel);
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
            {
                // Turned away already.
            }
            return socket;
        }

        public async ValueTask DisposeAsync()
        {
            await listener.UnbindAsync();
            await accepting;
            await stop.CancelAsync();
            foreach (ConnectionContext connection in open.Keys) await connection.DisposeAsync();
            await listener.DisposeAsync();
        }

        private async Task AcceptAsync()
        {
            while (await listener.AcceptAsync() is { } connection)
            {
                open[connection] = true;
                highest = Math.Max(highest, open.Count);
                Interlocked.Increment(ref accepted);
                _ = HoldAsync(connection);
            }
        }

        private async Task HoldAsync(ConnectionContext connection)
        {
            try
            {
                while (!(await connection.Transport.Input.ReadAsync(stop.Token)).IsCompleted) { }
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                if (stop.IsCancellationRequested) return;
            }
            open.TryRemove(connection, out _);
            await connection.DisposeAsync();
        }
    }
}

using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Agent.Artifacts;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Agent.Daemon.Api;

/// <summary>How many connections a listener may have open.</summary>
/// <param name="MostOfAddress">From one IPv4 address, or one /64 of IPv6; null: no share.</param>
internal sealed record ConnectionLimit(int Most, int? MostOfAddress);

/// <summary>
/// The sockets transport, but that nobody is accepted for whom there is no room: they wait in the kernel's queue. Kestrel's own limit accepts first and
/// turns away then, and a burst of callers takes every descriptor for a moment, without which the .NET runtime ends the process.
/// </summary>
internal sealed class BoundedListenerFactory(
    IOptions<SocketTransportOptions> options, ILoggerFactory loggers, Func<EndPoint, ConnectionLimit> limitOf, Action<EndPoint?> turnedAway) : IConnectionListenerFactory
{
    private readonly SocketTransportFactory sockets = new(options, loggers);

    /// <exception cref="OperatorException">The address is taken, or is none of this host.</exception>
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        try
        {
            return new BoundedListener(await sockets.BindAsync(endpoint, cancellationToken), limitOf(endpoint), turnedAway);
        }
        catch (Exception e) when (endpoint is IPEndPoint && e is SocketException or AddressInUseException)
        {
            throw new OperatorException(ExitCode.Refused, $"agentd cannot listen at {endpoint}: {e.Message}", "see who does: ss -ltnp; or write another address under listen: in /etc/agentd/agentd.yaml", e);
        }
    }
}

/// <summary>Accepts while there is room.</summary>
/// <param name="turnedAway">Told of connections above the share of their address, which are closed at once.</param>
internal sealed class BoundedListener(IConnectionListener inner, ConnectionLimit limit, Action<EndPoint?> turnedAway) : IConnectionListener
{
    private readonly SemaphoreSlim room = new(limit.Most);
    private readonly CancellationTokenSource unbound = new();
    private readonly Lock gate = new();
    private readonly Dictionary<UInt128, int> addresses = [];

    public EndPoint EndPoint => inner.EndPoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            try
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(unbound.Token, cancellationToken);
                await room.WaitAsync(either.Token);
            }
            catch (OperationCanceledException) when (unbound.IsCancellationRequested)
            {
                return null;
            }
            ConnectionContext? accepted = null;
            try
            {
                accepted = await inner.AcceptAsync(cancellationToken);
            }
            finally
            {
                if (accepted is null) room.Release();
            }
            if (accepted is null) return null;
            UInt128? share = limit.MostOfAddress is null ? null : ShareOf(accepted.RemoteEndPoint);
            if (TryTake(share)) return new BoundedConnection(accepted, () => Release(share));
            turnedAway(accepted.RemoteEndPoint);
            _ = CloseAsync(accepted);
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        unbound.Cancel();
        return inner.UnbindAsync(cancellationToken);
    }

    public ValueTask DisposeAsync()
    {
        unbound.Cancel();
        return inner.DisposeAsync();
    }

    /// <summary>Whose share a connection counts in: an IPv4 address, or a /64 of IPv6, which is what one host is commonly given.</summary>
    public static UInt128? ShareOf(EndPoint? from)
    {
        if (from is not IPEndPoint { Address: var address }) return null;
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        address.TryWriteBytes(bytes, out int length);
        return length == 4 ? BinaryPrimitives.ReadUInt32BigEndian(bytes) : BinaryPrimitives.ReadUInt128BigEndian(bytes) >> 64 << 64;
    }

    private async Task CloseAsync(ConnectionContext connection)
    {
        try
        {
            connection.Abort(new ConnectionAbortedException("too many connections from one address"));
            await connection.DisposeAsync();
        }
        finally
        {
            room.Release();
        }
    }

    private bool TryTake(UInt128? share)
    {
        if (share is not { } address) return true;
        lock (gate)
        {
            int taken = addresses.GetValueOrDefault(address);
            if (taken >= limit.MostOfAddress) return false;
            addresses[address] = taken + 1;
            return true;
        }
    }

    private void Release(UInt128? share)
    {
        if (share is { } address)
        {
            lock (gate)
            {
                if (--addresses[address] == 0) addresses.Remove(address);
            }
        }
        room.Release();
    }

    /// <summary>Gives its place back when it is closed, which is when its descriptor is.</summary>
    private sealed class BoundedConnection(ConnectionContext inner, Action release) : ConnectionContext
    {
        private int released;

        public override string ConnectionId { get => inner.ConnectionId; set => inner.ConnectionId = value; }

        public override IFeatureCollection Features => inner.Features;

        public override IDictionary<object, object?> Items { get => inner.Items; set => inner.Items = value; }

        public override IDuplexPipe Transport { get => inner.Transport; set => inner.Transport = value; }

        public override CancellationToken ConnectionClosed { get => inner.ConnectionClosed; set => inner.ConnectionClosed = value; }

        public override EndPoint? LocalEndPoint { get => inner.LocalEndPoint; set => inner.LocalEndPoint = value; }

        public override EndPoint? RemoteEndPoint { get => inner.RemoteEndPoint; set => inner.RemoteEndPoint = value; }

        public override void Abort() => inner.Abort();

        public override void Abort(ConnectionAbortedException abortReason) => inner.Abort(abortReason);

        public override async ValueTask DisposeAsync()
        {
            try
            {
                await inner.DisposeAsync();
                await base.DisposeAsync();
            }
            finally
            {
                if (Interlocked.Exchange(ref released, 1) == 0) release();
            }
        }
    }
}

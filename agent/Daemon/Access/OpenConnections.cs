using Microsoft.AspNetCore.Connections;

namespace Agent.Daemon.Access;

/// <summary>The TLS connections that are open, by whom they belong to. Thread-safe.</summary>
internal sealed class OpenConnections
{
    /// <summary>Of one key: a program that fans out opens one for each of its processes.</summary>
    public const int MostOfKey = 64;

    private readonly Lock gate = new();
    private readonly Dictionary<ConnectionContext, TlsPeer> open = [];

    public int Total
    {
        get
        {
            lock (gate) return open.Count;
        }
    }

    /// <returns>False: this key has as many as it may.</returns>
    public bool TryAdd(ConnectionContext connection, TlsPeer peer)
    {
        lock (gate)
        {
            if (open.Values.Count(other => other.Fingerprint == peer.Fingerprint) >= MostOfKey) return false;
            open.Add(connection, peer);
            return true;
        }
    }

    public void Remove(ConnectionContext connection)
    {
        lock (gate) open.Remove(connection);
    }

    public int Count(Client client)
    {
        lock (gate) return open.Values.Count(peer => IsOf(peer, client));
    }

    /// <summary>Ends what a caller has open, with all calls and streams in it.</summary>
    /// <returns>How many there were.</returns>
    public int Abort(Client client) => Abort(peer => IsOf(peer, client), $"{client.Name} was removed");

    /// <inheritdoc cref="Abort(Client)"/>
    public int Abort(Func<TlsPeer, bool> whose, string why)
    {
        ConnectionContext[] theirs;
        lock (gate) theirs = [.. open.Where(pair => whose(pair.Value)).Select(pair => pair.Key)];
        foreach (ConnectionContext connection in theirs) connection.Abort(new ConnectionAbortedException(why));
        return theirs.Length;
    }

    // Also connections that were made with the key before the last one.
    private static bool IsOf(TlsPeer peer, Client client) => client.Has(peer.Fingerprint) || peer.Known?.Is(client) == true;
}

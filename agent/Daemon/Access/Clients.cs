using System.Text.Json;
using System.Text.RegularExpressions;
using Agent.Artifacts;
using Agent.Artifacts.Durable;
using Agent.Daemon.Api;
using Agent.Protos.Access;

namespace Agent.Daemon.Access;

/// <summary>
/// The callers that were paired, in <c>DATA/clients.json</c> (mode 600). What changes is on the disk before anybody is let in by it. A file that cannot be
/// read lets nobody in, and is never overwritten. Thread-safe.
/// </summary>
internal sealed partial class Clients
{
    public const int Most = 1000;

    // A call is not worth a write; who has not called for months is what this is for.
    private static readonly TimeSpan LastCallKept = TimeSpan.FromMinutes(10);

    private readonly Lock gate = new();
    private readonly IDisk disk;
    private readonly string path;
    private readonly TimeProvider time;
    private readonly ILogger<Clients> logger;
    private readonly string? unreadable;
    private IReadOnlyList<Client> all = [];
    private bool failing;

    /// <param name="data">The agent's directory.</param>
    public Clients(IDisk disk, string data, TimeProvider time, ILogger<Clients> logger)
    {
        (this.disk, this.time, this.logger) = (disk, time, logger);
        path = Path.Combine(data, "clients.json");
        try
        {
            if (!disk.Exists(path)) return;
            ClientList? list = JsonSerializer.Deserialize(disk.ReadAll(path), ClientJson.Default.ClientList);
            all = list is not null && list.Clients.All(IsSound) ? list.Clients : throw new JsonException("it holds what is no client");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            unreadable = e.Message;
            logger.ClientsUnreadable(path, e.Message);
        }
    }

    public IReadOnlyList<Client> All
    {
        get
        {
            lock (gate) return all;
        }
    }

    /// <summary>Letters, digits and <c>. _ -</c>, 40 at most.</summary>
    public static bool IsName(string text) => NamePattern().IsMatch(text);

    /// <returns>Null: nobody has this key.</returns>
    public Client? Find(string fingerprint)
    {
        lock (gate) return all.FirstOrDefault(client => client.Has(fingerprint));
    }

    /// <summary>Who calls. A next key that calls takes the place of the one before; connections that were made with that one go on.</summary>
    /// <param name="known">Who it was when the connection was made.</param>
    /// <returns>Null: nobody any more.</returns>
    public Client? Called(string fingerprint, Client? known)
    {
        lock (gate)
        {
            Client? client = all.FirstOrDefault(one => one.Has(fingerprint)) ?? (known is null ? null : all.FirstOrDefault(one => one.Is(known)));
            if (client is null) return null;
            DateTimeOffset now = time.GetUtcNow();
            bool changed = client.NextFingerprint == fingerprint;
            if (!changed && client.LastCall is { } last && (now - last).Duration() < LastCallKept) return client;
            Client called = (changed ? client with { Fingerprint = fingerprint, NextFingerprint = null } : client) with { LastCall = now };
            try
            {
                Write([.. all.Select(one => one == client ? called : one)]);
                if (changed) logger.KeyChanged(client.Name, Fingerprint.Abbreviate(fingerprint));
                failing = false;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Both keys stay good meanwhile.
                if (!failing) logger.ClientsNotWritten(path, e.Message);
                failing = true;
                return client;
            }
            return called;
        }
    }

    /// <exception cref="OperatorException">The name or the key is taken, or there are too many.</exception>
    public void Add(Client client)
    {
        lock (gate)
        {
            CheckFree(client.Name);
            if (all.FirstOrDefault(one => one.Has(client.Fingerprint)) is { } same)
                throw new OperatorException(ExitCode.Refused, $"this key is paired already, as {same.Name}", $"remove that first: sudo agentctl clients remove {same.Name}");
            Write([.. all, client]);
        }
    }

    /// <exception cref="OperatorException">As <see cref="Add"/>.</exception>
    public void CheckFree(string name)
    {
        lock (gate)
        {
            if (unreadable is not null)
                throw new OperatorException(ExitCode.NeedsOperator, $"{path} cannot be read: {unreadable}", "mend it, or move it away (then every caller has to be paired again), and restart agentd");
            if (all.Any(client => client.Name == name))
                throw new OperatorException(ExitCode.Refused, $"{name} is paired already", $"choose another name, or remove that one: sudo agentctl clients remove {name}");
            if (all.Count >= Most) throw new OperatorException(ExitCode.Refused, $"{Most} callers are paired already", "remove those that do not call any more: sudo agentctl clients list");
        }
    }

    /// <exception cref="OperatorException">There is none of this name.</exception>
    public Client Remove(string name)
    {
        lock (gate)
        {
            Client client = Named(name);
            Write([.. all.Where(one => one != client)]);
            return client;
        }
    }

    /// <summary>The key that a caller wants to call with from its next call on.</summary>
    /// <exception cref="OperatorException">Somebody has this key.</exception>
    public void Renew(string name, string fingerprint)
    {
        lock (gate)
        {
            Client client = Named(name);
            if (client.Has(fingerprint)) return;
            if (all.Any(one => one.Has(fingerprint))) throw new OperatorException(ExitCode.Refused, "another caller has this key", "make a new one: agentctl pair --renew");
            Write([.. all.Select(one => one == client ? client with { NextFingerprint = fingerprint } : one)]);
        }
    }

    private Client Named(string name) => all.FirstOrDefault(client => client.Name == name)
        ?? throw new OperatorException(ExitCode.Usage, $"no caller {(IsName(name) ? name : "of that name")} is paired with this agent", "see who is: agentctl clients list");

    private void Write(IReadOnlyList<Client> clients)
    {
        disk.WriteAtomic(path, JsonSerializer.SerializeToUtf8Bytes(new ClientList(clients), ClientJson.Default.ClientList), DurableOperations.Mode600);
        all = clients;
    }

    private static bool IsSound(Client client) =>
        client is not null && IsName(client.Name) && Fingerprint.IsOne(client.Fingerprint) && (client.NextFingerprint is null || Fingerprint.IsOne(client.NextFingerprint)) && Roles.Parse(client.Role) != Role.None;

    [GeneratedRegex(@"\A[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9])?\z")]
    private static partial Regex NamePattern();
}

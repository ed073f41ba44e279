using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Agent.Artifacts;
using Agent.Daemon.Health;
using Npgsql;

namespace Agent.Daemon.Migrations;

/// <summary>
/// A connection to an app's database, and the lock that its hosts migrate under: one and the same, so that whoever loses the connection
/// has lost the lock, and nothing that comes after can meet somebody else at work.
/// </summary>
internal sealed class Session : IAsyncDisposable
{
    /// <summary>"agnt": the first key of the advisory lock; the second is made of the app's name.</summary>
    private const int LockClass = 0x61676e74;

    private readonly int key;
    private readonly int backend;

    private Session(AppDatabase database, NpgsqlConnection connection, int backend)
    {
        Database = database;
        Connection = connection;
        Ledger = new Ledger(connection);
        Hosts = new HostTable(Ledger);
        this.backend = backend;
        key = BinaryPrimitives.ReadInt32BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(database.App.Value)));
    }

    public AppDatabase Database { get; }

    public NpgsqlConnection Connection { get; }

    public Ledger Ledger { get; }

    public HostTable Hosts { get; }

    /// <summary>Whether this one holds the lock, as far as it knows.</summary>
    public bool Locked { get; private set; }

    /// <param name="name">Shown to others as the session's application_name: <c>agentd web-1 shop-12</c>.</param>
    /// <exception cref="OperatorException">It cannot be reached, or a pooler in between gives each transaction another session.</exception>
    public static async Task<Session> OpenAsync(AppDatabase database, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await Connections.OpenAsync(database.Address, name, cancellationToken);
        try
        {
            int backend = await BackendAsync(connection, cancellationToken);
            // A pooler makes up the number that it gives its clients; without one there is nothing to find out.
            if (backend != connection.ProcessID) await RefuseSharedAsync(database, connection, backend, name, time, cancellationToken);
            return new Session(database, connection, backend);
        }
        catch (Exception e) when (SqlFault.IsOf(connection, e))
        {
            await connection.DisposeAsync();
            throw SqlFault.Explain(e, database.Address.Shown, null);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes the lock where it is free.</summary>
    public async Task<bool> TryLockAsync(CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = Ledger.Command("SELECT pg_catalog.pg_try_advisory_lock($1, $2)", LockClass, key);
        return Locked = (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Lets the session live however long nothing is asked in it: while a restore point is taken, or a command runs.</summary>
    public Task StayAsync(CancellationToken cancellationToken) => Ledger.RunAsync(   // there since PostgreSQL 14
        "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout'", cancellationToken);

    /// <summary>Ends a session of this host that was lost on the way, where the server still has it.</summary>
    public Task EndAsync(Session lost, CancellationToken cancellationToken) => Ledger.RunAsync(
        """
        SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE pid = $1 AND pid <> pg_catalog.pg_backend_pid() AND application_name = pg_catalog.current_setting('application_name')
        """, cancellationToken, lost.backend);

    /// <summary>Who has the lock, for people: <c>agentd web-1 shop-12, for 12 s</c>; null: nobody any more.</summary>
    /// <returns>And its process on the server.</returns>
    public async Task<(string Who, int Pid)?> HolderAsync(CancellationToken cancellationToken)
    {
        // The numbers of an advisory lock are unsigned there.
        await using NpgsqlCommand command = Ledger.Command(
            """
            SELECT l.pid, pg_catalog.left(a.application_name, 63), EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - a.backend_start)::int
            FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = $1::bigint AND l.objid::bigint = ($2::bigint & 4294967295) AND l.objsubid = 2
                AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
            """, LockClass, key);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken)) return null;
        int pid = reader.GetInt32(0);
        string who = reader.IsDBNull(1) || reader.GetString(1).Length == 0 ? $"process {pid} of the server" : Spoken.Line(reader.GetString(1), 63);
        return (reader.IsDBNull(2) ? who : $"{who}, connected for {Spoken.Duration(TimeSpan.FromSeconds(reader.GetInt32(2)))}", pid);
    }

    /// <summary>
    /// In a file's transaction, or before a statement by itself: the session is still the one that has the lock, and everything that the
    /// file before has set is gone.
    /// </summary>
    /// <exception cref="OperatorException">It is not (<see cref="ExitCode.Refused"/>).</exception>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = Ledger.Command(
            """
            SELECT pg_catalog.pg_backend_pid(), EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_catalog.pg_backend_pid()
                AND classid::bigint = $1::bigint AND objid::bigint = ($2::bigint & 4294967295) AND objsubid = 2)
            """, LockClass, key);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        if (reader.GetInt32(0) != backend) throw Shared(Database);
        if (!reader.GetBoolean(1))
        {
            Locked = false;
            throw new OperatorException(ExitCode.Refused, "a migration has let go of the lock under which the hosts of the app migrate", "take pg_advisory_unlock_all() and DISCARD ALL out of it, and publish under a new version");
        }
    }

    public ValueTask DisposeAsync() => Connection.DisposeAsync();

    private static async Task<int> BackendAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_catalog.pg_backend_pid()", connection);
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>
    /// A pooler that gives each transaction any session that is free gives a second client ours while we have no transaction: so a second one opens a
    /// transaction, and both look where they are. A pooler with one single session lets the first wait for the second.
    /// </summary>
    private static async Task RefuseSharedAsync(AppDatabase database, NpgsqlConnection connection, int backend, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        await using NpgsqlConnection second = await Connections.OpenAsync(database.Address, name, cancellationToken);
        if (await BeginAsync(database, second, cancellationToken) == backend) throw Shared(database);
        using var timer = new CancellationTokenSource(TimeSpan.FromSeconds(3), time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            if (await BackendAsync(connection, limit.Token) != backend) throw Shared(database);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Shared(database);
        }
    }

    // PgBouncer's pool_mode = statement takes no transactions at all: it says so and hangs up, and either may be seen first.
    private static async Task<int> BeginAsync(AppDatabase database, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await using var begin = new NpgsqlCommand("BEGIN", connection);
            await begin.ExecuteNonQueryAsync(cancellationToken);
            return await BackendAsync(connection, cancellationToken);
        }
        catch (Exception e) when (SqlFault.IsOf(connection, e) && SqlFault.IsLoss(e))
        {
            throw Shared(database);
        }
    }

    private static OperatorException Shared(AppDatabase database) => new(
        ExitCode.Refused, $"behind {database.Address.Shown} is a pooler that gives each transaction another session (PgBouncer's pool_mode = transaction, or statement): no lock holds there",
        $"let {database.Options.Url} name the server itself, or a pool with pool_mode = session; the app may go on using the pooler under another variable");
}
